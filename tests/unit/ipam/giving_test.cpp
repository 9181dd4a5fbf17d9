// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/allocator.hpp"
#include "mesh.hpp"
#include "wire/record.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;
using Outcome = Answer::Outcome;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;
constexpr std::uint8_t kOther = 9;

/** Node 5, alone with all of the range. */
Allocator founder(const std::string& range) {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse(range);
    Allocator out(settings, false, kStart);
    out.allocate("first", out.range(), kStart);
    out.on_reachable(node_at(kOther), true, kStart);
    out.changed();
    return out;
}

wire::Allocation plea_of(const Allocator& node, Run within) {
    wire::Allocation out;
    out.range = node.record().range;
    out.want = wire::Allocation::Want{node_at(5), within.first, within.end};
    return out;
}

std::size_t owned_by_other(const Allocator& node) {
    std::size_t out = 0;
    for (const auto& [run, stamp] : node.ring().owned(node_at(kOther), node.range())) {
        out += run.size();
    }
    return out;
}

} // namespace

TEST_CASE("what was used once and has rested counts as free, and is given away") {
    Allocator node = founder("10.0.0.0/29");
    for (int i = 0; i < 5; ++i) {
        REQUIRE(node.allocate(std::to_string(i), node.range(), kStart).outcome == Outcome::ok);
    }
    node.on_allocation(node_at(kOther), plea_of(node, node.range()), kStart);
    node.tick(kStart);
    CHECK(owned_by_other(node) == 0);
    CHECK(node.next_deadline() == TimePoint::max());
    const Index freed = node.leases().held_by("3").front();
    node.release("3", freed, kStart);
    node.tick(kStart + 1s);
    CHECK(owned_by_other(node) == 0);
    CHECK(node.next_deadline() == kStart + 60s); // somebody waits for it
    node.tick(kStart + 60s);
    CHECK(owned_by_other(node) >= 1);
    CHECK(node.ring().at(freed).owner == node_at(kOther));
}

TEST_CASE("a plea is served once until its gift is confirmed") {
    Allocator node = founder("10.0.0.0/16");
    auto said = plea_of(node, node.range());
    node.on_allocation(node_at(kOther), said, kStart);
    node.tick(kStart);
    const std::size_t first = owned_by_other(node);
    CHECK(first == 16384);
    CHECK(node.changed().record);
    for (int i = 1; i < 5; ++i) { // the same record again, and time passes
        node.on_allocation(node_at(kOther), said, kStart + i * 1s);
        node.tick(kStart + i * 1s);
    }
    CHECK(owned_by_other(node) == first);
    CHECK_FALSE(node.changed().record);
    const auto [run, stamp] = node.ring().owned(node_at(kOther), node.range()).front();
    said.claims = {{run.first, run.end, stamp.era, stamp.version, std::nullopt}};
    node.on_allocation(node_at(kOther), said, kStart + 9s); // confirmed, and wants more
    CHECK(node.state().given.empty());
    node.tick(kStart + 9s);
    CHECK(owned_by_other(node) > first);
}

TEST_CASE("who is out of reach is given nothing until it is back") {
    Allocator node = founder("10.0.0.0/16");
    node.on_allocation(node_at(kOther), plea_of(node, node.range()), kStart);
    node.on_reachable(node_at(kOther), false, kStart);
    node.tick(kStart);
    CHECK(owned_by_other(node) == 0);
    node.on_reachable(node_at(kOther), true, kStart);
    node.tick(kStart);
    CHECK(owned_by_other(node) > 0);
}

TEST_CASE("what was given is retired piece by piece: confirmed, or given on") {
    Allocator node = founder("10.0.0.0/24");
    node.on_allocation(node_at(kOther), plea_of(node, {64, 128}), kStart);
    node.tick(kStart);
    REQUIRE(node.state().given.size() == 1);
    const auto [run, gift] = node.state().given.front();
    REQUIRE(run.size() >= 8);
    const Run third{run.first, run.first + 4};
    // Another says it as its own: not the one who got it.
    wire::Allocation other;
    other.range = node.record().range;
    other.claims = {{run.first, run.end, 0, gift.stamp.version, node_at(kOther)}};
    node.on_allocation(node_at(77), other, kStart);
    CHECK(node.state().given.size() == 1);
    // The new owner has given the first four on, and says the next two itself.
    wire::Allocation said;
    said.range = node.record().range;
    said.claims = {{third.first, third.end, 0, gift.stamp.version + 1, node_at(77)},
                   {third.end, third.end + 2, 0, gift.stamp.version, std::nullopt}};
    node.on_allocation(node_at(kOther), said, kStart);
    REQUIRE(node.state().given.size() == 1);
    CHECK(node.state().given.front().first == Run{third.end + 2, run.end});
    CHECK(node.changed().record);
    node.on_allocation(node_at(kOther), said, kStart);
    CHECK_FALSE(node.changed().record);
    said.claims[1].end = run.end;
    node.on_allocation(node_at(kOther), said, kStart);
    CHECK(node.state().given.empty());
}

TEST_CASE("the last places stay with whoever's own holder comes back for them") {
    Mesh mesh("10.0.0.0/29", {1, 2});
    mesh.allocate(0, "a");
    mesh.pass(3s);
    for (const auto* pod : {"a", "b", "c", "d", "e"}) {
        REQUIRE(mesh.allocate(0, pod).outcome == Outcome::ok);
    }
    // One is left: both want it, and it does not go to and fro.
    mesh.allocate(1, "x");
    mesh.pass(1s);
    CHECK(mesh.allocate(0, "f").outcome != Outcome::ok);
    const std::size_t said = mesh.published();
    mesh.pass(1s);
    CHECK(mesh.published() <= said + 4);
    CHECK(mesh.allocate(1, "x").outcome == Outcome::ok);
}

