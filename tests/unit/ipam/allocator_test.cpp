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

std::string pod(int number) {
    return "pod" + std::to_string(number);
}

/** Node 0, of the lowest id, begins a ring for all. */
void begin(Mesh& mesh) {
    REQUIRE(mesh.allocate(0, "a").outcome == Outcome::wait);
    mesh.pass(3s);
    REQUIRE(mesh.allocate(0, "a").outcome == Outcome::ok);
    mesh.settle();
}

} // namespace

TEST_CASE("a node alone begins at once, at the place its id names, and goes on from there") {
    Mesh mesh("10.32.0.0/16", {1000});
    const Answer first = mesh.allocate(0, "a");
    CHECK(first.outcome == Outcome::ok);
    CHECK(first.index == 1000);
    CHECK(mesh.allocate(0, "a").index == 1000); // the same holder, the same place
    CHECK(mesh.allocate(0, "b").index == 1001);
}

TEST_CASE("a node that expects others waits for a ring for a while") {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.0/24");
    const TimePoint start = TimePoint{} + 1h;
    Allocator node(settings, true, start);
    CHECK(node.allocate("a", node.range(), start).outcome == Outcome::wait);
    CHECK(node.allocate("a", node.range(), start + settings.join_wait - 1ms).outcome ==
          Outcome::wait);
    CHECK(node.allocate("a", node.range(), start + settings.join_wait).outcome == Outcome::ok);
}

TEST_CASE("the first and the last address of the range are nobody's") {
    Mesh mesh("10.0.0.0/29", {6});
    std::set<Index> got;
    for (int i = 0; i < 6; ++i) {
        got.insert(mesh.allocate(0, pod(i)).index);
    }
    CHECK(got == std::set<Index>{1, 2, 3, 4, 5, 6});
    CHECK(mesh.allocate(0, "more").outcome == Outcome::exhausted);
    CHECK(mesh.claim(0, "more", 0).outcome == Outcome::outside);
    CHECK(mesh.claim(0, "more", 7).outcome == Outcome::outside);
    CHECK(mesh.claim(0, "more", 8).outcome == Outcome::outside);
}

TEST_CASE("what came back rests, and goes out again in the order in which it came back") {
    Mesh mesh("10.0.0.0/29", {1});
    for (int i = 0; i < 6; ++i) {
        mesh.allocate(0, pod(i));
    }
    CHECK(mesh.release(0, pod(3), 4));
    mesh.pass(10s);
    CHECK(mesh.release(0, pod(1), 2));
    CHECK_FALSE(mesh.release(0, pod(1), 2));
    CHECK(mesh.allocate(0, "x").outcome == Outcome::exhausted);
    mesh.pass(49s);
    CHECK(mesh.allocate(0, "x").outcome == Outcome::exhausted);
    mesh.pass(1s);
    CHECK(mesh.allocate(0, "x").index == 4);
    CHECK(mesh.allocate(0, "y").outcome == Outcome::exhausted);
    mesh.pass(10s);
    CHECK(mesh.allocate(0, "y").index == 2);
}

TEST_CASE("a subnet within the range") {
    Mesh mesh("10.0.0.0/16", {5});
    const Run subnet{512, 768};
    const Answer answer = mesh.at(0).allocate("a", subnet, mesh.now());
    CHECK(answer.outcome == Outcome::ok);
    CHECK(subnet.contains(answer.index));
    // One more of the same holder, elsewhere.
    CHECK(mesh.at(0).allocate("a", {1024, 1280}, mesh.now()).index >= 1024);
    CHECK(mesh.at(0).allocate("a", subnet, mesh.now()).index == answer.index);
    CHECK(mesh.at(0).allocate("a", {70000, 70001}, mesh.now()).outcome == Outcome::outside);
}

