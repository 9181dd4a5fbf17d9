// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/path.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

namespace {

const Endpoint kNear{IpAddress::v4({10, 0, 0, 2}), 6784};
const Endpoint kFar{IpAddress::v4({192, 0, 2, 2}), 6784};

/** What one way does to packets. */
struct Road {
    bool open = true;
    Duration rtt = 2ms;
    std::uint16_t mtu = 1500;
};

/** A monitor, and roads that answer its probes. */
struct World {
    explicit World(PathSettings settings = {})
        : monitor(settings, seeded(5)) {
        relay_node.octets[0] = 0xee;
    }

    Road* road(const std::optional<Endpoint>& endpoint) {
        if (!endpoint) {
            return &relay;
        }
        const auto found = roads.find(*endpoint);
        return found == roads.end() ? nullptr : &found->second;
    }

    void perform() {
        for (const PathAction& action : monitor.take_actions()) {
            if (const auto* probe = std::get_if<SendProbe>(&action)) {
                ++probes;
                sizes.push_back(probe->datagram_size);
                const Road* way = road(probe->direct);
                if (way != nullptr && way->open && probe->datagram_size <= way->mtu) {
                    flying.push_back({now + way->rtt, *probe});
                }
            } else if (std::get_if<Use>(&action) != nullptr) {
                ++uses;
            } else if (const auto* mtu = std::get_if<Mtu>(&action)) {
                mtus.push_back(mtu->size);
            } else if (std::get_if<PathDown>(&action) != nullptr) {
                downs.push_back(now);
            } else {
                ++ups;
            }
        }
    }

    void pass(Duration duration, Duration step = 1ms) {
        const TimePoint end = now + duration;
        while (now < end) {
            now += step;
            for (std::size_t i = 0; i < flying.size();) {
                if (flying[i].first <= now) {
                    const SendProbe probe = flying[i].second;
                    flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(i));
                    if (road(probe.direct) != nullptr && road(probe.direct)->open) {
                        last_received = now;
                        monitor.on_probe_ack(probe.id, probe.direct, probe.datagram_size, now);
                    }
                } else {
                    ++i;
                }
            }
            if (traffic) {
                last_sent = now;
                const Use& use = monitor.in_use();
                const bool way_back = use.kind == Use::Kind::relay
                                          ? relay.open
                                          : use.kind == Use::Kind::direct &&
                                                road(use.direct) != nullptr &&
                                                road(use.direct)->open;
                if (way_back && two_way) {
                    last_received = now;
                }
            }
            if (large) {
                monitor.on_large_packets(now);
            }
            monitor.on_traffic(last_received, last_sent);
            monitor.tick(now);
            perform();
        }
    }

    NodeId relay_node;
    PathMonitor monitor;
    std::map<Endpoint, Road> roads;
    Road relay{false, 5ms, 1400};
    TimePoint now = TimePoint{} + 1h;
    TimePoint last_received = TimePoint::min();
    TimePoint last_sent = TimePoint::min();
    bool traffic = false;
    bool two_way = true;
    bool large = false;
    std::vector<std::pair<TimePoint, SendProbe>> flying;
    std::vector<std::uint16_t> mtus;
    std::vector<std::uint16_t> sizes;
    std::vector<TimePoint> downs;
    int probes = 0;
    int uses = 0;
    int ups = 0;
};

World settled(PathSettings settings = {}) {
    World world(settings);
    world.roads[kNear] = {};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(3s);
    return world;
}

} // namespace

TEST_CASE("a candidate that answers is used, with the interface's size proved") {
    World world = settled();
    CHECK(world.monitor.in_use() == Use{Use::Kind::direct, kNear, {}});
    CHECK(world.ups == 1);
    CHECK(world.uses == 1);
    REQUIRE(world.monitor.rtt());
    CHECK(*world.monitor.rtt() <= 3ms);
    // Once: no pod is told a smaller size that nobody measured.
    CHECK(world.mtus == std::vector<std::uint16_t>{1500});
}

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

TEST_CASE("an idle path costs few probes") {
    World world = settled();
    world.probes = 0;
    world.pass(60s, 5ms);
    CHECK(world.probes >= 25);
    CHECK(world.probes <= 40);
    CHECK(world.downs.empty());
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

TEST_CASE("nothing to watch, nothing due") {
    World world;
    CHECK(world.monitor.next_deadline() == TimePoint::max());
    world.monitor.tick(world.now);
    CHECK(world.monitor.take_actions().empty());
}
