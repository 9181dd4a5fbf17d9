// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Sessions with those only that frames are for or come from.
#include "sim/scenarios.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace std::chrono_literals;
using weave::sim::World;

namespace {

void require_calm(World& world, weave::Duration span) {
    const bool converged = world.run_until_converged(span);
    INFO(world.unconverged());
    REQUIRE(converged);
}

void check_clean(const World& world) {
    for (const auto& violation : world.violations()) {
        FAIL_CHECK(violation.name << ": " << violation.detail << "; seed " << world.seed());
    }
}

/** Whether a frame arrives in time. */
bool frame_arrives(World& world, std::size_t from, std::size_t to, weave::Duration within) {
    const std::uint64_t first = world.frames();
    world.send_frames(from, to, 1);
    world.run_for(within);
    return world.undelivered(first).empty();
}

/** The same of any that are sent a second apart. */
bool frames_arrive(World& world, std::size_t from, std::size_t to, weave::Duration within) {
    for (auto left = within; left > 0s; left -= 1s) {
        if (frame_arrives(world, from, to, 1s)) {
            return true;
        }
    }
    return false;
}

std::size_t all_peers(World& world) {
    std::size_t out = 0;
    for (std::size_t i = 0; i < world.size(); ++i) {
        out += world.plane(i).peers();
    }
    return out;
}

} // namespace

TEST_CASE("a session is made for a frame, and goes when none came for a minute") {
    World world(161, 8);
    world.watch_nobody();
    weave::sim::boot(world);
    require_calm(world, 20s);
    CHECK(all_peers(world) == 0);
    CHECK(world.datagrams() == 0);
    CHECK(frame_arrives(world, 1, 2, 500ms));
    CHECK(all_peers(world) == 2);
    CHECK(world.plane(1).ready(world.id(2)));
    CHECK(world.plane(2).ready(world.id(1)));
    world.run_for(40s);
    CHECK(frame_arrives(world, 2, 1, 100ms));
    world.run_for(50s);
    CHECK(all_peers(world) == 2);
    world.run_for(11s);
    CHECK(all_peers(world) == 0);
    const std::uint64_t before = world.datagrams();
    world.run_for(60s);
    CHECK(world.datagrams() == before);
    CHECK(frame_arrives(world, 2, 1, 500ms));
    CHECK(world.exchange_frames() == "");
    CHECK(all_peers(world) == 8 * 7);
    check_clean(world);
}

TEST_CASE("a pair that has no path is found out by its first frame, and relayed") {
    World world(162, 6);
    world.watch_nobody();
    world.block_udp(1, 2, true);
    weave::sim::boot(world);
    require_calm(world, 20s);
    CHECK(world.mesh(1).routes()->to(world.id(2))->hops == 1);
    CHECK(frames_arrive(world, 1, 2, 15s));
    CHECK(world.mesh(1).routes()->to(world.id(2))->hops == 2);
    CHECK(frame_arrives(world, 2, 1, 1s));
    world.run_for(4min);
    CHECK(all_peers(world) == 0);
    check_clean(world);
    world.block_udp(1, 2, false);
    CHECK(frame_arrives(world, 2, 1, 1s));
    world.run_for(20s);
    CHECK(world.mesh(1).routes()->to(world.id(2))->hops == 1);
    check_clean(world);
}

TEST_CASE("who did not hear that its peer forgot the session notices, and makes a new one") {
    World world(163, 2);
    world.watch_nobody();
    weave::sim::boot(world);
    require_calm(world, 20s);
    CHECK(frame_arrives(world, 0, 1, 500ms));
    world.run_for(59s);
    world.block_udp(0, 1, true);
    CHECK(!frame_arrives(world, 1, 0, 2s));
    CHECK(world.plane(0).peers() == 0);
    CHECK(world.plane(1).peers() == 1);
    world.block_udp(0, 1, false);
    CHECK(frames_arrive(world, 1, 0, 20s));
    CHECK(world.counted("session.suspected") > 0);
    check_clean(world);
}

TEST_CASE("a bad hour with sessions on demand leaves no trace") {
    World world(164, 12);
    world.watch_nobody();
    weave::sim::boot(world);
    weave::sim::storm(world, 40);
    require_calm(world, 10min);
    world.run_for(5min); // for lists of who was out of reach: nobody unlists whom it does not watch
    CHECK(world.exchange_frames() == "");
    CHECK(world.counted("session.established") > 100);
    check_clean(world);
}