TEST_CASE("who joins gets space from those who have it, by records alone") {
    Mesh mesh("10.0.0.0/16", {5, 40000});
    begin(mesh);
    CHECK(mesh.allocate(1, "b").outcome == Outcome::wait);
    mesh.pass(1s);
    const Answer got = mesh.allocate(1, "b");
    CHECK(got.outcome == Outcome::ok);
    CHECK(mesh.at(0).ring().at(got.index).owner == mesh.id(1));
    CHECK(mesh.at(0).ring() == mesh.at(1).ring());
    // As long as it has space nothing is said.
    mesh.settle();
    const std::size_t said = mesh.published();
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(mesh.allocate(1, pod(i)).outcome == Outcome::ok);
    }
    mesh.settle();
    CHECK(mesh.published() == said);
    // Cut off from the others, too.
    mesh.cut(0, 1);
    CHECK(mesh.allocate(1, "cut off").outcome == Outcome::ok);
}

TEST_CASE("many who ask at once get like parts") {
    Mesh mesh("10.0.0.0/16", {1, 2, 3, 4, 5});
    begin(mesh);
    for (std::size_t i = 1; i < 5; ++i) {
        mesh.allocate(i, "b");
    }
    mesh.pass(1s);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(mesh.at(i).free(mesh.at(i).range()) >= 8000);
    }
}

TEST_CASE("a given address: ours, another holder's, another node's, one that must be asked for") {
    Mesh mesh("10.0.0.0/24", {5, 9});
    begin(mesh);
    CHECK(mesh.claim(0, "b", 77).outcome == Outcome::ok);
    CHECK(mesh.claim(0, "b", 77).outcome == Outcome::ok);
    CHECK(mesh.claim(0, "c", 77).outcome == Outcome::held);
    mesh.settle();
    const Answer used = mesh.claim(1, "d", 77);
    CHECK(used.outcome == Outcome::used);
    CHECK(used.node == mesh.id(0));
    CHECK(mesh.claim(1, "d", 78).outcome == Outcome::wait);
    mesh.pass(1s);
    CHECK(mesh.claim(1, "d", 78).outcome == Outcome::ok);
    CHECK(mesh.at(1).ring().owned(mesh.id(1), {0, 256}).size() == 1);
    mesh.cut(0, 1);
    mesh.settle();
    const Answer gone = mesh.claim(1, "e", 79);
    CHECK(gone.outcome == Outcome::unreachable);
    CHECK(gone.node == mesh.id(0));
}

TEST_CASE("two that began apart: an address used twice is found at both, and both decide alike") {
    Mesh mesh("10.0.0.0/24", {5, 200});
    mesh.cut(0, 1);
    mesh.settle();
    mesh.pass(3s);
    CHECK(mesh.claim(0, "a", 210).outcome == Outcome::ok);
    CHECK(mesh.claim(1, "b", 210).outcome == Outcome::ok);
    CHECK(mesh.claim(0, "c", 150).outcome == Outcome::ok);
    CHECK(mesh.at(0).conflicts().empty());
    mesh.heal(0, 1);
    mesh.settle();
    REQUIRE(mesh.at(0).conflicts().size() == 1);
    REQUIRE(mesh.at(1).conflicts().size() == 1);
    const Conflict at_0 = mesh.at(0).conflicts().front();
    const Conflict at_1 = mesh.at(1).conflicts().front();
    CHECK(at_0.index == 210);
    CHECK(at_0.holder == "a");
    CHECK(at_1.holder == "b");
    CHECK(at_0.other == mesh.id(1));
    CHECK_FALSE(at_0.ours);
    CHECK(at_1.ours); // it lies behind 200
    // While either lives nobody gets it; the place that only one uses stays its.
    mesh.release(1, "b", 210);
    mesh.settle();
    mesh.pass(61s);
    CHECK(mesh.at(0).conflicts().empty());
    CHECK(mesh.claim(1, "d", 210).outcome == Outcome::used);
    CHECK(mesh.claim(1, "d", 150).outcome == Outcome::used);
    for (int i = 0; i < 300; ++i) {
        const Answer answer = mesh.allocate(1, pod(i));
        CHECK((answer.outcome != Outcome::ok || answer.index != 210));
    }
}

TEST_CASE("a range that differs means nothing here") {
    Mesh mesh("10.0.0.0/24", {5});
    wire::Allocation said;
    said.range = *Prefix::parse("10.0.0.0/16");
    said.claims.push_back({0, 256, 7, 7, std::nullopt});
    CHECK_FALSE(mesh.at(0).on_allocation(node_at(9), said, mesh.now()));
    CHECK(mesh.at(0).ring().empty());
}

