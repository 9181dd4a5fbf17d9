// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "path_world.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

TEST_CASE("a candidate that answers is used, with the interface's size proved") {
    World world = settled();
    CHECK(world.monitor.in_use() == Use{Use::Kind::direct, kNear, {}});
    CHECK(world.ups == 1);
    CHECK(world.uses == 1);
    REQUIRE(world.monitor.rtt());
    CHECK(*world.monitor.rtt() <= 3ms);
    // Once: no pod is told a smaller size that nobody measured.
    CHECK(world.mtus == std::vector<std::uint16_t>{1500, 1500}); // assumed, then settled
    CHECK(world.settled_at == std::vector<std::uint16_t>{1500});
}

TEST_CASE("an idle path costs few probes") {
    World world = settled();
    world.probes = 0;
    world.pass(60s, 5ms);
    CHECK(world.probes >= 25);
    CHECK(world.probes <= 40);
    CHECK(world.downs.empty());
}

TEST_CASE("an idle path costs no more probes where the driver takes them for something sent") {
    PathSettings settings;
    settings.idle_probe = 1s; // none is under way while the path is found
    World world = settled(settings);
    world.roads[kNear].rtt = 160ms;
    world.tells_probes = true;
    world.pass(5s);
    world.probes = 0;
    world.pass(60s);
    CHECK(world.probes >= 50);
    CHECK(world.probes <= 70);
}

TEST_CASE("one frame on an idle path is no silence before an answer to it can be there") {
    for (const bool answered : {true, false}) {
        for (const Duration step : std::initializer_list<Duration>{1ms, 50ms}) {
            CAPTURE(answered);
            CAPTURE(step.count());
            World world = settled();
            world.probes = 0;
            while (world.probes == 0) {
                world.pass(step, step);
            }
            world.pass(400ms, step);
            world.probes = 0;
            world.roads[kNear].open = answered;
            world.last_sent = world.now + 1ms;
            const TimePoint sent = world.last_sent;
            world.pass(100ms, step);
            CHECK(world.probes == 0);
            if (answered) {
                world.last_received = world.now;
            }
            world.pass(500ms, step);
            CHECK((world.probes == 0) == answered);
            CHECK(world.downs.empty() == answered);
            CHECK((answered || world.downs.at(0) - sent <= 600ms));
        }
    }
}

TEST_CASE("a cut is noticed within 0.6 seconds while there is traffic") {
    for (const auto extra : {0ms, 37ms, 500ms, 1300ms}) {
        CAPTURE(extra.count());
        World world = settled();
        world.traffic = true;
        world.pass(500ms + extra);
        world.roads[kNear].open = false;
        const TimePoint cut = world.now;
        world.pass(2s);
        REQUIRE(world.downs.size() == 1);
        CHECK(world.downs[0] - cut <= 580ms);
        CHECK(world.downs[0] - cut >= 450ms);
        CHECK_FALSE(world.monitor.up());
    }
}

TEST_CASE("a driver that ticks every 50 ms notices a cut in time, too") {
    for (int early = 0; early < 50; early += 7) {
        CAPTURE(early);
        World world = settled();
        world.traffic = true;
        world.pass(1s, 50ms);
        world.roads[kNear].open = false;
        world.last_received = world.now - std::chrono::milliseconds(early);
        const TimePoint cut = world.last_received;
        world.pass(2s, 50ms);
        REQUIRE(world.downs.size() == 1);
        CHECK(world.downs[0] - cut <= 600ms);
    }
}

TEST_CASE(
    "a path without traffic is dead once the answer is overdue, also where a driver looks only "
    "when something is due") {
    for (auto early = 0ms; early < 2300ms; early += 190ms) {
        CAPTURE(early.count());
        World world = settled();
        world.sleep(2s + early);
        world.roads[kNear].open = false;
        const TimePoint cut = world.now;
        world.probed.clear();
        world.wakes = 0;
        world.sleep(4s);
        REQUIRE(world.downs.size() == 1);
        REQUIRE_FALSE(world.probed.empty());
        CHECK(world.downs[0] - world.probed[0] <= 330ms);
        CHECK(world.downs[0] - cut <= 2630ms);
        CHECK(world.wakes < 20);
    }
}

