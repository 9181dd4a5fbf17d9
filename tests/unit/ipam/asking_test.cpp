// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/asking.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace weave;
using namespace weave::ipam;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;

NodeId node_of(std::uint8_t fill) {
    NodeId node;
    node.octets.fill(fill);
    return node;
}

/** Asks the first of the nodes that is not passed over. */
struct Nodes {
    Asking asking{2s};
    std::vector<NodeId> nodes{node_of(1), node_of(2)};
    bool reachable = true;

    void turn(TimePoint now) {
        asking.turn(
            now,
            false,
            [](Run) { return false; },
            [&](Run within) -> std::optional<NodeId> {
                for (const NodeId& node : nodes) {
                    if (!asking.is_passed_over(node, within)) {
                        return node;
                    }
                }
                return std::nullopt;
            },
            [&](const Asking::Asked&) { return reachable; });
    }
};

} // namespace

TEST_CASE(
    "who was asked in vain is passed over for that want alone, and the next want has its turn") {
    Nodes world;
    world.asking.want({0, 10}, kStart + 1h);
    world.asking.want({10, 20}, kStart + 1h);
    world.turn(kStart);
    REQUIRE(world.asking.asked());
    CHECK(world.asking.asked()->within == Run{0, 10});
    CHECK(world.asking.asked()->from == node_of(1));
    CHECK(world.asking.next_deadline() == kStart + 2s);
    world.turn(kStart + 2s);
    CHECK(world.asking.asked()->within == Run{10, 20});
    CHECK(world.asking.asked()->from == node_of(1)); // not passed over for this one
    CHECK(world.asking.is_passed_over(node_of(1), {0, 10}));
    CHECK_FALSE(world.asking.is_passed_over(node_of(1), {10, 20}));
    world.turn(kStart + 4s);
    CHECK(world.asking.asked()->within == Run{0, 10});
    CHECK(world.asking.asked()->from == node_of(2));
    world.turn(kStart + 10s);
    CHECK_FALSE(world.asking.is_passed_over(node_of(1), {0, 10}));
}

TEST_CASE("who went out of reach, or whose want ended, is not passed over") {
    Nodes world;
    world.asking.want({0, 10}, kStart + 1h);
    world.turn(kStart);
    world.reachable = false;
    world.nodes.clear();
    world.turn(kStart + 1s);
    CHECK_FALSE(world.asking.asked());
    CHECK_FALSE(world.asking.is_passed_over(node_of(1), {0, 10}));

    Nodes other;
    other.asking.want({0, 10}, kStart + 1s);
    other.turn(kStart);
    other.turn(kStart + 1s);
    CHECK_FALSE(other.asking.asked());
    CHECK(other.asking.empty());
    CHECK_FALSE(other.asking.is_passed_over(node_of(1), {0, 10}));
    CHECK(other.asking.next_deadline() == TimePoint::max());
}

TEST_CASE("no more wants are kept than the bound") {
    Asking asking(2s);
    for (Index i = 0; i < Asking::kMaxWants; ++i) {
        CHECK(asking.want({i, i + 1}, kStart));
    }
    CHECK_FALSE(asking.want({5000, 5001}, kStart));
    CHECK(asking.want({7, 8}, kStart + 1s));
}
