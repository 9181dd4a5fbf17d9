// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What must hold whatever happens to a mesh. The seed is printed with a failure; WEAVE_SCHEDULES
// says how many schedules to run, WEAVE_SEED which is the first.
#include "members_world.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;

namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text != nullptr ? std::stoull(text) : otherwise;
}

/** `gently`: nobody crashes. */
void disturb(MembersWorld& world, bool gently) {
    const std::size_t who = world.below(world.size());
    MembersWorld::Node& node = world.at(who);
    switch (world.below(gently ? 4 : 10)) {
    case 0:
    case 1:
    case 2:
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).group = static_cast<int>(world.below(2 + world.below(2)));
        }
        break;
    case 3:
        node.group = static_cast<int>(world.below(3));
        break;
    case 4:
        world.crash(who);
        break;
    case 5:
    case 6:
        if (!node.up) {
            world.start(who, world.below(3) == 0);
        }
        break;
    case 7:
        node.frozen = node.up && !node.frozen;
        break;
    case 8:
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).group = 0;
        }
        break;
    default:
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).frozen = false;
        }
    }
}

/** Some at once, the others later. */
void begin(MembersWorld& world) {
    world.start(0);
    world.found(0);
    world.step(); // and it is saved
    for (std::size_t i = 1; i < world.size(); ++i) {
        if (world.below(3) > 0) {
            world.start(i);
        }
    }
}

/** `apart`: meshes that began apart, which own the same places. */
void run(MembersWorld& world, TimePoint end, Duration lease, bool gently, bool apart = false) {
    const Duration reclaim_after = lease + lease / 4 + 30s;
    TimePoint next = world.now();
    while (world.now() < end) {
        if (world.now() >= next) {
            disturb(world, gently);
            // About as long as it takes until an absent node's space is taken back, or shorter.
            next += world.below(3) == 0 ? reclaim_after / 4 + reclaim_after * world.below(100) / 100
                                        : std::chrono::seconds(6 + world.below(20));
        }
        if (world.below(3) == 0) {
            world.give(world.below(world.size()), world.below(world.size()));
        }
        world.step();
        REQUIRE_MESSAGE((apart || world.believed_twice() == 0), world.text());
    }
}

void heal(MembersWorld& world) {
    world.crash_after_save = 0;
    for (std::size_t i = 0; i < world.size(); ++i) {
        MembersWorld::Node& node = world.at(i);
        node.group = 0;
        node.frozen = false;
        if (!node.up) {
            world.start(i, world.below(2) == 0);
        }
    }
}

} // namespace

TEST_CASE("no two nodes ever hand out from one place, and a mesh that heals is whole again") {
    const std::uint64_t first = number_of("WEAVE_SEED", std::random_device{}());
    const std::uint64_t schedules = number_of("WEAVE_SCHEDULES", 200);
    std::size_t takeovers = 0;
    std::size_t lost = 0;
    for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
        CAPTURE(seed);
        const Duration lease = std::chrono::seconds(20 << (seed % 3));
        const bool gently = seed % 4 == 0;
        MembersWorld world(1 + seed % 7, seed, lease);
        begin(world);
        world.crash_after_save = gently ? 0 : 200;
        run(world, world.now() + 900s, lease, gently);
        heal(world);
        const Duration bound = 10min;
        for (const TimePoint end = world.now() + bound; world.now() < end && !world.agreed();) {
            world.step();
            REQUIRE_MESSAGE(world.believed_twice() == 0, world.text());
        }
        REQUIRE_MESSAGE(world.agreed(), world.text());
        world.pass(60s);
        REQUIRE_MESSAGE(world.believed_twice() == 0, world.text());
        REQUIRE_MESSAGE(world.agreed(), world.text());
        lost += static_cast<std::size_t>(MembersWorld::kPlaces) -
                static_cast<std::size_t>(world.usable());
        takeovers += world.takeovers;
        REQUIRE(world.minority_takeovers == 0);
        for (const auto& [era, who] : world.heirs) {
            CAPTURE(era);
            REQUIRE(who.size() == 1);
        }
    }
    MESSAGE("places taken over in pieces: ", takeovers, ", places lost: ", lost);
    CHECK(takeovers > 0); // or the test shows nothing
}

TEST_CASE("meshes that began apart become one, whatever happened to them") {
    const std::uint64_t first = number_of("WEAVE_SEED", std::random_device{}());
    const std::uint64_t schedules = number_of("WEAVE_SCHEDULES", 200);
    for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
        CAPTURE(seed);
        MembersWorld world(2 + seed % 6, seed, 40s);
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).group = static_cast<int>(i % 2);
            world.start(i);
        }
        world.found(0);
        world.found(1);
        world.pass(seed % 5 * 10s + 2s);
        run(world, world.now() + 400s, 40s, seed % 2 == 0, true);
        heal(world);
        for (const TimePoint end = world.now() + 10min; world.now() < end && !world.agreed();) {
            world.step();
        }
        world.pass(60s);
        REQUIRE_MESSAGE(world.agreed(), world.text());
        REQUIRE(world.believed_twice() == 0);
        run(world, world.now() + 300s, 40s, true);
    }
}

TEST_CASE("where most stay, the space of those who leave for good comes back in time") {
    const std::uint64_t first = number_of("WEAVE_SEED", std::random_device{}());
    const std::uint64_t schedules = number_of("WEAVE_SCHEDULES", 200);
    for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
        CAPTURE(seed);
        const Duration lease = std::chrono::seconds(20 << (seed % 3));
        MembersWorld world(3 + seed % 5, seed, lease);
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.start(i);
        }
        world.found(0);
        world.pass(60s);
        REQUIRE_MESSAGE(world.agreed(), world.text());
        for (int i = 0; i < 30; ++i) {
            world.give(world.below(world.size()), world.below(world.size()));
            world.step();
        }
        world.pass(std::chrono::seconds(world.below(60)));
        std::set<std::size_t> leave;
        while (2 * (leave.size() + 1) < world.size() && (leave.empty() || world.below(2) == 0)) {
            const std::size_t who = world.below(world.size());
            leave.insert(who);
            world.crash(who);
            world.pass(std::chrono::seconds(world.below(10)));
        }
        // Noticing, a stable view, accepting, taking over; then all that is left is in use.
        const Duration bound = lease + lease / 4 + 30s + 60s;
        for (const TimePoint end = world.now() + bound; world.now() < end;) {
            world.step();
            REQUIRE(world.believed_twice() == 0);
        }
        REQUIRE_MESSAGE(world.agreed(), world.text());
        REQUIRE_MESSAGE(world.usable() == MembersWorld::kPlaces, world.text());
        REQUIRE(world.minority_takeovers == 0);
    }
}
