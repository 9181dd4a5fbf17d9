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

/** A machine that hears what a test tells it. */
struct Lone {
    explicit Lone(Duration lease = kLease)
        : members({.self = MembersWorld::id(0), .range = MembersWorld::range(), .lease = lease},
                  now) {}

    void pass(Duration time) {
        for (const TimePoint end = now + time; now < end;) {
            now += 1s;
            members.tick(now, ring);
        }
    }

    void hear(const NodeId& node, const wire::Membership& said) {
        wire::Allocation allocation;
        allocation.range = MembersWorld::range();
        allocation.membership = said;
        members.on_allocation(node, allocation);
    }

    TimePoint now = TimePoint{} + 1h;
    Ring ring{MembersWorld::kPlaces};
    Members members;
};

NodeId stranger(std::size_t number) {
    NodeId out;
    out.octets[0] = 200;
    out.octets[1] = static_cast<std::uint8_t>(number >> 8);
    out.octets[2] = static_cast<std::uint8_t>(number);
    return out;
}

/** A mesh of node 0, which founded it, and two others that the test speaks for. */
struct Three : Lone {
    Three() {
        members.found(1, now);
        for (const NodeId& node : {one, two}) {
            members.on_reachable(node, true, now);
            say(node, {first()});
        }
        pass(8s);
        REQUIRE(newest().set.members.size() == 3);
        all_of_three = ref_of(newest().set);
        for (const NodeId& node : {one, two}) {
            say(node, {first(), all_of_three});
        }
        pass(1s);
        for (const NodeId& node : {one, two}) {
            say(node, {all_of_three});
        }
        REQUIRE(members.report(now).seq == all_of_three.seq);
        ring.merge({0, 64}, {MembersWorld::id(0), {0, 1}});
        ring.merge({10, 20}, {two, {2, 2}});
    }

    MembersState::Accepted newest() { return members.state().accepted.back(); }

    wire::SetRef first() { return ref_of(members.state().accepted.front().set); }

    void say(const NodeId& node, const std::vector<wire::SetRef>& refs, bool attested = true) {
        wire::Membership said{60, 1, 0, {}};
        for (const wire::SetRef& ref : refs) {
            said.accepted.push_back({ref, attested});
        }
        hear(node, said);
    }

    /** What node one would propose after the set of all three. */
    wire::MemberSet proposal(std::vector<NodeId> nodes, std::vector<wire::Removal> removed) {
        return {all_of_three.seq + 1,
                one,
                60,
                {1},
                {all_of_three},
                std::move(nodes),
                std::move(removed)};
    }

    void propose(const wire::MemberSet& set) {
        members.on_sets(one, {{set}, {}});
        say(one, {all_of_three, ref_of(set)});
        pass(2s);
    }

    const NodeId self = MembersWorld::id(0);
    const NodeId one = stranger(1);
    const NodeId two = stranger(2);
    wire::SetRef all_of_three;
};

} // namespace

TEST_CASE(
    "the heir takes over once most follow the set, and forgoes it when it accepted a later one") {
    Three world;
    world.members.on_reachable(world.two, false, world.now);
    world.pass(kReclaimAfter + 10s);
    const wire::SetRef removal = ref_of(world.newest().set);
    REQUIRE(world.newest().set.removed == std::vector<wire::Removal>{{world.two, removal.seq}});
    world.say(world.one, {world.all_of_three, removal}, false);
    world.pass(2s);
    CHECK(world.members.report(world.now).seq == world.all_of_three.seq); // 1 of 3 vouches
    world.say(world.one, {world.all_of_three, removal});
    world.pass(2s);
    CHECK(world.members.report(world.now).seq == removal.seq);
    CHECK(world.members.reclaims(world.now).from.empty());
    world.say(world.one, {removal});
    world.pass(2s);
    const Reclaim reclaim = world.members.reclaims(world.now);
    CHECK(reclaim.era == removal.seq);
    CHECK(reclaim.from == world.newest().set.removed);
    world.members.on_reachable(world.one, false, world.now); // no more than half are seen
    CHECK(world.members.reclaims(world.now).from.empty());
    world.members.on_reachable(world.one, true, world.now);
    world.members.on_reachable(stranger(3), true, world.now);
    world.say(stranger(3), {removal});
    world.pass(10s);
    REQUIRE(world.newest().set.seq > removal.seq);
    CHECK(world.members.reclaims(world.now).from.empty());
}

TEST_CASE("a set that forgets a member, or removes one that was seen lately, is not accepted") {
    Three world;
    const auto accepted = [&](const wire::MemberSet& set) { return world.newest().set == set; };
    const wire::MemberSet forgets = world.proposal({world.self, world.one}, {});
    world.propose(forgets);
    CHECK_FALSE(accepted(forgets));
    const wire::MemberSet removes =
        world.proposal({world.self, world.one}, {{world.two, world.all_of_three.seq + 1}});
    world.propose(removes);
    CHECK_FALSE(accepted(removes)); // it is here
    world.members.on_reachable(world.two, false, world.now);
    world.pass(kReclaimAfter - 5s);
    CHECK_FALSE(accepted(removes));
    world.pass(10s);
    CHECK(accepted(removes));
    CHECK(world.newest().attested);
}

