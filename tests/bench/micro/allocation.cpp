// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Addresses handed out and taken back by the allocator, in a /12 of which the node owns all, and in
// one that is nearly full of other holders' addresses.
#include "ipam/allocator.hpp"

#include <benchmark/benchmark.h>

namespace weave::ipam {
namespace {

void allocate_and_release(benchmark::State& state) {
    AllocatorSettings settings;
    settings.self.octets.fill(0x5a);
    settings.range = *Prefix::parse("10.32.0.0/12");
    TimePoint now{};
    Allocator allocator(settings, false, now);
    const auto held = static_cast<Index>(state.range(0));
    for (Index n = 0; n < held; ++n) {
        allocator.allocate("standing" + std::to_string(n), allocator.range(), now);
    }
    std::uint64_t turn = 0;
    for (auto _ : state) {
        const std::string holder = "pod" + std::to_string(turn++);
        const Answer answer = allocator.allocate(holder, allocator.range(), now);
        benchmark::DoNotOptimize(answer);
        allocator.release(holder, answer.index, now);
        now += std::chrono::milliseconds(2);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

BENCHMARK(allocate_and_release)->Arg(0)->Arg(100'000)->Arg(1'000'000);

} // namespace
} // namespace weave::ipam
