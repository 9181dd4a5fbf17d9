// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

namespace {

/** Nodes 0 to n-1, in order of id, and who lists whom as unreachable. */
struct Graph {
    explicit Graph(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            NodeId node;
            node.octets[0] = static_cast<std::uint8_t>(i);
            ids.push_back(node);
        }
        lists.resize(count);
    }

    void lists_one(std::size_t from, std::size_t to) { lists[from].push_back(ids[to]); }

    /** Leaves only the given edges; each missing one is listed by its lower end. */
    void only(const std::vector<std::pair<std::size_t, std::size_t>>& edges) {
        for (std::size_t a = 0; a < ids.size(); ++a) {
            for (std::size_t b = a + 1; b < ids.size(); ++b) {
                if (std::find(edges.begin(), edges.end(), std::pair{a, b}) == edges.end()) {
                    lists_one(a, b);
                }
            }
        }
    }

    [[nodiscard]] Routes from(std::size_t self) const {
        std::vector<Adjacency> nodes;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            nodes.push_back({ids[i], &lists[i]});
        }
        return compute_routes(ids[self], nodes);
    }

    std::vector<NodeId> ids;
    std::vector<std::vector<NodeId>> lists;
};

} // namespace

TEST_CASE("who lists nobody reaches everybody directly") {
    const Graph graph(5);
    const Routes routes = graph.from(2);
    CHECK(routes.size() == 4);
    for (const auto& [node, route] : routes) {
        CHECK(route == Route{node, 1});
    }
}

TEST_CASE("one end's word is enough to lose an edge, at both ends") {
    Graph graph(3);
    graph.lists_one(0, 1);
    CHECK(graph.from(0).at(graph.ids[1]) == Route{graph.ids[2], 2});
    CHECK(graph.from(1).at(graph.ids[0]) == Route{graph.ids[2], 2});
}

TEST_CASE("paths of several hops go by the first of them") {
    Graph graph(5);
    graph.only({{0, 1}, {1, 2}, {2, 3}, {3, 4}});
    const Routes routes = graph.from(0);
    for (std::size_t i = 1; i < 5; ++i) {
        CHECK(routes.at(graph.ids[i]) == Route{graph.ids[1], static_cast<unsigned>(i)});
    }
    CHECK(graph.from(4).at(graph.ids[0]) == Route{graph.ids[3], 4});
}

TEST_CASE("of two ways as long, the one over the lower id is taken") {
    Graph graph(4);
    graph.only({{0, 1}, {0, 2}, {1, 3}, {2, 3}});
    CHECK(graph.from(0).at(graph.ids[3]) == Route{graph.ids[1], 2});
    CHECK(graph.from(3).at(graph.ids[0]) == Route{graph.ids[1], 2});
}

TEST_CASE("what cannot be reached has no route; nor has the node itself") {
    Graph graph(4);
    graph.only({{0, 1}, {2, 3}});
    const Routes routes = graph.from(0);
    CHECK(routes.size() == 1);
    CHECK(routes.contains(graph.ids[1]));
}

TEST_CASE("lists may name strangers, the node itself and one node twice") {
    Graph graph(3);
    NodeId stranger;
    stranger.octets[15] = 77;
    graph.lists[0] = {stranger, graph.ids[0], graph.ids[1], graph.ids[1]};
    const Routes routes = graph.from(0);
    CHECK(routes.size() == 2);
    CHECK(routes.at(graph.ids[1]).hops == 2);
}

TEST_CASE("who is not among the nodes has no routes") {
    const Graph graph(2);
    NodeId stranger;
    stranger.octets[15] = 77;
    std::vector<Adjacency> nodes{{graph.ids[0], nullptr}, {graph.ids[1], nullptr}};
    CHECK(compute_routes(stranger, nodes).empty());
    CHECK(compute_routes(graph.ids[0], nodes).size() == 1);
}

TEST_CASE("in random meshes next hops lead nearer, so there are no circles") {
    std::mt19937_64 random(3);
    for (int round = 0; round < 30; ++round) {
        Graph graph(12);
        for (std::size_t a = 0; a < 12; ++a) {
            for (std::size_t b = 0; b < 12; ++b) {
                if (a != b && random() % 3 != 0) {
                    graph.lists_one(a, b);
                }
            }
        }
        std::map<NodeId, Routes> all;
        for (std::size_t i = 0; i < 12; ++i) {
            all[graph.ids[i]] = graph.from(i);
        }
        for (const auto& [from, routes] : all) {
            for (const auto& [to, route] : routes) {
                CHECK(all.at(from).at(route.next_hop).hops == 1);
                const unsigned left = route.next_hop == to ? 0 : all.at(route.next_hop).at(to).hops;
                CHECK(left + 1 == route.hops);
            }
        }
    }
}
