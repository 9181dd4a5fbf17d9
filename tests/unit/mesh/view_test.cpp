// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What follows from records: nodes, names, reachability, who is forgotten.
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

namespace {

/** Numbers of two nodes, the one with the lower id first. */
std::pair<std::uint64_t, std::uint64_t> in_order(std::uint64_t a, std::uint64_t b) {
    return node_of(a) < node_of(b) ? std::pair{a, b} : std::pair{b, a};
}

} // namespace

TEST_CASE("a topology shows its node") {
    Solo solo;
    solo.link(2);
    wire::Topology topology;
    topology.name = "two";
    topology.endpoints = {{IpAddress::v4({192, 0, 2, 2}), 6783}};
    topology.static_key.fill(9);
    topology.flags = wire::Topology::kBridgePods;
    topology.lanes = 0;
    topology.software = "1.2";
    solo.hears(2, {record_of(2, {4, 1}, wire::kTopologyKind, wire::encode_topology(topology))});
    const auto info = solo.mesh.node(node_of(2));
    REQUIRE(info);
    CHECK(info->shown_name == "two");
    CHECK(info->endpoints == topology.endpoints);
    CHECK(info->static_key == topology.static_key);
    CHECK(info->flags == wire::Topology::kBridgePods);
    CHECK(info->lanes == 1);
    CHECK(info->software == "1.2");
    CHECK(info->epoch == 4);
    CHECK(info->reachable);
    CHECK_FALSE(info->self);
    CHECK(solo.mesh.nodes().size() == 2);
    CHECK(solo.mesh.node(solo.mesh.self())->self);
    CHECK_FALSE(solo.mesh.node(node_of(99)));
}

TEST_CASE("a node without a name is shown by its fingerprint") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {topology_of(2, {1, 1}, "")});
    CHECK(solo.mesh.node(node_of(2))->shown_name == node_of(2).fingerprint());
}

TEST_CASE("a topology that breaks the format is counted, and its node not shown") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {topology_of(2, {1, 1}, "two")});
    const Bytes short_key{3, 2, 0, 1, 2};
    solo.hears(2, {record_of(2, {1, 2}, wire::kTopologyKind, short_key)});
    CHECK(solo.counts["mesh_malformed_topology"] == 1);
    CHECK_FALSE(solo.mesh.node(node_of(2)));
    solo.hears(2, {topology_of(2, {1, 3}, "two")});
    CHECK(solo.mesh.node(node_of(2)));
}

TEST_CASE("of two live nodes with one name the lower id has it, and it is said once") {
    Solo solo;
    solo.link(2);
    const auto [low, high] = in_order(5, 6);
    solo.hears(2, {topology_of(high, {1, 1}, "twin")});
    CHECK(solo.mesh.node(node_of(high))->shown_name == "twin");
    solo.hears(2, {topology_of(low, {1, 1}, "twin")});
    CHECK(solo.mesh.node(node_of(low))->shown_name == "twin");
    CHECK(solo.mesh.node(node_of(high))->shown_name == "twin~" + node_of(high).fingerprint());
    solo.hears(2, {topology_of(low, {1, 2}, "twin")});
    REQUIRE(solo.collisions.size() == 1);
    CHECK(solo.collisions[0].holder == node_of(low));
    CHECK(solo.collisions[0].other == node_of(high));
    solo.hears(2, {topology_of(low, {1, 3}, "other")});
    CHECK(solo.mesh.node(node_of(high))->shown_name == "twin");
    solo.hears(2, {topology_of(low, {1, 4}, "twin")});
    CHECK(solo.collisions.size() == 2);
}

TEST_CASE("who says that it holds a name keeps it, unless one of a lower id says so too") {
    Solo solo;
    solo.link(2);
    const auto [low, high] = in_order(5, 6);
    const auto named = [&](std::uint64_t node, std::uint64_t version, bool holds) {
        wire::Topology topology;
        topology.name = "twin";
        topology.flags = holds ? wire::Topology::kHoldsName : 0;
        return record_of(node, {1, version}, wire::kTopologyKind, wire::encode_topology(topology));
    };
    solo.hears(2, {named(high, 1, true), named(low, 1, false)});
    CHECK(solo.mesh.node(node_of(high))->shown_name == "twin");
    CHECK(solo.mesh.node(node_of(low))->shown_name == "twin~" + node_of(low).fingerprint());
    REQUIRE(solo.collisions.size() == 1);
    CHECK(solo.collisions[0].holder == node_of(high));
    solo.hears(2, {named(low, 2, true)});
    CHECK(solo.mesh.node(node_of(low))->shown_name == "twin");
}

