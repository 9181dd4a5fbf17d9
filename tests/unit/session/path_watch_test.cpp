// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "path_world.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

namespace {

/** On a path that is found and measured. */
World watching(Watch watch, PathSettings settings = {}) {
    World world = settled(settings);
    world.sleep(10s);
    world.monitor.set_watch(watch, world.now);
    world.sleep(5s);
    REQUIRE(world.monitor.up());
    world.probes = 0;
    world.probed.clear();
    world.sizes.clear();
    world.wakes = 0;
    return world;
}

} // namespace

TEST_CASE("who follows sends no probes while the other end does") {
    World world = watching(Watch::follows);
    world.peer_asks = 2300ms;
    world.sleep(2500ms);
    world.probes = 0;
    world.wakes = 0;
    world.sleep(60s);
    CHECK(world.probes == 0);
    CHECK(world.wakes <= 56); // a probe of the peer's, and a look whether one is missing
    CHECK(world.downs.empty());
}

TEST_CASE("who follows finds a peer dead that says nothing any more") {
    for (auto early = 0ms; early < 2300ms; early += 190ms) {
        CAPTURE(early.count());
        World world = watching(Watch::follows);
        world.peer_asks = 2300ms;
        world.sleep(10s + early);
        const TimePoint heard = world.last_received;
        world.roads[kNear].open = false;
        world.sleep(10s);
        REQUIRE(world.downs.size() == 1);
        CHECK(world.downs[0] - heard >= 2500ms);
        CHECK(world.downs[0] - heard <= 3100ms);
    }
}

TEST_CASE("who follows asks now and then where the other end does not") {
    World world = watching(Watch::follows);
    world.sleep(60s);
    CHECK(world.probes >= 20);
    CHECK(world.probes <= 24);
    CHECK(world.downs.empty());
}

TEST_CASE("who begins to follow gives the other end time to begin") {
    World world = watching(Watch::none);
    world.sleep(8s);
    world.monitor.set_watch(Watch::follows, world.now);
    world.probes = 0;
    world.sleep(2400ms);
    CHECK(world.probes == 0);
}

TEST_CASE("an idle path that nobody watches is at rest but for a probe every twenty seconds") {
    World world = watching(Watch::none);
    world.sleep(10min);
    CHECK(world.probes >= 26);
    CHECK(world.probes <= 36);
    CHECK(world.wakes <= 72);
    CHECK(world.downs.empty());
    world.roads[kNear].open = false;
    const TimePoint cut = world.now;
    world.sleep(24s);
    REQUIRE(world.downs.size() == 1);
    CHECK(world.downs[0] - cut <= 23600ms);
}

TEST_CASE("larger sizes are not tried on a path that nobody watches before it is used again") {
    World world;
    world.roads[kNear] = {true, 2ms, 1400};
    world.monitor.set_candidates({kNear}, world.now);
    world.monitor.set_watch(Watch::none, world.now);
    world.sleep(20s);
    CHECK(world.monitor.mtu() > 1390);
    REQUIRE_FALSE(world.settled_at.empty());
    world.sizes.clear();
    world.roads[kNear].mtu = 1500;
    world.sleep(10min);
    CHECK(std::ranges::count(world.sizes, 0) == std::ssize(world.sizes));
    SUBCASE("by large packets") {
        world.traffic = world.large = true;
        world.pass(5s);
        CHECK(world.monitor.mtu() == 1500);
    }
    SUBCASE("by somebody who watches it") {
        world.monitor.set_watch(Watch::leads, world.now);
        world.sleep(1s);
        CHECK(world.monitor.mtu() == 1500);
    }
}

TEST_CASE("a cut is noticed within 0.6 seconds under traffic, whoever watches") {
    for (const Watch watch : {Watch::leads, Watch::follows, Watch::none}) {
        for (const auto early : {0ms, 500ms, 1300ms}) {
            CAPTURE(static_cast<int>(watch));
            CAPTURE(early.count());
            World world = watching(watch);
            world.traffic = true;
            world.pass(500ms + early);
            CHECK(world.probes <= 2);
            world.roads[kNear].open = false;
            const TimePoint cut = world.now;
            world.pass(2s);
            REQUIRE(world.downs.size() == 1);
            CHECK(world.downs[0] - cut <= 580ms);
        }
    }
}

TEST_CASE("who begins to lead asks soon, and goes on") {
    for (const Watch before : {Watch::follows, Watch::none}) {
        CAPTURE(static_cast<int>(before));
        World world = watching(before);
        world.sleep(30s);
        world.monitor.set_watch(Watch::leads, world.now);
        world.probes = 0;
        world.sleep(2300ms);
        CHECK(world.probes >= 1);
        world.sleep(57700ms);
        CHECK(world.probes >= 26);
        CHECK(world.probes <= 37);
    }
}

TEST_CASE("a driver that changes its mind all the time does not keep a path from being probed") {
    World world = watching(Watch::leads);
    world.roads[kNear].open = false;
    for (int i = 0; i < 100 && world.monitor.up(); ++i) {
        world.monitor.set_watch(i % 2 == 0 ? Watch::none : Watch::leads, world.now);
        world.sleep(100ms);
    }
    CHECK_FALSE(world.monitor.up());
}

