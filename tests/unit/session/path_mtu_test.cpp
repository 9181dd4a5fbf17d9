// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "path_world.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

TEST_CASE("a path narrower than its interface is found out at once") {
    World world;
    world.roads[kNear] = {true, 2ms, 1400};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(1500ms);
    CHECK(world.monitor.mtu() > 1390);
    CHECK(world.monitor.mtu() <= 1400);
}

TEST_CASE("another interface MTU starts the search anew") {
    World world = settled();
    world.roads[kNear].mtu = 9000;
    world.monitor.set_interface_mtu(9000, world.now);
    world.pass(100ms);
    CHECK(world.monitor.mtu() == 9000);
    world.monitor.set_interface_mtu(1420, world.now);
    world.pass(100ms);
    CHECK(world.monitor.mtu() == 1420);
}

TEST_CASE("the size is proved within a few round trips of the way being known") {
    World world;
    world.roads[kNear] = {};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(20ms);
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("the greatest size of an odd underlay is found within a few bytes, from below") {
    for (const std::uint16_t size :
         std::initializer_list<std::uint16_t>{1290, 1400, 1420, 1492, 1499}) {
        CAPTURE(size);
        World world;
        world.roads[kNear] = {true, 2ms, size};
        world.monitor.set_candidates({kNear}, world.now);
        world.pass(10s);
        CHECK(world.monitor.mtu() <= size);
        CHECK(world.monitor.mtu() + 10 > size);
    }
}

TEST_CASE("jumbo interfaces over plain Ethernet settle at plain Ethernet") {
    PathSettings settings;
    settings.interface_mtu = 9001;
    World world(settings);
    world.roads[kNear] = {};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(500ms);
    CHECK(world.monitor.mtu() == 1500);
    world.pass(20s);
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("a path that shrinks under large packets is noticed, and found again when it grows") {
    World world = settled();
    world.traffic = true;
    world.large = true;
    world.pass(3s);
    REQUIRE(world.monitor.mtu() == 1500);
    world.roads[kNear].mtu = 1400;
    world.pass(6s);
    CHECK(world.monitor.mtu() <= 1400);
    world.pass(10s);
    CHECK(world.monitor.mtu() > 1390);
    CHECK(world.downs.empty());
    world.roads[kNear].mtu = 1500;
    world.pass(80s, 5ms);
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("only what was proved, at the end of a search, is settled") {
    for (const std::uint16_t size : std::initializer_list<std::uint16_t>{1000, 1400, 1500}) {
        CAPTURE(size);
        World world = settled();
        CHECK(world.settled_at == std::vector<std::uint16_t>{1500});
        world.settled_at.clear();
        world.traffic = world.large = true;
        world.roads[kNear].mtu = size;
        world.pass(20s);
        if (size == 1500) {
            CHECK(world.settled_at.empty());
        } else {
            REQUIRE(world.settled_at.size() == 1);
            CHECK(world.settled_at[0] <= size);
            CHECK(world.settled_at[0] + 10 > size);
        }
    }
}

TEST_CASE("one large packet now and then is enough to notice that none gets through") {
    World world = settled();
    world.traffic = true;
    world.roads[kNear].mtu = 1400;
    for (int i = 0; i < 3; ++i) {
        world.monitor.on_large_packets(world.now);
        world.pass(2500ms);
    }
    CHECK(world.monitor.mtu() <= 1400);
}

TEST_CASE("loss of everything is not taken for a black hole") {
    for (auto offset = 60ms; offset < 2400ms; offset += 60ms) {
        CAPTURE(offset.count());
        World world = settled();
        world.large = true;
        world.traffic = true;
        world.mtus.clear();
        world.pass(offset);
        world.roads[kNear].open = false;
        world.pass(440ms);
        world.roads[kNear].open = true;
        world.pass(3s);
        CHECK(world.mtus.empty());
        CHECK(world.downs.empty());
    }
}

TEST_CASE("larger sizes are tried again after a while, without traffic too") {
    World world;
    world.roads[kNear] = {true, 2ms, 1400};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(10s);
    REQUIRE(world.monitor.mtu() <= 1400);
    world.roads[kNear].mtu = 1500;
    world.pass(75s, 5ms);
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("an error of the kernel makes packets small at once") {
    World world = settled();
    world.roads[kNear].mtu = 1400;
    world.monitor.on_too_big(world.now);
    CHECK(world.monitor.mtu() == 1280);
    world.pass(10s);
    CHECK(world.monitor.mtu() > 1390);
    CHECK(world.monitor.mtu() <= 1400);
}
