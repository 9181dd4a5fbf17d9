// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tables.hpp"

#include <vector>

#include <benchmark/benchmark.h>

namespace weave::dataplane {
namespace {

MacAddress mac_of(std::uint32_t n) {
    return {{0x02,
             0,
             static_cast<std::uint8_t>(n >> 24),
             static_cast<std::uint8_t>(n >> 16),
             static_cast<std::uint8_t>(n >> 8),
             static_cast<std::uint8_t>(n)}};
}

IpAddress address_of(std::uint32_t n) {
    return IpAddress::v4({10,
                          static_cast<std::uint8_t>(32 + (n >> 16)),
                          static_cast<std::uint8_t>(n >> 8),
                          static_cast<std::uint8_t>(n)});
}

/** Half MACs, half host prefixes and a few shorter ones, as pods of a large mesh have them. */
AddressTable table_of(std::uint32_t entries) {
    std::vector<AddressChange> changes;
    for (std::uint32_t n = 0; n < entries / 2; ++n) {
        changes.push_back({mac_of(n), n % 1000});
        changes.push_back({Prefix{address_of(n), 32}, n % 1000});
    }
    changes.push_back({Prefix{*IpAddress::parse("192.0.2.0"), 24}, 1});
    changes.push_back({Prefix{*IpAddress::parse("10.32.0.0"), 12}, 2});
    return AddressTable{}.with(changes);
}

void one_mac_changes(benchmark::State& state) {
    AddressTable table = table_of(static_cast<std::uint32_t>(state.range(0)));
    std::uint32_t n = 0;
    for (auto _ : state) {
        const AddressChange change{mac_of(n * 7919 % 50000), n % 1000};
        // The old table is alive while the new one is made, as it is under readers.
        AddressTable next = table.with({&change, 1});
        table = std::move(next);
        ++n;
    }
}

void one_prefix_changes(benchmark::State& state) {
    AddressTable table = table_of(static_cast<std::uint32_t>(state.range(0)));
    std::uint32_t n = 0;
    for (auto _ : state) {
        const AddressChange change{Prefix{address_of(n * 7919 % 50000), 32}, n % 1000};
        AddressTable next = table.with({&change, 1});
        table = std::move(next);
        ++n;
    }
}

void find_mac(benchmark::State& state) {
    const AddressTable table = table_of(static_cast<std::uint32_t>(state.range(0)));
    std::uint32_t n = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(table.owner(mac_of(n)));
        n = (n + 7919) % 50000;
    }
    state.SetItemsProcessed(state.iterations());
}

void find_address(benchmark::State& state) {
    const AddressTable table = table_of(static_cast<std::uint32_t>(state.range(0)));
    std::uint32_t n = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(table.owner(address_of(n)));
        n = (n + 7919) % 50000;
    }
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK(one_mac_changes)->Arg(1000)->Arg(100000)->Unit(benchmark::kMicrosecond);
BENCHMARK(one_prefix_changes)->Arg(100000)->Unit(benchmark::kMicrosecond);
BENCHMARK(find_mac)->Arg(1000)->Arg(100000);
BENCHMARK(find_address)->Arg(1000)->Arg(100000);

} // namespace
} // namespace weave::dataplane
