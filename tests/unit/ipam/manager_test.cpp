// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The allocator and the members together. WEAVE_SCHEDULES says how many random schedules to run,
// WEAVE_SEED which is the first.
#include "manager_world.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;
using Outcome = Answer::Outcome;

namespace {

constexpr Duration kLease = 40s;
constexpr Duration kReclaimAfter = kLease + kLease / 4 + 30s;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text != nullptr ? std::stoull(text) : otherwise;
}

/** Until the holder has a place, or time is up. */
Outcome
obtain(ManagerWorld& world, std::size_t node, const std::string& holder, Duration patience) {
    const TimePoint end = world.now() + patience;
    Outcome outcome = world.allocate(node, holder);
    while (outcome != Outcome::ok && world.now() < end) {
        world.step();
        outcome = world.allocate(node, holder);
    }
    return outcome;
}

ManagerWorld mesh_of(std::size_t nodes, const std::string& range = "10.0.0.0/24") {
    ManagerWorld world(nodes, 7, kLease, range);
    for (std::size_t i = 0; i < nodes; ++i) {
        world.start(i);
    }
    for (std::size_t i = 0; i < nodes; ++i) {
        REQUIRE(obtain(world, i, "first", 30s) == Outcome::ok);
    }
    world.pass(60s);
    REQUIRE_MESSAGE(world.agreed(), world.text());
    return world;
}

void disturb(ManagerWorld& world) {
    const std::size_t who = world.below(world.size());
    ManagerWorld::Node& node = world.at(who);
    switch (world.below(8)) {
    case 0:
    case 1:
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).group = static_cast<int>(world.below(2));
        }
        break;
    case 2:
        node.group = 2;
        break;
    case 3:
        world.crash(who);
        break;
    case 4:
    case 5:
        if (!node.up) {
            world.start(who, world.below(3) == 0);
        }
        break;
    default:
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).group = 0;
        }
    }
}

void use(ManagerWorld& world, bool claims) {
    const std::size_t node = world.below(world.size());
    const std::string holder = "pod" + std::to_string(world.below(8));
    if (!world.at(node).up) {
        return;
    }
    switch (world.below(4)) {
    case 0:
    case 1:
        world.allocate(node, holder);
        break;
    case 2:
        world.release(node, holder);
        break;
    default:
        if (claims) {
            world.claim(node, holder, static_cast<Index>(world.below(128)));
        }
    }
}

void heal(ManagerWorld& world) {
    for (std::size_t i = 0; i < world.size(); ++i) {
        world.at(i).group = 0;
        if (!world.at(i).up) {
            world.start(i, world.below(2) == 0);
        }
    }
}

bool only_orphaned(ManagerWorld& world) {
    return std::ranges::includes(world.orphaned, world.twice());
}

/** Both sides of each double use tell of it, and one of them keeps it. */
bool all_reported(ManagerWorld& world) {
    std::map<Index, int> keepers;
    for (std::size_t node = 0; node < world.size(); ++node) {
        for (const Conflict& each : world.manager(node).allocator().conflicts()) {
            keepers[each.index] += each.ours ? 1 : 0;
        }
    }
    std::vector<Index> told;
    for (const auto& [index, count] : keepers) {
        told.push_back(index);
        if (count == 0) {
            return false;
        }
    }
    return told == world.twice();
}

} // namespace

