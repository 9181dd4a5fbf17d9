// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;
using Put = Store::Put;

namespace {

const TimePoint kNow = TimePoint{} + 1h;

} // namespace

TEST_CASE("a store keeps the newest record of each node and kind") {
    Store store{{}};
    CHECK(store.put(record_of(1, {1, 5})) == Put::stored);
    CHECK(store.put(record_of(1, {1, 5})) == Put::not_newer);
    CHECK(store.put(record_of(1, {1, 4})) == Put::not_newer);
    CHECK(store.put(record_of(1, {1, 4}, 10)) == Put::stored);
    CHECK(store.put(record_of(1, {2, 1})) == Put::stored);
    CHECK(store.put(record_of(1, {1, 99})) == Put::not_newer);
    CHECK(store.size() == 2);
    CHECK(store.find({node_of(1), 9})->stamp == wire::Stamp{2, 1});
    CHECK(store.find({node_of(1), 11}) == nullptr);
}

TEST_CASE("the digest depends on what is held, not on how it came") {
    Store left{{}};
    Store right{{}};
    for (std::uint64_t i = 0; i < 100; ++i) {
        left.put(record_of(i, {1, 1}));
        left.put(record_of(i, {1, 2}));
        right.put(record_of(99 - i, {1, 2}));
    }
    CHECK(left.digest().hashes == right.digest().hashes);
    right.put(record_of(7, {1, 3}));
    CHECK(left.digest().hashes != right.digest().hashes);
    left.put(record_of(7, {1, 3}));
    left.forget(node_of(8), kNow);
    right.forget(node_of(8), kNow);
    CHECK(left.digest().hashes == right.digest().hashes);
}

TEST_CASE("an empty store has an empty digest, also after all was forgotten") {
    Store store{{}};
    for (std::uint64_t i = 0; i < 20; ++i) {
        store.put(record_of(i, {1, i}));
    }
    for (std::uint64_t i = 0; i < 20; ++i) {
        store.forget(node_of(i), kNow);
    }
    CHECK(store.digest().hashes == wire::BucketDigest{}.hashes);
    CHECK(store.size() == 0);
    CHECK(store.bytes() == 0);
}

TEST_CASE("nodes, kinds and bytes are bounded; what replaces a record and is no longer fits") {
    Store store{{.nodes = 3, .records_per_node = 2, .tombstones = 2, .other_bytes = 1000}};
    CHECK(store.put(record_of(1, {1, 1}, 9, filler(380))) == Put::stored);
    CHECK(store.put(record_of(2, {1, 1}, 9, filler(180))) == Put::stored);
    CHECK(store.bytes() == 800);
    CHECK(store.put(record_of(3, {1, 1}, 9, filler(100))) == Put::too_many_bytes);
    CHECK(store.put(record_of(3, {1, 1})) == Put::stored);
    CHECK(store.put(record_of(4, {1, 1})) == Put::too_many_nodes);
    CHECK_FALSE(store.has_room({node_of(4), 9}));
    CHECK(store.put(record_of(1, {1, 2}, 9, filler(480))) == Put::too_many_bytes);
    CHECK(store.put(record_of(1, {1, 2}, 9, filler(380))) == Put::stored);
    CHECK(store.put(record_of(1, {1, 3})) == Put::stored);
    CHECK(store.put(record_of(1, {1, 1}, 10)) == Put::stored);
    CHECK(store.put(record_of(1, {1, 1}, 11)) == Put::too_many_records);
    CHECK(store.has_room({node_of(1), 10}));
    CHECK_FALSE(store.has_room({node_of(1), 11}));
    CHECK(store.size() == 4);
}

TEST_CASE("each channel has a budget of its own, kinds nobody knows one together") {
    Store store{{.topology_bytes = 600, .address_bytes = 600, .other_bytes = 600}};
    for (std::uint64_t node = 1; node < 20; ++node) {
        store.put(record_of(node, {1, 1}, static_cast<std::uint16_t>(60 + node), filler(80)));
    }
    CHECK(store.put(record_of(1, {1, 1}, 9, filler(80))) == Put::too_many_bytes);
    CHECK_FALSE(store.has_room({node_of(30), 77}));
    CHECK(store.has_room({node_of(30), wire::kTopologyKind}));
    CHECK(store.put(record_of(30, {1, 1}, wire::kTopologyKind, filler(80))) == Put::stored);
    CHECK(store.put(record_of(30, {1, 1}, wire::kAddressesKind, filler(80))) == Put::stored);
    for (std::uint64_t node = 1; node < 20; ++node) {
        store.put(record_of(node, {1, 1}, wire::kAddressesKind, filler(80)));
    }
    CHECK(store.put(record_of(40, {1, 1}, wire::kAddressesKind, filler(80))) ==
          Put::too_many_bytes);
    CHECK(store.put(record_of(31, {1, 1}, wire::kTopologyKind, filler(80))) == Put::stored);
    CHECK(store.bytes() <= 1800);
}