TEST_CASE("what is on disk is all there is") {
    Mesh mesh("10.0.0.0/24", {5, 9});
    begin(mesh);
    for (int i = 0; i < 20; ++i) {
        mesh.allocate(0, pod(i));
    }
    mesh.release(0, pod(3), 9);
    mesh.settle();
    mesh.allocate(1, "b");
    mesh.pass(1s);
    const AllocatorState before = mesh.at(0).state();
    mesh.crash(0);
    mesh.settle();
    CHECK(mesh.at(0).state() == before);
    CHECK(mesh.allocate(0, pod(7)).index == 13);
    CHECK(mesh.allocate(0, "new").index != 9); // it rests anew
    CHECK(mesh.at(0).ring() == mesh.at(1).ring());
}

TEST_CASE("a holder may have several places, and all of them come back at once") {
    Mesh mesh("10.0.0.0/16", {5});
    const Index one = mesh.allocate(0, "a", {512, 768}).index;
    const Index other = mesh.allocate(0, "a", {1024, 1280}).index;
    CHECK(mesh.claim(0, "a", 3000).outcome == Outcome::ok);
    mesh.allocate(0, "b");
    CHECK(mesh.at(0).release_all("a", mesh.now()).indices == std::vector<Index>{one, other, 3000});
    CHECK(mesh.at(0).release_all("a", mesh.now()).indices.empty());
    CHECK(mesh.at(0).leases().size() == 1);
}

TEST_CASE(
    "the first and the last of every subnet are nobody's, also when all of the range is asked") {
    AllocatorSettings settings;
    settings.self = node_at(8);
    settings.range = *Prefix::parse("10.0.0.0/26");
    settings.default_subnet = {8, 16};
    const TimePoint now = TimePoint{} + 1h;
    Allocator node(settings, false, now);
    CHECK(node.allocate("a", {8, 16}, now).index == 9);
    CHECK(node.claim("b", 15, false, now).outcome == Outcome::outside);
    CHECK(node.claim("b", 32, false, now).outcome == Outcome::ok); // no subnet's yet
    CHECK(node.allocate("c", {40, 48}, now).index == 41);
    std::set<Index> got;
    for (int i = 0; i < 64; ++i) {
        if (const auto answer = node.allocate(pod(i), node.range(), now);
            answer.outcome == Outcome::ok) {
            got.insert(answer.index);
        }
    }
    CHECK(got.size() == 64 - 3 - 6);
    for (const Index end : {0U, 8U, 15U, 40U, 47U, 63U}) {
        CHECK_FALSE(got.contains(end));
    }
    // A pod that has one all the same keeps it.
    CHECK(node.claim("d", 47, true, now).outcome == Outcome::ok);
    // A pair is no subnet.
    CHECK(node.allocate("e", {62, 64}, now).outcome == Outcome::exhausted);
    CHECK(node.allocate("e", {0, 1}, now).outcome == Outcome::outside);
}

TEST_CASE("a given place is waited for, however slow its owner is") {
    Mesh mesh("10.0.0.0/24", {5, 9});
    begin(mesh);
    mesh.set_lease(0, false); // it answers nobody
    for (int i = 0; i < 10; ++i) {
        CHECK(mesh.claim(1, "a", 77).outcome == Outcome::wait);
        mesh.pass(1s);
    }
    mesh.set_lease(0, true);
    mesh.pass(3s);
    CHECK(mesh.claim(1, "a", 77).outcome == Outcome::ok);
}

TEST_CASE("what is nobody's yet is waited for, not used up") {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.0/24");
    AllocatorState state;
    state.range = settings.range;
    state.ring = {{{0, 4}, {settings.self, {1, 1}}}};
    const TimePoint now = TimePoint{} + 1h;
    Allocator node(settings, false, now);
    node.restore(state, now);
    for (const int pod_number : {1, 2, 3}) {
        CHECK(node.allocate(pod(pod_number), node.range(), now).outcome == Outcome::ok);
    }
    CHECK(node.allocate("more", node.range(), now).outcome == Outcome::wait);
    CHECK(node.claim("more", 77, false, now).outcome == Outcome::wait);
    CHECK_FALSE(node.exhausted(node.range()));
    CHECK(node.exhausted({0, 4}));
    node.take_unowned(1);
    CHECK(node.claim("more", 77, false, now).outcome == Outcome::ok);
}