TEST_CASE(
    "a name is claimed when the mesh had time to tell who has it, and given up to its holder") {
    const auto holds = [](Solo& solo) {
        return (solo.mesh.node(solo.mesh.self())->flags & wire::Topology::kHoldsName) != 0;
    };
    Solo alone{MeshSettings{}};
    alone.pass(10s);
    CHECK_FALSE(holds(alone));
    alone.pass(11s);
    CHECK(holds(alone));

    wire::Topology topology;
    topology.name = "self";
    topology.flags = wire::Topology::kHoldsName;
    const auto held = [&](std::uint64_t version) {
        return record_of(2, {1, version}, wire::kTopologyKind, wire::encode_topology(topology));
    };
    Solo late{MeshSettings{}};
    late.link(2);
    late.hears(2, {held(1)});
    late.pass(1min);
    CHECK_FALSE(holds(late));
    topology.name = "renamed";
    late.hears(2, {held(2)});
    late.pass(19s);
    CHECK_FALSE(holds(late));
    late.pass(2s);
    CHECK(holds(late));

    Solo linked{MeshSettings{}};
    linked.link(2);
    linked.pass(3s);
    CHECK(holds(linked));
    topology.name = "self";
    linked.hears(2, {held(1)});
    linked.pass(1s);
    CHECK(holds(linked) == (node_of(1) < node_of(2)));
}

TEST_CASE("our own name collides like any other, so both ends say so") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {topology_of(2, {1, 1}, "self")});
    REQUIRE(solo.collisions.size() == 1);
    CHECK(solo.collisions[0].name == "self");
}

TEST_CASE("a name whose holder is dead goes to the newcomer, without a collision") {
    Solo solo;
    solo.link(2);
    const auto [low, high] = in_order(5, 6);
    solo.hears(2, {topology_of(low, {1, 1}, "twin")});
    solo.mesh.mark_unreachable(node_of(low), true, solo.now);
    solo.pass(1s);
    CHECK_FALSE(solo.mesh.node(node_of(low))->reachable);
    solo.hears(2, {topology_of(high, {1, 1}, "twin")});
    // Reached through the newcomer, which has not listed it: wait until it has.
    solo.hears(2, {topology_of(high, {1, 2}, "twin", {node_of(low)})});
    solo.collisions.clear();
    CHECK(solo.mesh.node(node_of(high))->shown_name == "twin");
    CHECK(solo.mesh.node(node_of(low))->shown_name == "twin~" + node_of(low).fingerprint());
}

TEST_CASE("nodes whose ids start alike are reported: relays could not tell them apart") {
    std::mt19937_64 random(5);
    Ports ports = fake_ports(fake_key(1), random);
    ports.identify = [](const wire::RecordKey& key) {
        NodeId node = fake_identify(key);
        std::fill_n(node.octets.begin(), 6, std::uint8_t{7});
        return node;
    };
    ports.decode = [identify = ports.identify](ByteView raw) {
        return wire::decode_shared(raw, identify);
    };
    TimePoint now = TimePoint{} + 1h;
    Mesh mesh(fake_key(1), 1, ports, now);
    wire::Topology topology;
    topology.name = "self";
    mesh.set_own_topology(topology, now);
    mesh.on_link_up(2, ports.identify(fake_key(2)), now);
    mesh.on_message(2, batch_of({topology_of(2, {1, 1}, "two")}), now);
    mesh.tick(now);
    int reported = 0;
    for (const MeshAction& action : mesh.take_actions()) {
        reported += std::holds_alternative<RelayCollision>(action) ? 1 : 0;
    }
    CHECK(reported == 1);
}

TEST_CASE("whom we cannot reach is reached through others, and told to others") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {topology_of(2, {1, 1}, "two"), topology_of(3, {1, 1}, "three")});
    CHECK(solo.mesh.routes()->to(node_of(3)) == Route{node_of(3), 1});
    solo.mesh.mark_unreachable(node_of(3), true, solo.now);
    solo.pass(1s);
    CHECK(solo.mesh.routes()->to(node_of(3)) == Route{node_of(2), 2});
    CHECK(solo.mesh.node(solo.mesh.self())->unreachable == std::vector{node_of(3)});
    const auto same = solo.mesh.routes();
    solo.mesh.mark_unreachable(node_of(3), true, solo.now);
    solo.pass(1s);
    CHECK(solo.mesh.routes() == same);
    solo.mesh.mark_unreachable(node_of(3), false, solo.now);
    solo.pass(1s);
    CHECK(solo.mesh.routes()->to(node_of(3))->hops == 1);
}

