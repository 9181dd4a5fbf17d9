// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mesh/mesh.hpp"
#include "wire/record.hpp"

#include <cstdint>
#include <random>

namespace weave::test {

/**
 * Stand-ins for signatures and ids: anybody can forge them, equal inputs give equal outputs, a
 * changed byte is noticed. For machines that take signing as a port; the real one has tests of its
 * own.
 */
inline std::uint64_t fake_hash(ByteView bytes, std::uint64_t hash = 0xcbf29ce484222325u) {
    for (const std::uint8_t byte : bytes) {
        hash = (hash ^ byte) * 0x100000001b3u;
    }
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 29);
}

template <std::size_t N> void spread_hash(std::uint64_t hash, std::array<std::uint8_t, N>& out) {
    for (std::size_t i = 0; i < N; ++i) {
        if (i % 8 == 0) {
            hash = (hash + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
            hash ^= hash >> 31;
        }
        out[i] = static_cast<std::uint8_t>(hash >> (8 * (i % 8)));
    }
}

inline wire::RecordKey fake_key(std::uint64_t number) {
    wire::RecordKey key{};
    spread_hash(number ^ 0x5eedu, key);
    return key;
}

inline NodeId fake_identify(const wire::RecordKey& key) {
    NodeId node;
    spread_hash(fake_hash(key), node.octets);
    return node;
}

inline wire::RecordSignature fake_sign(const wire::RecordKey& key, ByteView message) {
    wire::RecordSignature out{};
    spread_hash(fake_hash(message, fake_hash(key)), out);
    return out;
}

/** Ports of the node that holds `key`; `random` is shared, so that one seed decides everything. */
inline mesh::Ports fake_ports(const wire::RecordKey& key, std::mt19937_64& random) {
    return {
        .sign = [key](ByteView message) { return fake_sign(key, message); },
        .verify =
            [](const wire::Record& record) {
                return fake_sign(record.key, record.signed_part()) == record.signature();
            },
        .decode = [](ByteView raw) { return wire::decode_shared(raw, fake_identify); },
        .identify = fake_identify,
        .random =
            [&random](ByteSpan out) {
                for (std::uint8_t& byte : out) {
                    byte = static_cast<std::uint8_t>(random());
                }
            },
    };
}

} // namespace weave::test