TEST_CASE("our own records fit, whatever others have filled the store with") {
    Store store{{.nodes = 1, .records_per_node = 2, .tombstones = 2, .other_bytes = 200}};
    CHECK(store.put(record_of(1, {1, 1}, 9, filler(60))) == Put::stored);
    CHECK(store.put(record_of(2, {1, 1})) == Put::too_many_nodes);
    CHECK(store.put(record_of(2, {1, 1}), true) == Put::stored);
}

TEST_CASE("what was forgotten is not believed again until something newer comes") {
    Store store{{}};
    store.put(record_of(1, {3, 7}, 9));
    store.put(record_of(1, {3, 5}, 10));
    store.forget(node_of(1), kNow + 15min);
    CHECK(store.tombstone(node_of(1)) == wire::Stamp{3, 7});
    CHECK(store.put(record_of(1, {3, 7}, 9)) == Put::not_newer);
    CHECK(store.put(record_of(1, {3, 6}, 10)) == Put::not_newer);
    store.expire_tombstones(kNow + 14min);
    CHECK(store.put(record_of(1, {3, 7}, 9)) == Put::not_newer);
    CHECK(store.put(record_of(1, {3, 8}, 9)) == Put::stored);
}

TEST_CASE("a node that is back is known by its last records, not by older ones") {
    Store store{{}};
    store.put(record_of(1, {3, 7}, 9));
    store.put(record_of(1, {3, 5}, 10));
    store.forget(node_of(1), kNow + 15min);
    store.lift_tombstone(node_of(1));
    CHECK_FALSE(store.tombstone(node_of(1)));
    CHECK(store.put(record_of(1, {3, 6}, 9)) == Put::not_newer);
    CHECK(store.put(record_of(1, {3, 4}, 10)) == Put::not_newer);
    CHECK(store.put(record_of(1, {3, 7}, 9)) == Put::stored);
    CHECK(store.put(record_of(1, {3, 5}, 10)) == Put::stored);
    CHECK(store.put(record_of(1, {1, 1}, 11)) == Put::stored);
    store.forget(node_of(1), kNow + 15min);
    CHECK(store.put(record_of(1, {3, 7}, 9)) == Put::not_newer);
    store.expire_tombstones(kNow + 15min);
    CHECK(store.put(record_of(1, {1, 1}, 9)) == Put::stored);
}

TEST_CASE("tombstones are bounded, the oldest goes first") {
    Store store{{.nodes = 10, .records_per_node = 2, .tombstones = 2, .other_bytes = 10000}};
    for (std::uint64_t i = 1; i <= 3; ++i) {
        store.put(record_of(i, {1, 9}));
        store.forget(node_of(i), kNow + 1min);
    }
    CHECK(store.put(record_of(1, {1, 1})) == Put::stored);
    CHECK(store.put(record_of(2, {1, 1})) == Put::not_newer);
    CHECK(store.put(record_of(3, {1, 1})) == Put::not_newer);
}

TEST_CASE("nodes that come and go with ever new kinds do not make a tombstone grow") {
    Store store{{.nodes = 2, .records_per_node = 4, .tombstones = 2, .other_bytes = 10000}};
    for (std::uint16_t round = 0; round < 50; ++round) {
        for (std::uint16_t kind = 0; kind < 4; ++kind) {
            const auto id = static_cast<std::uint16_t>(round * 4 + kind);
            CHECK(store.put(record_of(1, {1, round + 1u}, id)) == Put::stored);
        }
        store.forget(node_of(1), kNow + 1min);
    }
    CHECK(store.put(record_of(1, {1, 50}, 1)) == Put::not_newer);
}

TEST_CASE("records are found by node and number, in order, whatever order they came in") {
    Store store{{}};
    for (std::uint64_t i = 0; i < 200; ++i) {
        store.put(record_of(i * 7919 % 200, {1, 1}, 12));
        store.put(record_of(i, {1, 1}, static_cast<std::uint16_t>(10 + i % 2)));
    }
    store.forget(node_of(5), kNow);
    CHECK(store.nodes() == 199);
    CHECK(store.size() == 398);
    CHECK(store.of(node_of(5)).empty());
    const auto both = store.of(node_of(6));
    REQUIRE(both.size() == 2);
    CHECK(both[0]->kind == 10);
    CHECK(both[1]->kind == 12);
    std::set<NodeId> nodes;
    for (std::size_t i = 0; i < store.nodes(); ++i) {
        nodes.insert(store.node(i));
        CHECK((i == 0 || store.node(i - 1) < store.node(i)));
    }
    CHECK(nodes.size() == 199);
}
