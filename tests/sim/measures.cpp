// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// How fast a world is, and what it costs its nodes.
#include "sim/scenarios.hpp"

#include <algorithm>
#include <cmath>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kResolution = 5ms;

/** Traffic of all nodes. */
Traffic carried(const World& world) {
    Traffic sum;
    for (std::size_t index = 0; index < world.size(); ++index) {
        sum.tcp_bytes += world.carried(index).tcp_bytes;
        sum.udp_bytes += world.carried(index).udp_bytes;
    }
    return sum;
}

/** Waits until all others have the record that the node publishes next. */
void watch_change(
    World& world, std::size_t node, const Bytes& tlvs, Duration limit, std::vector<Duration>& out) {
    const wire::RecordId id{world.id(node), wire::kAddressesKind};
    const auto before = world.mesh(node).store().find(id);
    std::vector<std::size_t> waiting;
    for (std::size_t other = 0; other < world.size(); ++other) {
        if (other != node && world.up(other)) {
            waiting.push_back(other);
        }
    }
    world.change_addresses(node, tlvs);
    Duration waited{};
    while (!waiting.empty() && waited < limit) {
        world.run_for(kResolution);
        waited += kResolution;
        const auto made = world.mesh(node).store().find(id);
        const std::size_t arrived = made == before ? 0 : std::erase_if(waiting, [&](auto other) {
            const auto held = world.mesh(other).store().find(id);
            return held && held->stamp >= made->stamp;
        });
        out.insert(out.end(), arrived, waited);
    }
    out.insert(out.end(), waiting.size(), limit);
}

} // namespace

Rate idle_bytes(World& world, Duration span) {
    const Traffic before = carried(world);
    world.run_for(span);
    const Traffic after = carried(world);
    const double share =
        std::chrono::duration<double>(span).count() * static_cast<double>(world.size());
    return {static_cast<double>(after.tcp_bytes - before.tcp_bytes) / share,
            static_cast<double>(after.udp_bytes - before.udp_bytes) / share};
}

std::vector<Duration> spread_times(World& world, unsigned changes, Duration limit) {
    std::vector<Duration> out;
    for (unsigned i = 0; i < changes; ++i) {
        std::size_t node = world.random()() % world.size();
        while (!world.up(node)) {
            node = (node + 1) % world.size();
        }
        watch_change(world, node, some_addresses(world.random()()), limit, out);
    }
    std::ranges::sort(out);
    return out;
}

Duration percentile(const std::vector<Duration>& times, double share) {
    const double rank = std::ceil(share * static_cast<double>(times.size()));
    const auto at = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
    return times.empty() ? Duration::zero() : times[std::min(at, times.size() - 1)];
}

} // namespace weave::sim