TEST_CASE("whatever happens, an address comes into two hands only if its pod outlived the space "
          "of its node, and a mesh that heals serves everybody") {
    const std::uint64_t first = number_of("WEAVE_SEED", std::random_device{}());
    const std::uint64_t schedules = number_of("WEAVE_SCHEDULES", 60);
    std::size_t taken = 0;
    for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
        CAPTURE(seed);
        ManagerWorld world(
            1 + seed % 6, seed, std::chrono::seconds(20 << (seed % 2)), "10.0.0.0/25");
        world.start(0);
        REQUIRE(obtain(world, 0, "first", 30s) == Outcome::ok);
        for (std::size_t i = 1; i < world.size(); ++i) {
            world.start(i);
        }
        world.pass(10s); // all know of the ring, or it would be no mesh of one history
        for (int i = 0; i < 700; ++i) {
            if (world.below(20) == 0) {
                disturb(world);
            }
            use(world, true);
            world.step();
            REQUIRE_MESSAGE(only_orphaned(world), world.text());
        }
        heal(world);
        for (const TimePoint end = world.now() + 10min; world.now() < end && !world.agreed();) {
            world.step();
            REQUIRE_MESSAGE(only_orphaned(world), world.text());
        }
        REQUIRE_MESSAGE(world.agreed(), world.text());
        world.pass(20s);
        CHECK_MESSAGE(all_reported(world), world.text());
        for (std::size_t node = 0; node < world.size(); ++node) {
            REQUIRE_MESSAGE(obtain(world, node, "late", 60s) == Outcome::ok, world.text());
        }
        REQUIRE(only_orphaned(world));
        taken += world.taken_back;
    }
    CHECK(taken > 0); // or the test shows little
}

TEST_CASE("files are lost: what is used twice is told, and a mesh that heals serves everybody") {
    const std::uint64_t first = number_of("WEAVE_SEED", std::random_device{}());
    const std::uint64_t schedules = number_of("WEAVE_SCHEDULES", 60);
    for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
        CAPTURE(seed);
        ManagerWorld world(2 + seed % 5, seed, kLease, "10.0.0.0/25");
        world.start(0);
        REQUIRE(obtain(world, 0, "first", 30s) == Outcome::ok);
        for (std::size_t i = 1; i < world.size(); ++i) {
            world.start(i);
        }
        world.pass(10s);
        for (int i = 0; i < 400; ++i) {
            if (world.below(20) == 0) {
                disturb(world);
            }
            const std::size_t who = world.below(world.size());
            if (!world.at(who).up && world.below(20) == 0) {
                world.lose(who);
            }
            use(world, true);
            world.step();
        }
        heal(world);
        for (const TimePoint end = world.now() + 10min; world.now() < end && !world.agreed();) {
            world.allocate(0, "late"); // where all files are lost nobody begins until asked
            world.step();
        }
        REQUIRE_MESSAGE(world.agreed(), world.text());
        world.pass(20s);
        CHECK_MESSAGE(all_reported(world), world.text());
        const std::vector<Index> twice = world.twice();
        for (std::size_t node = 0; node < world.size(); ++node) {
            REQUIRE_MESSAGE(obtain(world, node, "late", 60s) == Outcome::ok, world.text());
        }
        CHECK(std::ranges::includes(twice, world.twice()));
    }
}

TEST_CASE("meshes that began apart: every double use is told, and none is added") {
    const std::uint64_t first = number_of("WEAVE_SEED", std::random_device{}());
    const std::uint64_t schedules = number_of("WEAVE_SCHEDULES", 60);
    for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
        CAPTURE(seed);
        ManagerWorld world(2 + seed % 5, seed, kLease, "10.0.0.0/25");
        for (std::size_t i = 0; i < world.size(); ++i) {
            world.at(i).group = static_cast<int>(i % 2);
            world.start(i);
        }
        for (int i = 0; i < 60; ++i) {
            use(world, true);
            world.step();
        }
        heal(world);
        for (const TimePoint end = world.now() + 5min; world.now() < end && !world.agreed();) {
            world.step();
        }
        REQUIRE_MESSAGE(world.agreed(), world.text());
        world.pass(10s);
        const std::vector<Index> twice = world.twice();
        REQUIRE_MESSAGE(all_reported(world), world.text());
        for (int i = 0; i < 100; ++i) {
            use(world, false);
            world.step();
            REQUIRE(std::ranges::includes(twice, world.twice()));
        }
        for (std::size_t node = 0; node < world.size(); ++node) {
            REQUIRE_MESSAGE(obtain(world, node, "late", 60s) == Outcome::ok, world.text());
        }
    }
}

