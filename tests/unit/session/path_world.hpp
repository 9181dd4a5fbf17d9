// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "session/path.hpp"
#include "support.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace weave::session::test {

inline const Endpoint kNear{IpAddress::v4({10, 0, 0, 2}), 6784};
inline const Endpoint kFar{IpAddress::v4({192, 0, 2, 2}), 6784};

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
                probed.push_back(now);
                if (tells_probes) {
                    last_sent = now + 1ms; // a lane seals it a little later
                }
                sizes.push_back(probe->datagram_size);
                const Road* way = road(probe->direct);
                if (way != nullptr && way->open && probe->datagram_size <= way->mtu) {
                    flying.push_back({now + way->rtt, *probe});
                }
            } else if (std::get_if<Use>(&action) != nullptr) {
                ++uses;
            } else if (const auto* mtu = std::get_if<Mtu>(&action)) {
                mtus.push_back(mtu->size);
                if (mtu->settled) {
                    settled_at.push_back(mtu->size);
                }
            } else if (std::get_if<PathDown>(&action) != nullptr) {
                downs.push_back(now);
            } else {
                ++ups;
            }
        }
    }

    /** Looks every `step`, whether something is due or not. */
    void pass(Duration duration, Duration step = 1ms) {
        const TimePoint end = now + duration;
        while (now < end) {
            now += step;
            look();
        }
    }

    /** Looks when an answer arrives and when something is due, and not in between. */
    void sleep(Duration duration) {
        const TimePoint end = now + duration;
        while (now < end) {
            TimePoint next = std::min(end, monitor.next_deadline());
            for (const auto& [arrival, probe] : flying) {
                next = std::min(next, arrival);
            }
            if (peer_asks) {
                next = std::min(next, next_question);
            }
            now = std::max(now + 1ms, next);
            ++wakes;
            look();
        }
    }

    void look() {
        take_answers();
        take_questions();
        if (traffic) {
            exchange();
        }
        if (large) {
            monitor.on_large_packets(now);
        }
        monitor.on_traffic(last_received, std::min(last_sent, now), now);
        monitor.tick(now);
        perform();
    }

    void take_answers() {
        for (std::size_t i = 0; i < flying.size();) {
            if (flying[i].first > now) {
                ++i;
                continue;
            }
            const SendProbe probe = flying[i].second;
            flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(i));
            if (road(probe.direct) != nullptr && road(probe.direct)->open) {
                last_received = now;
                monitor.on_probe_ack(probe.id, probe.direct, probe.datagram_size, now);
            }
        }
    }

    /** The peer's own probes. */
    void take_questions() {
        if (peer_asks && now >= next_question) {
            next_question = now + *peer_asks;
            if (answers(monitor.in_use())) {
                last_received = now;
            }
        }
    }

    [[nodiscard]] bool answers(const Use& use) {
        const Road* way = use.kind == Use::Kind::direct  ? road(use.direct)
                          : use.kind == Use::Kind::relay ? &relay
                                                         : nullptr;
        return way != nullptr && way->open;
    }

    /** Both send something now. */
    void exchange() {
        last_sent = now;
        if (two_way && answers(monitor.in_use())) {
            last_received = now;
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
    bool tells_probes = false;
    std::optional<Duration> peer_asks;
    TimePoint next_question{};
    std::vector<std::pair<TimePoint, SendProbe>> flying;
    std::vector<std::uint16_t> mtus;
    std::vector<std::uint16_t> settled_at;
    std::vector<std::uint16_t> sizes;
    std::vector<TimePoint> probed;
    std::vector<TimePoint> downs;
    int probes = 0;
    int wakes = 0;
    int uses = 0;
    int ups = 0;
};

inline World settled(PathSettings settings = {}) {
    World world(settings);
    world.roads[kNear] = {};
    world.monitor.set_candidates({kNear}, world.now);
    world.pass(3s);
    return world;
}

} // namespace weave::session::test