TEST_CASE("without a lease a node hands out nothing new and gives nothing") {
    Mesh mesh("10.0.0.0/24", {5, 9});
    begin(mesh);
    mesh.set_lease(0, false);
    CHECK(mesh.allocate(0, "a").outcome == Outcome::ok); // it has it
    CHECK(mesh.allocate(0, "b").outcome == Outcome::no_lease);
    CHECK(mesh.claim(0, "b", 77).outcome == Outcome::no_lease);
    CHECK(mesh.claim(0, "b", 77, true).outcome == Outcome::ok);
    CHECK(mesh.claim(0, "c", 77, true).outcome == Outcome::held);
    mesh.allocate(1, "d");
    mesh.pass(5s);
    CHECK(mesh.at(0).ring().owned(mesh.id(1), {0, 256}).empty());
    CHECK(mesh.at(0).next_deadline() > mesh.now());
    mesh.set_lease(0, true);
    mesh.pass(10s);
    CHECK(mesh.allocate(1, "d").outcome == Outcome::ok);
    CHECK(mesh.allocate(0, "b").outcome == Outcome::ok);
}

TEST_CASE("a node without a lease does not ask, and does not begin") {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.0/24");
    const TimePoint now = TimePoint{} + 1h;
    Allocator node(settings, false, now);
    node.set_lease(false);
    CHECK(node.allocate("a", node.range(), now).outcome == Outcome::no_lease);
    node.tick(now + 1h);
    CHECK(node.ring().empty());
}

TEST_CASE("a ring of its own range only, whichever way it is written") {
    AllocatorSettings settings;
    settings.self = node_at(5);
    settings.range = *Prefix::parse("10.0.0.77/24");
    const TimePoint now = TimePoint{} + 1h;
    Allocator node(settings, true, now);
    CHECK(node.record().range == *Prefix::parse("10.0.0.0/24"));
    wire::Allocation said;
    said.range = *Prefix::parse("10.0.0.9/24");
    said.claims.push_back({0, 256, 0, 1, std::nullopt});
    CHECK(node.on_allocation(node_at(9), said, now));
    CHECK(node.ring().at(3).owner == node_at(9));
    settings.range = *Prefix::parse("10.0.0.0/31");
    CHECK_THROWS_AS(Allocator(settings, true, now), std::invalid_argument);
    settings.range = *Prefix::parse("10.0.0.0/7");
    CHECK_THROWS_AS(Allocator(settings, true, now), std::invalid_argument);
}

TEST_CASE("a thousand nodes share a /12: all get space, and what they say of it is small") {
    constexpr std::size_t kNodes = 1000;
    std::vector<Index> starts;
    for (std::size_t i = 0; i < kNodes; ++i) {
        starts.push_back(static_cast<Index>(i * 7919 % 65536));
    }
    Mesh mesh("10.32.0.0/12", starts);
    mesh.save(false);
    std::size_t ready = 0;
    for (int round = 0; round < 60 && ready < kNodes; ++round) {
        ready = 0;
        for (std::size_t i = 0; i < kNodes; ++i) {
            ready += mesh.allocate(i, "a").outcome == Outcome::ok ? 1U : 0U;
        }
        mesh.pass(1s);
    }
    CHECK(ready == kNodes);
    // A record's header and signature come on top: 117 bytes for each.
    std::size_t bytes = 0;
    std::set<Index> indices;
    for (std::size_t i = 0; i < kNodes; ++i) {
        bytes += wire::encode_allocation(mesh.at(i).record()).size() + 117;
        indices.insert(mesh.allocate(i, "a").index);
        CHECK(mesh.at(i).free(mesh.at(i).range()) >= 64);
    }
    CHECK(indices.size() == kNodes);
    CHECK(bytes < 200'000);
    CHECK(mesh.at(0).ring() == mesh.at(kNodes - 1).ring());
}
