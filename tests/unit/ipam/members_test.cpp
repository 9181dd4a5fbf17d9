// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "members_world.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;

namespace {

constexpr Duration kLease = 60s;
constexpr Duration kReclaimAfter = 105s; ///< a quarter and 30 s more
/** Noticing, waiting for a stable view, accepting, taking over. */
constexpr Duration kRounds = 45s;

/** One founds, all join and each has places. */
MembersWorld mesh_of(std::size_t nodes) {
    MembersWorld world(nodes, 7, kLease);
    world.start(0);
    world.found(0);
    for (std::size_t i = 1; i < nodes; ++i) {
        world.start(i);
    }
    world.pass(60s);
    REQUIRE_MESSAGE(world.agreed(), world.text());
    for (std::size_t i = 1; i < nodes; ++i) {
        while (world.at(0).ring.owned(world.id(i), {0, MembersWorld::kPlaces}).empty()) {
            world.give(0, i);
        }
    }
    world.pass(20s);
    return world;
}

void split(MembersWorld& world, const std::vector<std::size_t>& away) {
    for (const std::size_t node : away) {
        world.at(node).group = 1;
    }
}

bool may(MembersWorld& world, std::size_t node) {
    return world.at(node).members->may_allocate(world.now());
}

std::size_t places_of(MembersWorld& world, std::size_t node) {
    std::size_t out = 0;
    for (Index place = 0; place < MembersWorld::kPlaces; ++place) {
        out += world.believes(world.at(node), place) ? std::size_t{1} : 0;
    }
    return out;
}

} // namespace

TEST_CASE("without a set nothing is handed out; who founds one may at once and never stops") {
    MembersWorld world(1, 1, kLease);
    world.start(0);
    world.pass(10s);
    CHECK_FALSE(may(world, 0));
    CHECK(world.at(0).members->report(world.now()).lease.state == Lease::State::no_set);
    world.found(0);
    CHECK(may(world, 0));
    world.pass(10 * kLease);
    CHECK(may(world, 0));
}

TEST_CASE("who joins may hand out within seconds, also while a member is away") {
    MembersWorld world(4, 2, kLease);
    world.start(0);
    world.found(0);
    world.start(1);
    world.start(2);
    world.pass(60s);
    REQUIRE(world.agreed());
    world.crash(2);
    world.pass(20s);
    world.start(3);
    world.pass(6s);
    CHECK(may(world, 3));
    CHECK_FALSE(world.at(3).members->report(world.now()).member);
    const auto waits = world.at(0).members->report(world.now()).waits_for;
    CHECK(waits == std::vector<NodeId>{world.id(2)});
}

TEST_CASE("of two neither ever stops, and neither takes the other's space") {
    MembersWorld world = mesh_of(2);
    split(world, {1});
    world.pass(20 * kLease);
    CHECK(may(world, 0));
    CHECK(may(world, 1));
    CHECK(world.takeovers == 0);
    CHECK(world.believed_twice() == 0);
}

TEST_CASE(
    "a lone one of three stops when its lease ends; then, and no sooner, its space is taken") {
    MembersWorld world = mesh_of(3);
    const std::size_t had = places_of(world, 2);
    REQUIRE(had > 0);
    split(world, {2});
    world.pass(kLease - 4s);
    CHECK(may(world, 2));
    world.pass(20s);
    CHECK_FALSE(may(world, 2));
    CHECK(world.at(2).members->report(world.now()).lease.state == Lease::State::minority);
    world.pass(kReclaimAfter - kLease - 20s);
    CHECK(world.takeovers == 0);
    world.pass(kRounds);
    CHECK(world.takeovers > 0);
    CHECK(world.usable() == MembersWorld::kPlaces);
    CHECK(places_of(world, 0) + places_of(world, 1) == MembersWorld::kPlaces);

    // It comes back, without its places, and becomes a member again.
    world.at(2).group = 0;
    world.pass(40s);
    CHECK(may(world, 2));
    CHECK(places_of(world, 2) == 0);
    CHECK(world.agreed());
    CHECK(world.at(2).ring == world.at(0).ring);
    world.give(0, 2);
    world.pass(10s);
    CHECK(places_of(world, 2) > 0);
}

TEST_CASE("a minority never takes anything back, however long, however many join it") {
    MembersWorld world(9, 3, kLease);
    world.start(0);
    world.found(0);
    for (std::size_t i = 1; i < 5; ++i) {
        world.start(i);
    }
    world.pass(60s);
    REQUIRE(world.agreed());
    split(world, {2, 3, 4});
    for (std::size_t i = 2; i < 5; ++i) {
        world.crash(i);
    }
    for (std::size_t i = 5; i < 9; ++i) {
        world.start(i);
    }
    world.pass(30 * kReclaimAfter);
    CHECK(world.takeovers == 0);
    CHECK_FALSE(may(world, 0));
    CHECK_FALSE(may(world, 6));
    const MembersReport report = world.at(0).members->report(world.now());
    CHECK(report.members == 5);
    CHECK(report.seen == 2);
    CHECK(report.absent.size() == 3);
    for (std::size_t i = 2; i < 5; ++i) {
        world.at(i).group = 0;
        world.start(i, true);
    }
    world.pass(60s);
    CHECK_MESSAGE(world.agreed(), world.text());
    CHECK(world.usable() == MembersWorld::kPlaces);
}

