// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Addresses handed out and taken back by the allocator, in a /12 of which the node owns all, and in
// one that is nearly full of other holders' addresses; and what a mesh of 1,000 nodes has to say of
// who owns what.
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

/** One of 1,000 nodes that own 1,024 places each. Beside the time: the bytes of all their records,
 * header and signature included, and how many records the allocations of this run caused. */
void allocate_in_a_mesh_of_1000(benchmark::State& state) {
    constexpr Index kNodes = 1000;
    constexpr Index kEach = 1024;
    constexpr std::size_t kRecordOverhead = 117;
    AllocatorSettings settings;
    settings.range = *Prefix::parse("10.32.0.0/12");
    TimePoint now{};
    Allocator allocator(settings, true, now);
    std::size_t bytes = 0;
    for (Index number = 0; number < kNodes; ++number) {
        NodeId node;
        node.octets = {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
        wire::Allocation said;
        said.range = settings.range.network();
        said.claims = {{number * kEach, (number + 1) * kEach, 1, 1, std::nullopt}};
        bytes += wire::encode_allocation(said).size() + kRecordOverhead;
        if (node == settings.self) {
            AllocatorState own;
            own.range = settings.range;
            own.ring = {{{number * kEach, (number + 1) * kEach}, {node, {1, 1}}}};
            allocator.restore(own, now);
        } else {
            allocator.on_allocation(node, said, now);
        }
    }
    (void)allocator.changed();
    std::uint64_t records = 0;
    std::uint64_t turn = 0;
    for (auto _ : state) {
        const std::string holder = "pod" + std::to_string(turn++);
        const Answer answer = allocator.allocate(holder, allocator.range(), now);
        records += allocator.changed().record ? 1U : 0U;
        allocator.release(holder, answer.index, now);
        now += std::chrono::milliseconds(100);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.counters["record_bytes"] = static_cast<double>(bytes);
    state.counters["records_caused"] = static_cast<double>(records);
}

BENCHMARK(allocate_in_a_mesh_of_1000);

} // namespace
} // namespace weave::ipam