TEST_CASE("whoever is asked to begin gives space that the one who asked can use") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        ManagerWorld world(2, seed, kLease, "10.0.0.0/24");
        world.start(0);
        world.start(1);
        world.pass(2s);
        const TimePoint end = world.now() + 12s;
        while (world.claim(0, "a", 9) != Outcome::ok && world.now() < end) {
            world.step();
        }
        REQUIRE_MESSAGE(world.manager(0).allocator().leases().holds(9), world.text());
    }
}

TEST_CASE("a node that sees too few stops when its lease is over, and goes on when it sees them") {
    ManagerWorld world = mesh_of(5);
    world.at(4).group = 1;
    world.pass(kLease / 2);
    CHECK(world.allocate(4, "a") == Outcome::ok);
    world.pass(kLease);
    CHECK(world.allocate(4, "b") == Outcome::no_lease);
    CHECK(world.allocate(4, "a") == Outcome::ok); // it has one
    CHECK(world.allocate(0, "c") == Outcome::ok);
    world.at(4).group = 0;
    CHECK(obtain(world, 4, "b", 30s) == Outcome::ok);
    CHECK(world.twice().empty());
}

TEST_CASE("what a node had that left comes back to those who stay, and not to it") {
    ManagerWorld world = mesh_of(3);
    std::size_t owned = 0;
    for (const auto& [run, stamp] :
         world.manager(0).allocator().ring().owned(world.id(2), {0, 256})) {
        owned += run.size();
    }
    REQUIRE(owned > 0);
    world.at(2).group = 1;
    world.pass(kReclaimAfter - 5s);
    CHECK(world.taken_back == 0);
    world.pass(60s);
    CHECK(world.taken_back > 0);
    CHECK(world.manager(0).allocator().ring().owned(world.id(2), {0, 256}).empty());
    CHECK(world.manager(2).allocator().leases().size() == 1); // its pod lives
    world.at(2).group = 0;
    CHECK(obtain(world, 2, "new", 40s) == Outcome::ok);
    CHECK(world.manager(2).allocator().conflicts().empty());
    CHECK(world.twice().empty());
}

TEST_CASE("what the pods of a node that left had is free again for all who stay") {
    ManagerWorld world = mesh_of(3);
    for (int i = 0; i < 20; ++i) {
        obtain(world, 2, "pod " + std::to_string(i), 10s);
    }
    world.pass(10s);
    world.crash(2);
    world.pass(kReclaimAfter + 60s);
    REQUIRE(world.manager(0).allocator().ring().owned(world.id(2), {0, 256}).empty());
    std::size_t got = 0;
    for (bool any = true; std::exchange(any, false);) {
        for (const std::size_t number : {0UL, 1UL}) {
            const bool more =
                obtain(world, number, "more " + std::to_string(got), 40s) == Outcome::ok;
            got += more ? 1 : 0;
            any |= more;
        }
    }
    CHECK(got + 2 == 254); // each has a pod of its own
    CHECK(world.twice().empty());
}

TEST_CASE("a minority takes nothing back, however long it waits") {
    ManagerWorld world = mesh_of(5);
    const std::size_t before = world.taken_back;
    world.at(3).group = 1;
    world.at(4).group = 1;
    world.at(0).group = 2;
    world.at(1).group = 2; // nobody sees more than half
    world.pass(5 * kReclaimAfter);
    CHECK(world.taken_back == before);
    for (std::size_t node = 0; node < 5; ++node) {
        CHECK(world.allocate(node, "more") == Outcome::no_lease);
    }
}

TEST_CASE("who lost its state file asks for space as a new one, and its old space comes back") {
    ManagerWorld world = mesh_of(3);
    world.crash(1);
    world.lose(1);
    world.pass(5s);
    world.start(1);
    CHECK(world.allocate(1, "a") == Outcome::wait);
    REQUIRE(obtain(world, 1, "a", 30s) == Outcome::ok);
    CHECK(world.twice().empty());
    world.pass(60s);
    CHECK(world.agreed());
    std::size_t places = 0;
    for (std::size_t node = 0; node < 3; ++node) {
        const Report report = world.manager(node).allocator().report();
        places += report.free + report.held + report.taken_over + report.resting;
    }
    CHECK(places == 254);
}