TEST_CASE("a frozen node does not go by what it saw before") {
    MembersWorld world = mesh_of(3);
    world.at(2).frozen = true;
    world.pass(kLease + 4s);
    CHECK_FALSE(may(world, 2));
    split(world, {2});
    world.at(2).frozen = false;
    world.pass(8s); // it has not found out yet that its links are dead
    CHECK_FALSE(may(world, 2));
    world.pass(30s);
    CHECK_FALSE(may(world, 2));
}

TEST_CASE("after a reboot a node waits until it has seen half of the members for a while") {
    MembersWorld world = mesh_of(5);
    const std::uint32_t seq = world.at(0).members->report(world.now()).seq;
    world.crash(3);
    world.crash(2);
    world.pass(4s);
    world.start(2, true);
    world.pass(6s);
    CHECK_FALSE(may(world, 2));
    world.pass(20s);
    CHECK(may(world, 2));
    CHECK(places_of(world, 2) > 0); // nobody can have taken them
    CHECK(world.at(2).members->report(world.now()).seq == seq);
}

TEST_CASE("a restart within the lease does not interrupt it") {
    MembersWorld world = mesh_of(3);
    world.crash(1);
    world.start(1);
    CHECK(may(world, 1));
    world.step();
    CHECK(may(world, 1));
}

TEST_CASE("meshes that began apart become one") {
    MembersWorld world(5, 4, kLease);
    split(world, {3, 4});
    for (std::size_t i = 0; i < 5; ++i) {
        world.start(i);
    }
    world.found(0);
    world.found(3);
    world.pass(60s);
    CHECK(world.at(1).members->report(world.now()).members == 3);
    CHECK(world.at(4).members->report(world.now()).members == 2);
    for (std::size_t i = 0; i < 5; ++i) {
        world.at(i).group = 0;
    }
    world.pass(60s);
    CHECK_MESSAGE(world.agreed(), world.text());
    CHECK(world.at(4).ring == world.at(0).ring);
    CHECK(world.believed_twice() == 0);
    CHECK(world.usable() == MembersWorld::kPlaces);
    CHECK(world.takeovers == 0);
}

TEST_CASE("the operator overrules: who is gone for good counts no more, until it is seen") {
    MembersWorld world = mesh_of(3);
    world.crash(1);
    world.crash(2);
    world.pass(2 * kReclaimAfter);
    CHECK_FALSE(may(world, 0));
    Members& members = *world.at(0).members;
    const std::uint32_t seq = members.report(world.now()).seq;
    const std::uint32_t era = members.overrule(world.id(1));
    CHECK(era > seq);
    CHECK(members.overrule(world.id(2)) > era);
    world.pass(20s);
    CHECK(may(world, 0));
    CHECK(members.report(world.now()).members == 1);
    CHECK(members.state().overruled.size() == 2);
    CHECK(world.usable() == MembersWorld::kPlaces); // of the new set it is the heir
    world.start(2);
    world.pass(60s);
    CHECK(members.state().overruled.size() == 1);
    CHECK_MESSAGE(world.agreed(), world.text());
    CHECK(world.believed_twice() == 0);
    CHECK(world.at(2).members->fence() > seq);
}

TEST_CASE("what a removed node gave away before it was told of is void") {
    MembersWorld world = mesh_of(3);
    split(world, {2});
    world.pass(kReclaimAfter + kRounds);
    REQUIRE(world.takeovers > 0);
    const Members& members = *world.at(0).members;
    CHECK(members.refuses_gift(world.id(2), members.gift_era() - 1));
    CHECK_FALSE(members.refuses_gift(world.id(2), members.gift_era()));
    CHECK_FALSE(members.refuses_gift(world.id(1), 1));
}

TEST_CASE("a longer lease counts once all know of it") {
    MembersWorld world = mesh_of(3);
    world.crash(1);
    world.at(1).settings.lease = 10 * kLease;
    world.start(1);
    world.step();
    CHECK(world.at(1).members->report(world.now()).lease.left <= kLease);
    world.pass(60s);
    CHECK(world.at(1).members->report(world.now()).lease.left > 9 * kLease);
    CHECK(world.at(0).members->report(world.now()).reclaim_after ==
          10 * kLease + 10 * kLease / 4 + 30s);
}

TEST_CASE("a saved state comes back as it was") {
    MembersWorld world = mesh_of(4);
    const MembersState state = world.at(1).members->state();
    REQUIRE_FALSE(state.accepted.empty());
    Members again(world.at(1).settings, world.now());
    again.restore(state);
    CHECK(again.state() == state);
    CHECK(again.membership() == world.at(1).members->membership());
}

TEST_CASE("two hundred nodes: what a change of members costs") {
    constexpr std::size_t kNodes = 200;
    MembersWorld world(kNodes, 5, kLease);
    world.start(0);
    world.found(0);
    for (std::size_t i = 1; i < kNodes; ++i) {
        world.start(i);
    }
    world.pass(60s);
    REQUIRE(world.agreed());
    MESSAGE("founding: ", world.published_records, " records, ", world.published_bytes, " bytes");
    world.published_records = world.published_bytes = 0;
    world.pass(60s);
    CHECK(world.published_records == 0); // nothing while nothing changes
    world.crash(17);
    world.pass(kReclaimAfter + kRounds);
    REQUIRE(world.agreed());
    MESSAGE("one left: ", world.published_records, " records, ", world.published_bytes, " bytes");
    CHECK(world.published_records <= 2 * kNodes + 2);
    CHECK(world.published_bytes < 500 * kNodes);
}