TEST_CASE("no change of any record for an allocation while the node has space") {
    Allocator node = founder("10.0.0.0/16");
    std::size_t changes = 0;
    for (int i = 0; i < 5000; ++i) {
        const std::string pod = std::to_string(i);
        const auto answer = node.allocate(pod, node.range(), kStart + i * 10ms);
        REQUIRE(answer.outcome == Outcome::ok);
        if (i % 2 == 0) {
            node.release(pod, answer.index, kStart + i * 10ms);
        }
        node.tick(kStart + i * 10ms);
        const auto changed = node.changed();
        changes += changed.record ? 1U : 0U;
        CHECK(changed.state);
    }
    CHECK(changes == 0);
}

TEST_CASE("many single gifts become one piece") {
    Allocator node = founder("10.0.0.0/16");
    wire::Allocation said;
    said.range = node.record().range;
    said.claims = {{0, 65536, 0, 50, std::nullopt}}; // all of it is another's
    node.on_allocation(node_at(kOther), said, kStart);
    said.claims.clear();
    for (Index i = 0; i < 40; ++i) {
        said.claims.push_back({100 + i, 101 + i, 0, 60 + i, node_at(5)});
    }
    node.on_allocation(node_at(kOther), said, kStart);
    const auto owned = node.ring().owned(node_at(5), node.range());
    REQUIRE(owned.size() == 1);
    CHECK(owned.front() == std::pair(Run{100, 140}, Stamp{0, 100}));
    CHECK(node.record().claims.size() == 1);
}

TEST_CASE("a record never has more than it may, whatever others give") {
    Allocator node = founder("10.0.0.0/16");
    for (Index round = 0; round < 8; ++round) {
        wire::Allocation said;
        said.range = node.record().range;
        said.claims.push_back({2 * 256 * round, 2 * 256 * (round + 1), 0, 50, std::nullopt});
        node.on_allocation(node_at(kOther), said, kStart);
        said.claims.clear();
        for (Index i = 0; i < 256; ++i) {
            const Index at = 2 * (256 * round + i);
            said.claims.push_back({at, at + 1, 0, 60, node_at(5)});
        }
        node.on_allocation(node_at(kOther), said, kStart);
    }
    CHECK(node.ring().owned(node_at(5), node.range()).size() <= Allocator::kMaxOwned + 8);
    CHECK(node.record().claims.size() <= wire::kMaxClaims);
    CHECK(wire::encode_allocation(node.record()).size() <= wire::kMaxTlvBytes);
    CHECK(node.report().left_out > 0);
}

TEST_CASE("a member that claims ever more places cannot make the ring grow without end") {
    Allocator node = founder("10.0.0.0/8");
    for (Index round = 0; round < 100; ++round) {
        wire::Allocation said;
        said.range = node.record().range;
        for (Index i = 0; i < 256; ++i) {
            const Index at = 2 * (256 * round + i);
            NodeId owner = node_at(at % 60000);
            owner.octets[15] = static_cast<std::uint8_t>(i);
            said.claims.push_back({at, at + 1, 0, 2 + round, owner});
        }
        node.on_allocation(node_at(kOther), said, kStart);
    }
    // Of the whole range, in many names that each begin elsewhere, splits it as well.
    for (Index round = 0; round < 2000; ++round) {
        wire::Allocation said;
        said.range = node.record().range;
        NodeId owner = node_at(round * 30);
        owner.octets[5] = 1;
        said.claims.push_back({0, 1U << 24U, 0, 200, owner});
        node.on_allocation(node_at(kOther), said, kStart);
    }
    CHECK(node.ring().piece_count() <
          Allocator::kManyPieces + static_cast<std::size_t>(Allocator::kMaxGrowth));
    CHECK(node.report().left_out > 0);
    // Another's claims are believed all the same.
    wire::Allocation honest;
    honest.range = node.record().range;
    honest.claims = {{9'000'001, 9'000'003, 1, 0, std::nullopt}};
    node.on_allocation(node_at(8), honest, kStart);
    CHECK(node.ring().at(9'000'002).owner == node_at(8));
}

TEST_CASE("of a place that a record claims twice the first counts") {
    Allocator node = founder("10.0.0.0/24");
    wire::Allocation said;
    said.range = node.record().range;
    said.claims = {{0, 8, 0, 7, std::nullopt}, {4, 12, 0, 9, std::nullopt}};
    node.on_allocation(node_at(kOther), said, kStart);
    CHECK(node.ring().at(5).stamp == Stamp{0, 7});
    CHECK(node.ring().at(9).owner == node_at(5));
    CHECK(node.report().left_out == 1);
}

TEST_CASE("an address that another node's pod has, and that is reserved here, counts once") {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.0/28");
    Allocator node(settings, false, kStart);
    node.on_reachable(node_at(kOther), true, kStart);
    wire::Allocation said;
    said.range = settings.range;
    said.claims.push_back({0, 16, 0, 1, std::nullopt});
    node.on_allocation(node_at(kOther), said, kStart);
    node.allocate("of a subnet", {4, 8}, kStart); // 4 and 7 are nobody's from here on
    node.on_in_use(node_at(kOther), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
    node.give_up({4, 8});
    const Answer answer = node.allocate("any", node.range(), kStart); // 14 is free
    CHECK(answer.outcome == Outcome::wait);
    CHECK(answer.node == node_at(kOther));
}