TEST_CASE("a driver that looks only when something is due is not kept busy by traffic") {
    World world = settled();
    world.traffic = true;
    world.two_way = false;
    world.wakes = 0;
    world.sleep(10s);
    CHECK(world.wakes < 300); // each probe of 130 ms, its answer, and little more
    CHECK(world.downs.empty());
}

TEST_CASE(
    "a driver that looks late does not find a way dead before its last probe can be answered") {
    World world = settled();
    world.traffic = true;
    world.two_way = false;
    world.roads[kNear].open = false;
    world.probes = 0;
    while (world.probes < 2) {
        world.pass(400ms, 400ms);
    }
    world.roads[kNear].open = true;
    world.pass(400ms, 400ms);
    REQUIRE(world.probes == 3);
    world.sleep(100ms);
    CHECK(world.downs.empty());
}

TEST_CASE("new keys make every way be probed at once") {
    World world;
    world.roads[kNear] = {false, 2ms, 1500};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(20s, 5ms);
    world.roads[kNear].open = true;
    world.monitor.on_session(world.now);
    world.pass(5ms);
    CHECK(world.monitor.up());
}

TEST_CASE("a cut path that comes back is used again soon") {
    World world = settled();
    world.traffic = true;
    world.roads[kNear].open = false;
    world.pass(10s);
    REQUIRE_FALSE(world.monitor.up());
    world.roads[kNear].open = true;
    world.pass(2500ms);
    CHECK(world.monitor.up());
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("silence of a peer that has nothing to say is no cut") {
    World world = settled();
    world.traffic = true;
    world.two_way = false;
    world.pass(20s);
    CHECK(world.downs.empty());
    CHECK(world.monitor.up());
}

TEST_CASE("a slow path is not taken for a dead one") {
    World world;
    world.roads[kNear] = {true, 700ms, 1500};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(5s);
    REQUIRE(world.monitor.up());
    world.traffic = true;
    world.two_way = false;
    world.pass(20s);
    CHECK(world.downs.empty());
}

TEST_CASE("the relay is used while no direct way works, and left when one does") {
    World world = settled();
    world.relay.open = true;
    world.monitor.set_relay(world.relay_node, world.now);
    world.traffic = true;
    world.pass(1s);
    CHECK(world.monitor.in_use().kind == Use::Kind::direct);
    world.roads[kNear].open = false;
    const TimePoint cut = world.now;
    while (world.monitor.in_use().kind == Use::Kind::direct && world.now < cut + 2s) {
        world.pass(1ms);
    }
    CHECK(world.now - cut <= 605ms);
    CHECK(world.monitor.in_use() == Use{Use::Kind::relay, {}, world.relay_node});
    CHECK(world.downs.empty());
    world.roads[kNear].open = true;
    world.pass(6500ms);
    CHECK(world.monitor.in_use().kind == Use::Kind::direct);
}

TEST_CASE("the relay's packets are measured apart from the direct way's") {
    World world = settled();
    world.relay.open = true;
    world.monitor.set_relay(world.relay_node, world.now);
    world.traffic = true;
    world.pass(1s);
    world.roads[kNear].open = false;
    world.pass(10s);
    CHECK(world.monitor.mtu() <= 1400);
    CHECK(world.monitor.mtu() > 1390);
    world.roads[kNear].open = true;
    world.pass(6500ms);
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("a new next hop is used at once, a lost one leaves nothing") {
    World world;
    world.relay.open = true;
    world.monitor.set_relay(world.relay_node, world.now);
    world.pass(1s);
    CHECK(world.monitor.in_use().kind == Use::Kind::relay);
    NodeId other;
    other.octets[0] = 0xdd;
    world.monitor.set_relay(other, world.now);
    world.perform();
    CHECK(world.monitor.in_use().relay == other);
    world.pass(1s);
    CHECK(world.monitor.up());
    world.monitor.set_relay(std::nullopt, world.now);
    world.pass(10ms);
    CHECK_FALSE(world.monitor.up());
    CHECK(world.downs.size() == 1);
}

TEST_CASE("a much faster way takes over, a slightly faster one does not") {
    World world = settled();
    world.roads[kNear].rtt = 20ms;
    world.pass(60s, 5ms);
    world.roads[kFar] = {true, 18ms, 1500};
    world.monitor.set_candidates({kNear, kFar}, world.now);
    world.pass(30s, 5ms);
    CHECK(world.monitor.in_use().direct == kNear);
    world.roads[kFar].rtt = 3ms;
    world.pass(90s, 5ms);
    CHECK(world.monitor.in_use().direct == kFar);
}

TEST_CASE("a peer heard from an endpoint nobody announced is answered there") {
    World world;
    world.roads[kFar] = {};
    world.monitor.on_received(kFar, world.now);
    CHECK(world.monitor.in_use() == Use{Use::Kind::direct, kFar, {}});
    world.pass(1s);
    CHECK(world.monitor.mtu() == 1500);
}

TEST_CASE("hearing a peer where we cannot reach it does not make the way work again") {
    World world = settled();
    world.traffic = true;
    world.roads[kNear].open = false;
    world.pass(1s);
    REQUIRE_FALSE(world.monitor.up());
    world.monitor.on_received(kNear, world.now);
    CHECK_FALSE(world.monitor.up());
    world.pass(1s);
    CHECK_FALSE(world.monitor.up());
}

TEST_CASE("a peer that moved is followed within 0.6 seconds") {
    for (const auto early : {0ms, 300ms, 900ms, 1700ms}) {
        CAPTURE(early.count());
        World world = settled();
        world.traffic = true;
        world.pass(1s + early);
        world.roads[kNear].open = false;
        world.roads[kFar] = {};
        world.monitor.on_received(kFar, world.now);
        const TimePoint moved = world.now;
        while (world.monitor.in_use().direct != kFar && world.now < moved + 5s) {
            world.last_received = world.now; // its records keep coming, from there
            world.pass(1ms);
        }
        CHECK(world.now - moved <= 600ms);
        CHECK(world.downs.empty());
    }
}

TEST_CASE("a peer that is heard from elsewhere and still answers where it was is not followed") {
    World world = settled();
    world.traffic = true;
    world.roads[kFar] = {};
    world.probes = 0;
    for (int i = 0; i < 100; ++i) {
        world.monitor.on_received(kFar, world.now);
        world.pass(50ms);
    }
    CHECK(world.monitor.in_use().direct == kNear);
    CHECK(world.uses == 1);
    CHECK(world.probes < 25);
}

TEST_CASE("an endpoint that cannot be reached is not used although the peer was heard from it") {
    World world = settled();
    world.traffic = true;
    world.monitor.on_received(kFar, world.now); // replies to it get nowhere
    world.pass(10s);
    CHECK(world.monitor.in_use().direct == kNear);
    CHECK(world.uses == 1);
    CHECK(world.downs.empty());
}

TEST_CASE("a direction that is broken is noticed although the other works") {
    World world = settled();
    world.traffic = true;
    world.roads[kNear].open = false;
    for (int i = 0; i < 6000 && world.monitor.up(); ++i) {
        world.last_received = world.now; // they still reach us
        world.pass(1ms);
    }
    CHECK_FALSE(world.monitor.up());
}

TEST_CASE("candidates are bounded, and those that do not work go first") {
    PathSettings settings;
    settings.max_candidates = 3;
    World world(settings);
    for (std::uint8_t i = 1; i < 60; ++i) {
        world.monitor.on_received({IpAddress::v4({10, 1, 1, i}), 1}, world.now);
    }
    world.pass(20s, 10ms);
    std::vector<Endpoint> many;
    for (std::uint8_t i = 1; i < 60; ++i) {
        many.push_back({IpAddress::v4({10, 1, 2, i}), 1});
    }
    world.monitor.set_candidates(many, world.now);
    world.probes = 0;
    world.pass(300ms);
    CHECK(world.probes <= 6);
}

TEST_CASE("nothing to watch, nothing due") {
    World world;
    CHECK(world.monitor.next_deadline() == TimePoint::max());
    world.monitor.tick(world.now);
    CHECK(world.monitor.take_actions().empty());
}
