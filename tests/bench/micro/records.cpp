// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/identity.hpp"
#include "crypto/init.hpp"
#include "wire/record.hpp"

#include <benchmark/benchmark.h>

namespace weave::wire {
namespace {

NodeId identify(const RecordKey& key) {
    return crypto::node_id(key);
}

bool verify(const RecordKey& key, ByteView message, const RecordSignature& signature) {
    return crypto::verify(key, message, signature);
}

/** A node's topology record as the mesh carries it: two addresses, two nodes it cannot reach. */
Record some_record() {
    crypto::init();
    const crypto::Identity owner = crypto::Identity::generate();
    Topology topology;
    topology.name = "host-1.example";
    topology.endpoints = {*Endpoint::parse("192.0.2.1", 6783),
                          *Endpoint::parse("2001:db8::1", 6783)};
    topology.unreachable.resize(2);
    topology.software = "weavemesh";
    return *sign_record(owner.id(),
                        owner.sign_public(),
                        {1, 1},
                        kTopologyKind,
                        encode_topology(topology),
                        [&](ByteView message) { return owner.sign(message); });
}

void record_decode(benchmark::State& state) {
    const Record record = some_record();
    for (auto _ : state) {
        benchmark::DoNotOptimize(decode_record(record.raw, identify));
    }
    state.SetItemsProcessed(state.iterations());
}

void topology_decode(benchmark::State& state) {
    const Record record = some_record();
    for (auto _ : state) {
        benchmark::DoNotOptimize(decode_topology(record.tlvs()));
    }
    state.SetItemsProcessed(state.iterations());
}

void record_verify(benchmark::State& state) {
    const Record record = some_record();
    for (auto _ : state) {
        if (!verify_record(record, verify)) {
            state.SkipWithError("the signature does not hold");
        }
    }
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK(record_decode);
BENCHMARK(topology_decode);
BENCHMARK(record_verify)->Unit(benchmark::kMicrosecond);

} // namespace
} // namespace weave::wire