TEST_CASE("ways that are not in use are probed seldom where nobody watches") {
    for (const Watch watch : {Watch::leads, Watch::none}) {
        CAPTURE(static_cast<int>(watch));
        World world;
        world.roads[kNear] = {};
        world.roads[kFar] = {};
        world.monitor.set_candidates({kNear, kFar, {IpAddress::v4({192, 0, 2, 99}), 6784}},
                                     world.now);
        world.monitor.set_watch(watch, world.now);
        world.sleep(60s); // who gives no answer is asked less and less often
        world.probes = 0;
        world.sleep(200s);
        if (watch == Watch::none) {
            CHECK(world.probes >= 3 * 8);
            CHECK(world.probes <= 3 * 12);
        } else {
            CHECK(world.probes >= 87 + 2 * 34);
        }
    }
}

TEST_CASE(
    "a peer that cannot be reached is asked seldom where nobody watches, and soon by who does") {
    World world = watching(Watch::none);
    world.roads[kNear].open = false;
    world.sleep(2min);
    REQUIRE_FALSE(world.monitor.up());
    world.probes = 0;
    world.sleep(200s);
    CHECK(world.probes <= 12);
    CHECK(world.probes >= 8);
    world.monitor.set_watch(Watch::leads, world.now);
    world.roads[kNear].open = true;
    world.sleep(2300ms);
    CHECK(world.monitor.up());
}

TEST_CASE("a way that is left by who follows is still probed") {
    World world;
    world.roads[kNear] = {true, 40ms, 1500};
    world.monitor.set_candidates({kNear}, world.now);
    world.monitor.set_watch(Watch::follows, world.now);
    world.peer_asks = 2s;
    world.sleep(10s);
    REQUIRE(world.monitor.in_use().direct == kNear);
    world.roads[kFar] = {};
    world.monitor.set_candidates({kNear, kFar}, world.now);
    world.sleep(1s);
    REQUIRE(world.monitor.in_use().direct == kFar);
    world.probes = 0;
    world.sleep(60s);
    CHECK(world.probes >= 10);
    CHECK(world.probes <= 16);
}

TEST_CASE("a peer that is heard by a relay only is answered by one within 0.6 seconds") {
    for (const Watch watch : {Watch::leads, Watch::follows, Watch::none}) {
        CAPTURE(static_cast<int>(watch));
        World world = watching(watch);
        world.relay.open = true;
        world.monitor.set_relay(world.relay_node, world.now);
        world.sleep(6s);
        REQUIRE(world.monitor.in_use().kind == Use::Kind::direct);
        world.roads[kNear].open = false;
        const TimePoint first = world.now;
        while (world.monitor.in_use().kind == Use::Kind::direct && world.now < first + 5s) {
            world.last_received = world.now;
            world.monitor.on_relayed(world.now);
            world.pass(20ms);
        }
        CHECK(world.now - first <= 600ms);
        CHECK(world.monitor.in_use() == Use{Use::Kind::relay, {}, world.relay_node});
        CHECK(world.downs.empty());
    }
}

TEST_CASE("a direct way that works is asked once a second whatever comes by a relay") {
    World world = watching(Watch::follows);
    for (int i = 0; i < 500; ++i) {
        world.last_received = world.now;
        world.monitor.on_relayed(world.now);
        if (i == 0) {
            world.monitor.set_watch(Watch::leads, world.now);
            world.monitor.set_watch(Watch::follows, world.now);
        }
        world.sleep(20ms);
        CHECK(world.probes == 1 + i / 50);
    }
    CHECK(world.monitor.in_use().kind == Use::Kind::direct);
    CHECK(world.uses == 1);
}

TEST_CASE("what comes by a relay asks nothing where the relay is in use, or nothing is") {
    World world;
    world.monitor.on_relayed(world.now);
    CHECK(world.monitor.next_deadline() == TimePoint::max());
    world.relay.open = true;
    world.monitor.set_relay(world.relay_node, world.now);
    world.monitor.set_watch(Watch::none, world.now);
    world.sleep(60s);
    REQUIRE(world.monitor.in_use().kind == Use::Kind::relay);
    world.probes = 0;
    const TimePoint due = world.monitor.next_deadline();
    world.monitor.on_relayed(world.now);
    CHECK(world.monitor.next_deadline() == due);
}

TEST_CASE(
    "where the mesh names a relay the direct way in use is asked, which a follower would not") {
    World world = watching(Watch::follows);
    for (const bool open : {true, false}) {
        world.sleep(6s);
        REQUIRE(world.monitor.in_use().kind == Use::Kind::direct);
        world.relay.open = true;
        world.roads[kNear].open = open;
        world.monitor.set_relay(world.relay_node, world.now);
        for (int i = 0; i < 60; ++i) {
            world.last_received = world.now; // by the relay
            world.pass(20ms);
        }
        CHECK((world.monitor.in_use().kind == Use::Kind::direct) == open);
        world.monitor.set_relay(std::nullopt, world.now);
    }
}