TEST_CASE("who lost its state file right after it got space has lost that space to nobody") {
    for (std::size_t who = 0; who < 3; ++who) { // one of them is the proposer
        CAPTURE(who);
        ManagerWorld world = mesh_of(3, "10.0.0.0/26");
        for (int i = 0; obtain(world, who, std::to_string(i), 3s) == Outcome::ok; ++i) {
        }
        world.crash(who);
        world.lose(who);
        world.pass(5s);
        world.start(who);
        CHECK(world.allocate(who, "a") == Outcome::wait);
        REQUIRE_MESSAGE(obtain(world, who, "a", 30s) == Outcome::ok, world.text());
        CHECK(world.twice().empty());
        world.pass(60s);
        CHECK(world.agreed());
        std::size_t places = 0;
        for (std::size_t node = 0; node < 3; ++node) {
            const Report report = world.manager(node).allocator().report();
            places += report.free + report.held + report.taken_over + report.resting;
        }
        CHECK_MESSAGE(places == 62, world.text());
    }
}

TEST_CASE("after a reboot a lone node goes on at once, one of many when it sees half of them") {
    ManagerWorld alone = mesh_of(1);
    alone.crash(0);
    alone.start(0, true);
    CHECK(obtain(alone, 0, "again", 2s) == Outcome::ok);
    ManagerWorld world = mesh_of(5);
    world.crash(2);
    world.at(2).group = 1;
    world.start(2, true);
    CHECK(obtain(world, 2, "again", 60s) == Outcome::no_lease);
    world.at(2).group = 0;
    CHECK(obtain(world, 2, "again", 30s) == Outcome::ok);
    world.crash(2);
    world.at(2).group = 1;
    world.start(2, false); // the same boot: what it promised still holds
    CHECK(obtain(world, 2, "and again", 2s) == Outcome::ok);
}

TEST_CASE("the operator's word gives a dead node's space to this one, also without a majority") {
    ManagerWorld world = mesh_of(2);
    world.crash(1);
    world.pass(20s);
    const std::size_t before = world.manager(0).allocator().report().free;
    const std::size_t taken = world.manager(0).remove(world.id(1), world.now());
    CHECK(taken > 0);
    CHECK(world.manager(0).allocator().ring().owned(world.id(1), {0, 256}).empty());
    CHECK(world.manager(0).allocator().report().free +
              world.manager(0).allocator().report().taken_over >
          before);
    CHECK(world.manager(0).remove(world.id(1), world.now()) == 0);
    world.start(1, true); // it was not gone after all
    REQUIRE(obtain(world, 1, "again", 60s) == Outcome::ok);
    CHECK(world.twice().empty());
}

TEST_CASE("a ring whose owners are all away: whoever comes waits, and the operator can help") {
    ManagerWorld world(3, 3, kLease, "10.0.0.0/24");
    world.start(0);
    REQUIRE(obtain(world, 0, "first", 30s) == Outcome::ok);
    world.start(1);
    world.pass(5s);
    world.crash(0);
    world.lose(1);
    world.start(1, true);
    world.start(2);
    world.at(1).store[world.id(0)] = world.at(0).store[world.id(0)];
    const auto& record = *world.at(0).store[world.id(0)].at(1).said;
    world.manager(1).on_allocation(world.id(0), std::get<wire::Allocation>(record), world.now());
    CHECK(obtain(world, 2, "a", 60s) != Outcome::ok);
    CHECK(world.manager(1).remove(world.id(0), world.now()) == 256);
    CHECK(obtain(world, 1, "a", 60s) == Outcome::ok);
    CHECK(obtain(world, 2, "a", 60s) == Outcome::ok);
}

TEST_CASE("nothing is said while nothing changes but who has what") {
    ManagerWorld world = mesh_of(3);
    world.pass(2 * kLease);
    const std::size_t before = world.published;
    world.pass(3 * kLease);
    CHECK(world.published == before);
}
