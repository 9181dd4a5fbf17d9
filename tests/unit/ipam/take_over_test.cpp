// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/allocator.hpp"
#include "mesh.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;
using Outcome = Answer::Outcome;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;

/** Node 5 owns the first eight of sixteen, node 9 the others. */
Allocator half() {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.0/28");
    Allocator out(settings, true, kStart);
    wire::Allocation said;
    said.range = settings.range;
    said.claims = {{0, 8, 0, 2, node_at(5)}, {8, 16, 0, 2, std::nullopt}};
    out.on_allocation(node_at(9), said, kStart);
    return out;
}

std::vector<Index> take_all(Allocator& node, TimePoint now) {
    std::vector<Index> out;
    for (int i = 0; i < 30; ++i) {
        const auto answer = node.allocate("pod" + std::to_string(i), node.range(), now);
        if (answer.outcome == Outcome::ok) {
            out.push_back(answer.index);
        }
    }
    return out;
}

} // namespace

TEST_CASE("what is taken over goes out last, and what was last known in use the very last") {
    Allocator node = half();
    node.on_in_use(node_at(9), {8, 9, 12});
    CHECK(node.claim("x", 3, false, kStart).outcome == Outcome::ok);
    CHECK(node.release("x", 3, kStart));
    REQUIRE(node.take_over(node_at(9), 1, 1) > 0);
    CHECK(node.ring().at(8) == Claim{node_at(5), {1, 0}});
    CHECK(node.free(node.range()) == 6); // 0 is nobody's and 3 rests
    CHECK(node.report().taken_over == 7);
    const auto got = take_all(node, kStart + 60s);
    CHECK(got == std::vector<Index>{5, 6, 7, 1, 2, 4, 3, 10, 11, 13, 14, 8, 9, 12});
}

TEST_CASE("who comes back and says what it uses keeps that, and its old claims lose") {
    Allocator node = half();
    node.on_in_use(node_at(9), {8, 9, 12});
    REQUIRE(node.take_over(node_at(9), 1, 1) > 0);
    CHECK(node.claim("mine", 9, false, kStart).outcome == Outcome::ok);
    CHECK(node.conflicts().empty()); // not known to live
    node.on_reachable(node_at(9), true, kStart);
    wire::Allocation said;
    said.range = *Prefix::parse("10.0.0.0/28");
    said.claims = {{8, 16, 0, 7, std::nullopt}};
    node.on_allocation(node_at(9), said, kStart);
    node.on_in_use(node_at(9), {8, 9, 11});
    CHECK(node.ring().at(8).owner == node_at(5));
    CHECK(node.claim("more", 8, false, kStart).outcome == Outcome::used);
    REQUIRE(node.conflicts().size() == 1);
    CHECK(node.conflicts().front().index == 9);
    CHECK(node.conflicts().front().ours);
    const auto got = take_all(node, kStart);
    const std::set<Index> all(got.begin(), got.end());
    CHECK(all == std::set<Index>{1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 14});
    // Freed here it stays with the other, who uses it.
    node.release("mine", 9, kStart);
    CHECK(node.claim("more", 9, false, kStart + 1h).outcome == Outcome::used);
}

TEST_CASE("only what is of an earlier era is taken") {
    Allocator node = half();
    wire::Allocation said;
    said.range = *Prefix::parse("10.0.0.0/28");
    said.claims = {{8, 10, 3, 0, std::nullopt}};
    node.on_allocation(node_at(9), said, kStart);
    const Ring before = node.ring();
    CHECK(node.take_over(node_at(9), 2, 2) == 6); // what is older
    CHECK(node.ring().at(8) == before.at(8));
    CHECK(node.take_over(node_at(9), 3, 3) == 0);
    CHECK(node.take_over(node_at(5), 9, 9) == 0); // itself, and it has no fence
    CHECK(node.take_over(node_at(9), 4, 4) == 2);
    CHECK(node.ring().owned(node_at(9), node.range()).empty());
}

TEST_CASE("who is away is so after a restart too, until it is forgotten") {
    Allocator node = half();
    node.on_in_use(node_at(9), {8, 9});
    node.take_over(node_at(9), 1, 1);
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.0/28");
    Allocator again(settings, true, kStart);
    CHECK(again.restore(node.state(), kStart).all);
    CHECK(again.state() == node.state());
    again.on_in_use(node_at(9), {8, 9}); // its old record, kept by the mesh
    CHECK(again.claim("a", 8, false, kStart).outcome == Outcome::ok);
    CHECK(again.report().taken_over == 6);
    again.forget_use(node_at(9));
    CHECK(again.changed().state);
    CHECK(again.state().away.empty());
    CHECK(again.state().lent.empty());
}