TEST_CASE("we never list ourselves, nor more nodes than a record takes") {
    Solo solo;
    solo.mesh.mark_unreachable(solo.mesh.self(), true, solo.now);
    for (std::uint64_t i = 0; i < wire::kMaxUnreachable + 10; ++i) {
        solo.mesh.mark_unreachable(node_of(1000 + i), true, solo.now);
    }
    solo.pass(1s);
    CHECK(solo.mesh.node(solo.mesh.self())->unreachable.size() == wire::kMaxUnreachable);
    CHECK(solo.counts["mesh_unreachable_list_full"] == 11);
}

TEST_CASE("who is out of reach is forgotten after five minutes, unless it is linked") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {topology_of(2, {1, 1}, "two"), topology_of(3, {1, 1}, "three", {node_of(2)})});
    solo.hears(2, {topology_of(2, {1, 2}, "two", {node_of(3), node_of(1)})});
    solo.mesh.mark_unreachable(node_of(3), true, solo.now);
    solo.pass(290s);
    CHECK(solo.left.empty());
    solo.pass(30s);
    CHECK(solo.left == std::vector{node_of(3)});
    CHECK(solo.mesh.store().find({node_of(2), wire::kTopologyKind}) != nullptr);
    // Those who still know it must not think that we reach it.
    CHECK(solo.mesh.node(solo.mesh.self())->unreachable == std::vector{node_of(3)});
    solo.pass(16min);
    CHECK(solo.mesh.node(solo.mesh.self())->unreachable.empty());
}

TEST_CASE("who announces a grace time is forgotten after that, within bounds") {
    const auto forgotten_after = [](std::uint16_t grace) {
        Solo solo;
        solo.link(2);
        solo.hears(2, {topology_of(2, {1, 1}, "two", {node_of(3)})});
        solo.hears(2, {topology_of(3, {1, 1}, "three", {node_of(2)}, grace)});
        solo.mesh.mark_unreachable(node_of(3), true, solo.now);
        Duration waited{};
        while (solo.left.empty() && waited < 2h) {
            solo.pass(5s);
            waited += 5s;
        }
        return waited;
    };
    const auto about = [](Duration least, Duration actual) {
        return actual >= least && actual <= least + 15s;
    };
    CHECK(about(60s, forgotten_after(60)));
    CHECK(about(10s, forgotten_after(1)));
    CHECK(about(1h, forgotten_after(65535)));
}

TEST_CASE("who was forgotten comes back with a newer record only") {
    Solo solo;
    solo.link(2);
    const auto old = topology_of(3, {1, 4}, "three", {node_of(2)});
    solo.hears(2, {old, topology_of(2, {1, 1}, "two", {node_of(3)})});
    solo.mesh.mark_unreachable(node_of(3), true, solo.now);
    solo.pass(6min);
    REQUIRE(solo.left.size() == 1);
    solo.hears(2, {old});
    CHECK_FALSE(solo.mesh.node(node_of(3)));
    solo.hears(2, {topology_of(3, {1, 5}, "three")});
    CHECK(solo.mesh.node(node_of(3)));
}

TEST_CASE("a link to who was forgotten brings it back as it was, and makes us speak up") {
    Solo solo;
    solo.link(2);
    const auto old = topology_of(3, {1, 4}, "three", {node_of(2)});
    solo.hears(2, {old, topology_of(2, {1, 1}, "two", {node_of(3)})});
    solo.mesh.mark_unreachable(node_of(3), true, solo.now);
    solo.pass(6min);
    REQUIRE(solo.left.size() == 1);
    const auto own = solo.mesh.store().find({solo.mesh.self(), wire::kTopologyKind})->stamp;
    solo.link(3);
    solo.hears(3, {topology_of(3, {1, 3}, "older")});
    CHECK_FALSE(solo.mesh.node(node_of(3)));
    solo.hears(3, {old});
    CHECK(solo.mesh.node(node_of(3)));
    solo.pass(15s);
    // It may have forgotten us as well: only a newer record gets past that.
    CHECK(solo.mesh.store().find({solo.mesh.self(), wire::kTopologyKind})->stamp > own);
}

namespace {

/** Of node `number`, which names those as its neighbours. */
wire::RecordPtr naming(std::uint64_t number,
                       std::uint64_t version,
                       const std::vector<NodeId>& neighbours,
                       const std::vector<NodeId>& unreachable = {}) {
    wire::Topology topology;
    topology.neighbours = neighbours;
    topology.unreachable = unreachable;
    return record_of(number, {1, version}, wire::kTopologyKind, wire::encode_topology(topology));
}

} // namespace

