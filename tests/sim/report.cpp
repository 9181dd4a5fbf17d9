// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// One line about a world of N nodes: how fast it comes to rest, what it costs each node, and us.
#include "sim/scenarios.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/resource.h>

using namespace std::chrono_literals;
using weave::Duration;
using weave::sim::World;

namespace {

constexpr Duration kBoot = 10s;
constexpr Duration kPatience = 10min;
constexpr Duration kSettle = 20s;
constexpr Duration kIdle = 60s;
constexpr unsigned kChanges = 10;

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double milliseconds(Duration duration) {
    return 1000 * seconds(duration);
}

struct Spread {
    double least = 0;
    double mean = 0;
    double most = 0;
};

template <class Of> Spread spread(const World& world, Of of) {
    Spread out{1e300, 0, 0};
    for (std::size_t index = 0; index < world.size(); ++index) {
        const double value = of(index);
        out.least = std::min(out.least, value);
        out.mean += value / static_cast<double>(world.size());
        out.most = std::max(out.most, value);
    }
    return out;
}

/** Until all hold the same; nothing: they did not in time. */
std::optional<Duration> converge(World& world) {
    for (Duration waited{}; waited < kPatience; waited += 50ms) {
        if (world.same_records()) {
            return waited;
        }
        world.run_for(50ms);
    }
    return std::nullopt;
}

double peak_mebibytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

int report(World& world) {
    const auto began = std::chrono::steady_clock::now();
    weave::sim::boot_within(world, kBoot);
    const auto converged = converge(world);
    if (!converged) {
        std::printf("nodes=%zu: %s\n", world.size(), world.unconverged().c_str());
        return 1;
    }
    const Spread until_then = spread(world, [&](std::size_t index) {
        const auto& carried = world.carried(index);
        return static_cast<double>(carried.tcp_bytes + carried.udp_bytes);
    });
    world.run_for(kSettle);
    const auto times = weave::sim::spread_times(world, kChanges, 1min);
    const auto idle = weave::sim::idle_bytes(world, kIdle);
    const Spread links = spread(world, [&](std::size_t index) {
        return static_cast<double>(world.mesh(index).links().size());
    });
    std::printf("nodes=%zu converged_s=%.2f change_p50_ms=%.0f change_p99_ms=%.0f "
                "change_last_ms=%.0f until_then_kB_mean=%.1f until_then_kB_most=%.1f "
                "idle_tcp_B_s=%.1f idle_udp_B_s=%.1f links=%.0f/%.1f/%.0f real_s=%.1f "
                "peak_MB=%.0f\n",
                world.size(),
                seconds(*converged),
                milliseconds(weave::sim::percentile(times, 0.5)),
                milliseconds(weave::sim::percentile(times, 0.99)),
                milliseconds(times.back()),
                until_then.mean / 1000,
                until_then.most / 1000,
                idle.tcp_bytes,
                idle.udp_bytes,
                links.least,
                links.mean,
                links.most,
                seconds(std::chrono::steady_clock::now() - began),
                peak_mebibytes());
    for (const auto& violation : world.violations()) {
        std::printf("%s: %s\n", violation.name.c_str(), violation.detail.c_str());
    }
    return world.violations().empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    const std::size_t nodes = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 0;
    if (nodes < 2) {
        std::fprintf(stderr, "usage: report NODES [SEED]\n");
        return 2;
    }
    World world(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1, nodes, {});
    return report(world);
}