TEST_CASE("who is gone for good uses nothing") {
    Allocator node = half();
    node.on_in_use(node_at(9), {3});
    CHECK(node.claim("a", 3, false, kStart).outcome == Outcome::used);
    node.forget_use(node_at(9));
    CHECK(node.claim("a", 3, false, kStart).outcome == Outcome::ok);
}

TEST_CASE("what was taken over is given away too, when nothing else is left") {
    Allocator node = half();
    node.take_over(node_at(9), 1, 1);
    node.on_reachable(node_at(6), true, kStart);
    wire::Allocation plea;
    plea.range = *Prefix::parse("10.0.0.0/28");
    plea.want = wire::Allocation::Want{node_at(5), 0, 16};
    node.on_allocation(node_at(6), plea, kStart);
    node.tick(kStart);
    CHECK(node.ring().owned(node_at(6), {0, 8}).size() == 1); // of the first choice first
    CHECK(node.ring().owned(node_at(6), {8, 16}).empty());
    plea.want->first = 8;
    plea.claims = {{4, 6, 0, 3, std::nullopt}};
    for (const auto& [run, stamp] : node.ring().owned(node_at(6), node.range())) {
        plea.claims = {{run.first, run.end, stamp.era, stamp.version, std::nullopt}};
    }
    node.on_allocation(node_at(6), plea, kStart);
    node.tick(kStart);
    CHECK(node.ring().owned(node_at(6), {8, 16}).size() == 1);
    CHECK(node.ring().owned(node_at(6), {8, 16}).front().second == Stamp{1, 1});
}

TEST_CASE("for people: who owns and uses how much") {
    Allocator node = half();
    node.on_reachable(node_at(9), true, kStart);
    node.on_in_use(node_at(9), {8, 9});
    node.claim("a", 3, false, kStart);
    node.claim("b", 4, false, kStart);
    node.release("b", 4, kStart);
    const Report report = node.report();
    REQUIRE(report.owners.size() == 2);
    CHECK(report.owners[0].node == node_at(5));
    CHECK(report.owners[0].owned == 8);
    CHECK(report.owners[0].used == 1);
    CHECK(report.owners[1].owned == 8);
    CHECK(report.owners[1].used == 2);
    CHECK(report.owners[1].reachable);
    CHECK(report.free == 5);
    CHECK(report.held == 1);
    CHECK(report.resting == 1);
    CHECK(report.taken_over == 0);
}

TEST_CASE("own claims from before the fence are void: not handed out, not given, but told") {
    Allocator node = half();
    node.claim("a", 3, false, kStart);
    node.set_fence(2);
    CHECK(node.changed().state);
    CHECK(node.allocate("b", node.range(), kStart).outcome != Outcome::ok);
    CHECK(node.allocate("a", node.range(), kStart).index == 3); // its holder keeps it
    CHECK(node.claim("c", 4, false, kStart).outcome != Outcome::ok);
    CHECK(node.free(node.range()) == 0);
    REQUIRE(node.record().claims.size() == 1);
    CHECK(node.record().claims.front().era == 0);
    node.on_reachable(node_at(9), true, kStart);
    wire::Allocation plea;
    plea.range = *Prefix::parse("10.0.0.0/28");
    plea.want = wire::Allocation::Want{node_at(5), 0, 16};
    node.on_allocation(node_at(9), plea, kStart);
    node.tick(kStart);
    CHECK(node.ring().at(3).owner == node_at(5));
    CHECK(node.take_over(node_at(5), 3, 3) == 8); // back, in a new era
    CHECK(node.allocate("b", node.range(), kStart).outcome == Outcome::ok);
    CHECK(node.ring().at(3) == Claim{node_at(5), {3, 0}});
}

TEST_CASE("a gift has at least the era that gifts have") {
    Allocator node = half();
    node.set_gift_era(7);
    node.on_reachable(node_at(9), true, kStart);
    wire::Allocation plea;
    plea.range = *Prefix::parse("10.0.0.0/28");
    plea.want = wire::Allocation::Want{node_at(5), 0, 8};
    node.on_allocation(node_at(9), plea, kStart);
    node.tick(kStart);
    const auto given = node.ring().owned(node_at(9), {0, 8});
    REQUIRE(given.size() == 1);
    CHECK(given.front().second == Stamp{7, 3});
}

TEST_CASE("a claim of the last version stands until the next era") {
    Allocator node = half();
    wire::Allocation said;
    said.range = *Prefix::parse("10.0.0.0/28");
    said.claims = {{0, 16, 0, 0xffffffff, std::nullopt}};
    node.on_allocation(node_at(9), said, kStart);
    CHECK(node.ring().at(3).owner == node_at(9));
    CHECK(node.take_over(node_at(9), 1, 1) == 16);
    CHECK(node.allocate("a", node.range(), kStart).outcome == Outcome::ok);
    CHECK(node.ring().at(3) == Claim{node_at(5), {1, 0}});
}