TEST_CASE("where nobody is named all watch all, and of each pair one leads") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {topology_of(2, {1, 1}, "two"), topology_of(3, {1, 1}, "three")});
    for (const std::uint64_t other : {2U, 3U}) {
        const auto info = *solo.mesh.node(node_of(other));
        CHECK(info.watched);
        CHECK(info.leads == (node_of(1) < node_of(other)));
    }
    CHECK_FALSE(solo.mesh.node(node_of(1))->watched);
}

TEST_CASE("who is named, who names us and who has only links yet is watched, nobody else") {
    Solo solo;
    solo.link(2);
    solo.link(6);
    solo.hears(2, {naming(2, 1, {node_of(9)}), naming(3, 1, {node_of(1)})});
    solo.hears(2, {naming(4, 1, {node_of(1)}), naming(5, 1, {node_of(9)})});
    solo.hears(2, {topology_of(6, {1, 1}, "six"), topology_of(7, {1, 1}, "seven")});
    solo.mesh.set_neighbours(std::set{node_of(2), node_of(3)}, solo.now);
    const auto info = [&](std::uint64_t number) { return *solo.mesh.node(node_of(number)); };
    CHECK(info(2).watched);
    CHECK(info(2).leads);
    CHECK(info(3).watched);
    CHECK(info(3).leads == (node_of(1) < node_of(3)));
    CHECK(info(4).watched);
    CHECK_FALSE(info(4).leads);
    CHECK_FALSE(info(5).watched);
    CHECK(info(6).watched);
    CHECK_FALSE(info(7).watched);
    CHECK(solo.mesh.named_by() == std::set{node_of(3), node_of(4)});
    solo.mesh.set_neighbours(std::set<NodeId>{}, solo.now);
    CHECK(info(2).watched); // while we have no neighbours ourselves
    CHECK_FALSE(info(7).watched);
    solo.mesh.set_neighbours(std::set{node_of(2), node_of(3)}, solo.now);
    solo.pass(1s);
    const auto own = solo.mesh.node(node_of(1));
    CHECK(own->neighbours->size() == 2);
    solo.hears(2, {naming(6, 2, {node_of(9)}), naming(4, 2, {})});
    CHECK_FALSE(info(6).watched);
    CHECK_FALSE(info(4).watched);
    // A topology set anew says nothing of them.
    solo.mesh.set_own_topology({}, solo.now);
    solo.pass(1s);
    CHECK(solo.mesh.node(node_of(1))->neighbours->size() == 2);
}

TEST_CASE("whoever is watched no more, or now, is told of") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {naming(2, 1, {node_of(9)}), naming(3, 1, {node_of(9)})});
    const auto changed = [&] {
        std::set<NodeId> out;
        for (const MeshAction& action : solo.mesh.take_actions()) {
            if (const auto* node = std::get_if<NodeChanged>(&action)) {
                out.insert(node->node);
            }
        }
        return out;
    };
    solo.mesh.set_neighbours(std::set{node_of(2)}, solo.now);
    CHECK(changed().contains(node_of(3)));
    solo.mesh.set_neighbours(std::set{node_of(2)}, solo.now);
    CHECK(changed().empty());
    solo.mesh.set_neighbours(std::set{node_of(3)}, solo.now);
    CHECK(changed() == std::set{node_of(2), node_of(3)});
}

TEST_CASE("who is listed by all its neighbours is dead for those that never tried it") {
    Solo solo;
    solo.link(2);
    for (std::uint64_t number = 2; number < 30; ++number) {
        solo.hears(2, {naming(number, 1, {node_of(number == 2 ? 1 : number - 1)})});
    }
    solo.mesh.set_neighbours(std::set{node_of(2)}, solo.now);
    solo.pass(1s);
    CHECK(solo.mesh.node(node_of(29))->reachable);
    solo.hears(2, {naming(28, 2, {node_of(27)}, {node_of(29)})});
    CHECK_FALSE(solo.mesh.node(node_of(29))->reachable);
    CHECK(solo.mesh.routes()->unreachable == std::vector{node_of(29)});
    solo.hears(2, {naming(28, 3, {node_of(27)})});
    CHECK(solo.mesh.node(node_of(29))->reachable);
    // It is forgotten as dead nodes are.
    solo.hears(2, {naming(28, 4, {node_of(27)}, {node_of(29)})});
    solo.pass(6min);
    CHECK(solo.left == std::vector{node_of(29)});
}
