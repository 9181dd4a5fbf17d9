// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/allocator.hpp"
#include "mesh.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;
using Outcome = Answer::Outcome;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;

const Prefix kRange = *Prefix::parse("10.0.0.0/24");

Allocator node_of(Index start, bool expects_others = true) {
    AllocatorSettings settings;
    settings.self = node_at(start);
    settings.range = kRange;
    return {settings, expects_others, kStart};
}

wire::Allocation nothing() {
    wire::Allocation out;
    out.range = kRange;
    return out;
}

bool begun(Allocator& node, TimePoint now) {
    node.tick(now);
    return !node.ring().empty();
}

} // namespace

TEST_CASE("the lowest of several begins, once all have said that they have nothing") {
    Allocator node = node_of(3);
    node.on_allocation(node_at(5), nothing(), kStart);
    node.on_reachable(node_at(5), true, kStart);
    CHECK(node.allocate("a", node.range(), kStart + 1s).outcome == Outcome::wait);
    CHECK(node.next_deadline() == kStart + 4s); // since the want, which came last
    CHECK_FALSE(begun(node, kStart + 4s - 1ms));
    CHECK(begun(node, kStart + 4s));
    CHECK(node.allocate("a", node.range(), kStart + 4s).index == 3);
}

TEST_CASE("a record that is on its way is waited for: the ring may be in it") {
    Allocator node = node_of(3);
    CHECK(node.allocate("a", node.range(), kStart).outcome == Outcome::wait);
    node.on_reachable(node_at(5), true, kStart + 1s);
    CHECK_FALSE(begun(node, kStart + 5s));
    wire::Allocation said = nothing();
    said.claims.push_back({0, 256, 0, 1, std::nullopt});
    node.on_allocation(node_at(5), said, kStart + 5s);
    CHECK(node.ring().at(3).owner == node_at(5));
    node.tick(kStart + 5s);
    CHECK(node.record().want->from == node_at(5));
    node.tick(kStart + 1min);
    CHECK(node.ring().at(3).owner == node_at(5));
}

TEST_CASE("who never says anything is waited for a little longer") {
    Allocator node = node_of(3);
    node.on_reachable(node_at(5), true, kStart);
    node.on_reachable(node_at(2), true, kStart); // lower, but of another range
    wire::Allocation other = nothing();
    other.range = *Prefix::parse("10.9.0.0/24");
    CHECK_FALSE(node.on_allocation(node_at(2), other, kStart));
    node.on_allocation(node_at(5), nothing(), kStart);
    node.allocate("a", node.range(), kStart);
    CHECK_FALSE(begun(node, kStart + 6s - 1ms));
    CHECK(begun(node, kStart + 6s));
}

TEST_CASE("whoever comes or goes begins the wait anew") {
    Allocator node = node_of(3);
    for (const Index other : {5U, 7U}) {
        node.on_allocation(node_at(other), nothing(), kStart);
    }
    node.on_reachable(node_at(5), true, kStart);
    node.allocate("a", node.range(), kStart);
    node.on_reachable(node_at(7), true, kStart + 2s);
    CHECK_FALSE(begun(node, kStart + 5s - 1ms));
    CHECK(begun(node, kStart + 5s));
}

TEST_CASE("who was away may come back with a ring: what it said before is not enough") {
    Allocator node = node_of(3);
    node.on_allocation(node_at(5), nothing(), kStart);
    node.on_reachable(node_at(5), true, kStart);
    node.on_reachable(node_at(5), false, kStart);
    node.on_reachable(node_at(5), true, kStart);
    node.allocate("a", node.range(), kStart);
    CHECK_FALSE(begun(node, kStart + 6s - 1ms));
}

TEST_CASE("nobody begins while a lower one is there: it is asked to, and begins for a plea") {
    Allocator high = node_of(7);
    high.on_allocation(node_at(3), nothing(), kStart);
    high.on_reachable(node_at(3), true, kStart);
    CHECK(high.allocate("a", high.range(), kStart).node == node_at(3));
    CHECK(high.record().want->from == node_at(3));
    CHECK_FALSE(begun(high, kStart + 29s));

    Allocator low = node_of(3);
    low.on_reachable(node_at(7), true, kStart);
    low.on_allocation(node_at(7), high.record(), kStart + 1s);
    CHECK_FALSE(begun(low, kStart + 4s - 1ms));
    CHECK(low.next_deadline() == kStart + 4s);
    CHECK(begun(low, kStart + 4s));
    CHECK_FALSE(low.ring().owned(node_at(7), low.range()).empty()); // and gave at once
}

TEST_CASE("nobody begins without a want") {
    Allocator node = node_of(3);
    node.on_allocation(node_at(5), nothing(), kStart);
    node.on_reachable(node_at(5), true, kStart);
    CHECK_FALSE(begun(node, kStart + 1h));
    CHECK(node.next_deadline() == TimePoint::max());
}

TEST_CASE("who reached others and lost them waits before it begins alone") {
    Allocator node = node_of(3, false);
    node.on_reachable(node_at(5), true, kStart + 1h);
    node.on_reachable(node_at(5), false, kStart + 2h);
    CHECK(node.allocate("a", node.range(), kStart + 2h).outcome == Outcome::wait);
    CHECK(node.next_deadline() == kStart + 2h + 3s);
    CHECK(begun(node, kStart + 2h + 3s));
}

TEST_CASE("a record goes out from the start, an empty one too, and again only when it changes") {
    Allocator node = node_of(3);
    CHECK(node.changed().record);
    CHECK(node.record().claims.empty());
    CHECK_FALSE(node.changed().record);
    // What others own does not change it; nor is it urgent, once anything is known.
    wire::Allocation said = nothing();
    said.claims.push_back({0, 256, 0, 1, std::nullopt});
    node.on_allocation(node_at(5), said, kStart);
    auto changed = node.changed();
    CHECK_FALSE(changed.record);
    CHECK(changed.state); // after a crash it must not begin
    said.claims[0].version = 2;
    node.on_allocation(node_at(5), said, kStart);
    changed = node.changed();
    CHECK_FALSE(changed.state);
    CHECK(changed.others);
}

TEST_CASE("of several that see each other and have nothing yet, the lowest id begins") {
    Mesh mesh("10.0.0.0/16", {5, 3, 9});
    CHECK(mesh.allocate(0, "a").outcome == Outcome::wait);
    CHECK(mesh.allocate(2, "c").outcome == Outcome::wait);
    mesh.pass(4s);
    CHECK(mesh.at(0).ring().at(2).owner == mesh.id(1));
    CHECK(mesh.allocate(0, "a").outcome == Outcome::ok);
    CHECK(mesh.allocate(2, "c").outcome == Outcome::ok);
    CHECK(mesh.at(2).ring() == mesh.at(0).ring());
}

TEST_CASE("a node that starts beside a live ring never begins, however late the records are") {
    for (const auto late : {0s, 1s, 2s, 5s}) {
        Allocator node = node_of(1);
        node.on_reachable(node_at(5), true, kStart);
        node.allocate("a", node.range(), kStart);
        for (auto passed = 0s; passed <= late; passed += 1s) {
            CHECK_FALSE(begun(node, kStart + passed));
        }
        wire::Allocation said = nothing();
        said.claims.push_back({0, 256, 0, 1, std::nullopt});
        node.on_allocation(node_at(5), said, kStart + late);
        CHECK(node.ring().owned(node_at(1), node.range()).empty());
    }
}
