// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// One address change from the record to what lanes read: the owners' bookkeeping, the next table,
// and the snapshot's publication, in a mesh of many peers.
#include "daemon/owners.hpp"
#include "dataplane/snapshot_cell.hpp"

#include <vector>

#include <benchmark/benchmark.h>

namespace weave::daemon {
namespace {

using dataplane::PeerEntry;
using dataplane::PeerIndex;
using dataplane::PeerState;
using dataplane::PeerTable;

NodeId node_of(std::uint32_t n) {
    NodeId node;
    node.octets = {0x77, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)};
    return node;
}

MacAddress mac_of(std::uint32_t n) {
    return {{0x02,
             0,
             static_cast<std::uint8_t>(n >> 24),
             static_cast<std::uint8_t>(n >> 16),
             static_cast<std::uint8_t>(n >> 8),
             static_cast<std::uint8_t>(n)}};
}

Prefix prefix_of(std::uint32_t n) {
    return {IpAddress::v4({10,
                           static_cast<std::uint8_t>(32 + (n >> 16)),
                           static_cast<std::uint8_t>(n >> 8),
                           static_cast<std::uint8_t>(n)}),
            32};
}

/** `pods` pods of one node: a MAC and an address each. */
wire::Addresses addresses_of(std::uint32_t node, std::uint32_t pods) {
    wire::Addresses out;
    for (std::uint32_t n = node * pods; n < (node + 1) * pods; ++n) {
        out.macs.push_back(mac_of(n));
        out.prefixes.push_back(prefix_of(n));
    }
    return out;
}

std::shared_ptr<const PeerTable> peers_of(std::uint32_t count) {
    std::vector<PeerEntry> entries(count);
    for (std::uint32_t n = 0; n < count; ++n) {
        entries[n].node = node_of(n);
        entries[n].relay = relay_address(entries[n].node);
        entries[n].state = std::make_shared<PeerState>(1);
    }
    return std::make_shared<PeerTable>(std::move(entries),
                                       std::span<const std::shared_ptr<dataplane::DataSession>>{});
}

void one_pod_moves(benchmark::State& state) {
    const auto nodes = static_cast<std::uint32_t>(state.range(0));
    const auto pods = static_cast<std::uint32_t>(state.range(1)) / 2 / nodes;
    Owners owners;
    for (PeerIndex n = 0; n < nodes; ++n) {
        owners.set(node_of(n), n, addresses_of(n, pods));
    }
    dataplane::SnapshotCell cell;
    dataplane::Snapshot snapshot;
    snapshot.peers = peers_of(nodes);
    std::uint32_t turn = 0;
    wire::Addresses addresses;
    for (auto _ : state) {
        state.PauseTiming();
        const std::uint32_t node = turn * 7 % nodes;
        addresses = addresses_of(node, pods);
        // Every other time around it comes back.
        if (turn / nodes % 2 == 0) {
            addresses.macs.pop_back();
            addresses.prefixes.pop_back();
        }
        ++turn;
        state.ResumeTiming();
        owners.set(node_of(node), node, addresses);
        snapshot.addresses = owners.table();
        cell.publish(snapshot);
    }
}

BENCHMARK(one_pod_moves)->Args({100, 10000})->Args({1000, 100000})->Unit(benchmark::kMicrosecond);

} // namespace
} // namespace weave::daemon