TEST_CASE("a set is accepted only by who sees half of it, and that holds most of the last one") {
    Three world;
    wire::MemberSet wide = world.proposal({world.self, world.one, world.two}, {});
    for (std::size_t i = 3; i < 7; ++i) {
        wide.members.push_back(stranger(i));
    }
    world.propose(wide);
    CHECK(world.newest().set.seq == world.all_of_three.seq); // 3 of 7
    world.members.on_reachable(stranger(3), true, world.now);
    world.pass(2s);
    CHECK(world.newest().set == wide);
    world.members.overrule(stranger(9)); // a node that counts nowhere changes nothing
    CHECK(world.newest().set == wide);

    Three other;
    const std::uint32_t seq = other.all_of_three.seq + 1;
    other.members.on_reachable(other.two, false, other.now);
    other.members.on_reachable(stranger(3), true, other.now);
    const wire::MemberSet few = {seq,
                                 stranger(3),
                                 60,
                                 {1},
                                 {other.all_of_three},
                                 {other.self, stranger(3)},
                                 {{other.one, seq}, {other.two, seq}}};
    other.members.on_reachable(other.one, false, other.now);
    other.members.on_sets(stranger(3), {{few}, {}});
    other.pass(kReclaimAfter + 60s);
    CHECK_FALSE(other.newest().set == few); // 1 of 3
}

TEST_CASE("who is to be removed does not prolong its lease until a later set has it") {
    Three world;
    world.pass(20s);
    CHECK(world.members.report(world.now).lease.state == Lease::State::held);
    wire::MemberSet without =
        world.proposal({world.one, world.two}, {{world.self, world.all_of_three.seq + 1}});
    world.say(world.one, {world.all_of_three, ref_of(without)});
    world.pass(2s);
    CHECK(world.members.report(world.now).lease.state == Lease::State::unresolved);
    world.members.on_sets(world.one, {{without}, {}});
    world.pass(2s);
    CHECK(world.members.report(world.now).lease.state == Lease::State::removal);
    world.pass(10s); // it proposes, and as all accept, it is safe
    const wire::SetRef again = ref_of(world.newest().set);
    REQUIRE(again.seq > without.seq);
    world.say(world.one, {world.all_of_three, ref_of(without), again});
    world.say(world.two, {world.all_of_three, again});
    world.pass(2s);
    CHECK(world.members.report(world.now).lease.state == Lease::State::held);
    CHECK(world.members.report(world.now).seq == again.seq);
    CHECK(world.members.fence() == 0);
}

TEST_CASE("however many speak, what is kept is bounded, and members are heard") {
    Lone lone;
    lone.members.found(1, lone.now);
    const wire::Membership said{60, 2, 0, {{{5, stranger(0), 1}, true}}};
    for (std::size_t i = 0; i < kMaxHeard + 100; ++i) {
        lone.members.on_reachable(stranger(i), true, lone.now);
        lone.hear(stranger(i), said);
    }
    CHECK(lone.members.report(lone.now).ignored == 100);
    wire::MemberSet set{9, stranger(1), 60, {2}, {}, {stranger(1)}, {}};
    for (std::size_t i = 0; i < kMaxShelves + 50; ++i) {
        lone.members.on_sets(stranger(i), {{set}, {}});
    }
    CHECK(lone.members.report(lone.now).ignored == 150);
    lone.pass(60s);
    CHECK(lone.members.may_allocate(lone.now));
    CHECK(lone.members.report(lone.now).members == 1);
}

TEST_CASE("what makes no sense moves nothing") {
    Lone lone;
    lone.members.found(1, lone.now);
    constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
    const NodeId self = MembersWorld::id(0);
    lone.members.on_reachable(stranger(1), true, lone.now);
    wire::MemberSet set{kMost, stranger(1), 0, {1}, {}, {self}, {{stranger(7), kMost}}};
    for (int i = 0; i < 6; ++i) {
        lone.members.on_sets(stranger(1), {{set, set}, {}});
        lone.hear(stranger(1), {kMost, 1, kMost, {{{kMost, stranger(1), 3}, true}}});
        lone.pass(30s);
        CHECK(lone.members.report(lone.now).seq == 1);
        set.members = i % 2 == 0 ? std::vector{self, stranger(1)} : std::vector{stranger(1)};
        set.after = {ref_of(set)};
    }
    lone.ring.merge({0, 4}, {stranger(3), {kMost, kMost}});
    lone.pass(30s);
    CHECK(lone.members.report(lone.now).seq == 1);
    CHECK(lone.members.overrule(stranger(3)) == kMost);
    const wire::Allocation nothing;
    lone.members.on_allocation(stranger(1), nothing);
    lone.pass(30s);
    CHECK(lone.members.may_allocate(lone.now));
}

TEST_CASE("more nodes than a set can hold: it says so, and they go on handing out") {
    Lone lone;
    lone.members.found(1, lone.now);
    const wire::Membership own = lone.members.membership();
    for (std::size_t i = 0; i < wire::kMaxMembers; ++i) {
        lone.members.on_reachable(stranger(i), true, lone.now);
        lone.hear(stranger(i), own); // they follow the set of the founder
    }
    lone.pass(30s);
    CHECK(lone.members.report(lone.now).too_many);
    CHECK(lone.members.report(lone.now).seq == 1);
    CHECK(lone.members.may_allocate(lone.now));
    lone.members.on_reachable(stranger(0), false, lone.now);
    lone.pass(30s);
    CHECK_FALSE(lone.members.report(lone.now).too_many);
}
