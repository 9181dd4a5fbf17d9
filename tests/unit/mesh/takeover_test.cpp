// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Records that another process of the same node goes on with.
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

namespace {

std::vector<wire::RecordPtr> records_of(const Mesh& mesh) {
    std::vector<wire::RecordPtr> out;
    for (const Store::Bucket& bucket : mesh.store().buckets()) {
        out.insert(out.end(), bucket.begin(), bucket.end());
    }
    return out;
}

wire::Topology own_topology() {
    wire::Topology topology;
    topology.name = "self";
    return topology;
}

/** A node that holds its name, knows node 2, and cannot reach node 3 directly. */
struct Before : Solo {
    Before()
        : Solo(MeshSettings{}) {
        link(2);
        hears(2, {topology_of(2, {1, 1}, "two"), topology_of(3, {1, 1}, "three")});
        mesh.set_own(wire::kAddressesKind, wire::encode_addresses({}), now);
        mesh.mark_unreachable(node_of(3), true, now);
        pass(5s);
    }
};

} // namespace

TEST_CASE("the next process knows at once what the last one knew, and says nothing new") {
    Before before;
    std::mt19937_64 random{6};
    Mesh after(fake_key(1), 1, fake_ports(fake_key(1), random), before.now);
    after.take_over(before.mesh.version(), records_of(before.mesh), before.now);
    after.set_own_topology(own_topology(), before.now);
    after.set_own(wire::kAddressesKind, wire::encode_addresses({}), before.now);
    after.tick(before.now + 1s);
    CHECK(after.version() == before.mesh.version());
    CHECK(after.store().digest().hashes == before.mesh.store().digest().hashes);
    CHECK(*after.routes() == *before.mesh.routes());
    CHECK(after.nodes().size() == 3);
    CHECK(after.node(after.self())->unreachable == std::vector<NodeId>{node_of(3)});
    unsigned raised = 0;
    for (const MeshAction& action : after.take_actions()) {
        raised += std::holds_alternative<EpochRaised>(action) ? 1U : 0U;
    }
    CHECK(raised == 0);
}

TEST_CASE("what changed meanwhile is said above all that was said") {
    Before before;
    std::mt19937_64 random{6};
    Mesh after(fake_key(1), 1, fake_ports(fake_key(1), random), before.now);
    after.take_over(before.mesh.version(), records_of(before.mesh), before.now);
    wire::Topology topology = own_topology();
    topology.software = "newer";
    after.set_own_topology(topology, before.now);
    after.tick(before.now + 1s);
    const auto old = before.mesh.store().find({before.mesh.self(), wire::kTopologyKind});
    const auto fresh = after.store().find({after.self(), wire::kTopologyKind});
    REQUIRE(old);
    REQUIRE(fresh);
    CHECK(fresh->stamp > old->stamp);
    CHECK(fresh->stamp.epoch == old->stamp.epoch);
}

TEST_CASE("after a crash a node knows the others at once, and speaks for itself anew") {
    Before before;
    std::mt19937_64 random{7};
    Mesh after(fake_key(1), 2, fake_ports(fake_key(1), random), before.now);
    after.recall(records_of(before.mesh), before.now);
    after.set_own_topology(own_topology(), before.now);
    after.tick(before.now + 1s);
    CHECK(after.node(node_of(2)));
    CHECK(after.node(node_of(3)));
    CHECK(after.node(node_of(2))->reachable);
    const auto own = after.store().find({after.self(), wire::kTopologyKind});
    REQUIRE(own != nullptr);
    CHECK(own->stamp.epoch == 2);
    CHECK(after.store().find({after.self(), wire::kAddressesKind}) == nullptr);
}
