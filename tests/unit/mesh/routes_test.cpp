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
            nodes.push_back({ids[i], &lists[i], watches.empty() ? nullptr : &watches[i]});
        }
        return compute_routes(ids[self], nodes);
    }

    std::vector<NodeId> ids;
    std::vector<std::vector<NodeId>> lists;
    /** Whom each watches; empty: all watch all. */
    std::vector<std::vector<NodeId>> watches;
};

} // namespace

TEST_CASE("who lists nobody reaches everybody directly") {
    const Graph graph(5);
    const Routes routes = graph.from(2);
    CHECK(routes == Routes{});
    CHECK(routes.to(graph.ids[4]) == Route{graph.ids[4], 1});
}

TEST_CASE("one end's word is enough to lose an edge, at both ends") {
    Graph graph(3);
    graph.lists_one(0, 1);
    CHECK(graph.from(0).to(graph.ids[1]) == Route{graph.ids[2], 2});
    CHECK(graph.from(1).to(graph.ids[0]) == Route{graph.ids[2], 2});
}

TEST_CASE("paths of several hops go by the first of them") {
    Graph graph(5);
    graph.only({{0, 1}, {1, 2}, {2, 3}, {3, 4}});
    const Routes routes = graph.from(0);
    for (std::size_t i = 1; i < 5; ++i) {
        CHECK(routes.to(graph.ids[i]) == Route{graph.ids[1], static_cast<unsigned>(i)});
    }
    CHECK(graph.from(4).to(graph.ids[0]) == Route{graph.ids[3], 4});
}

TEST_CASE("of two ways as long, the one over the lower id is taken") {
    Graph graph(4);
    graph.only({{0, 1}, {0, 2}, {1, 3}, {2, 3}});
    CHECK(graph.from(0).to(graph.ids[3]) == Route{graph.ids[1], 2});
    CHECK(graph.from(3).to(graph.ids[0]) == Route{graph.ids[1], 2});
}

TEST_CASE("what cannot be reached has no route; nor has the node itself") {
    Graph graph(4);
    graph.only({{0, 1}, {2, 3}});
    const Routes routes = graph.from(0);
    CHECK(routes.relayed.empty());
    CHECK(routes.reaches(graph.ids[1]));
    CHECK(routes.unreachable == std::vector{graph.ids[2], graph.ids[3]});
    CHECK_FALSE(routes.to(graph.ids[2]));
}

TEST_CASE("lists may name strangers, the node itself and one node twice") {
    Graph graph(3);
    NodeId stranger;
    stranger.octets[15] = 77;
    graph.lists[0] = {stranger, graph.ids[0], graph.ids[1], graph.ids[1]};
    const Routes routes = graph.from(0);
    CHECK(routes.unreachable.empty());
    CHECK(routes.to(graph.ids[1])->hops == 2);
    CHECK(routes.to(graph.ids[2])->hops == 1);
}

TEST_CASE("who is not among the nodes has no routes") {
    const Graph graph(2);
    NodeId stranger;
    stranger.octets[15] = 77;
    std::vector<Adjacency> nodes{{graph.ids[0], nullptr}, {graph.ids[1], nullptr}};
    CHECK(compute_routes(stranger, nodes).unreachable == graph.ids);
    CHECK(compute_routes(graph.ids[0], nodes) == Routes{});
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
            for (const auto& [to, route] : routes.relayed) {
                CHECK(routes.to(route.next_hop)->hops == 1);
                CHECK(all.at(route.next_hop).to(to)->hops + 1 == route.hops);
            }
        }
    }
}

namespace {

/** Nodes 0 to n-1 in a ring, each watching the next `reach` of them. */
Graph ring(std::size_t count, std::size_t reach) {
    Graph graph(count);
    graph.watches.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t step = 1; step <= reach; ++step) {
            graph.watches[i].push_back(graph.ids[(i + step) % count]);
        }
    }
    return graph;
}

} // namespace

TEST_CASE("who is listed by all that watch it is dead for everybody, however many do not list it") {
    Graph graph = ring(40, 2);
    for (const std::size_t watcher : {8U, 9U, 11U, 12U}) {
        graph.lists_one(watcher, 10);
    }
    CHECK(graph.from(30).unreachable == std::vector{graph.ids[10]});
    graph.lists[12].clear();
    CHECK(graph.from(30) == Routes{});
    CHECK(graph.from(11).to(graph.ids[10])->hops == 2);
}

TEST_CASE("nodes that died together do not vouch for each other") {
    Graph graph = ring(40, 4);
    for (std::size_t dead = 10; dead < 20; ++dead) {
        for (const std::size_t watcher : {6U, 7U, 8U, 9U, 20U, 21U, 22U, 23U}) {
            const auto near = [&](std::size_t a, std::size_t b) { return b - a <= 4; };
            if (watcher < dead ? near(watcher, dead) : near(dead, watcher)) {
                graph.lists_one(watcher, dead);
            }
        }
    }
    CHECK(graph.from(30).unreachable ==
          std::vector(graph.ids.begin() + 10, graph.ids.begin() + 20));
    CHECK(graph.from(12).unreachable.size() == 30); // as they see it, the others are gone
}

TEST_CASE("halves that have just met are alive to each other, though one of few edges is lost") {
    Graph graph = ring(40, 4);
    const auto half = [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            std::erase_if(graph.watches[i], [&](const NodeId& node) {
                return node < graph.ids[begin] || node > graph.ids[end - 1];
            });
        }
    };
    half(0, 20);
    half(20, 40);
    graph.lists_one(35, 36);
    CHECK(graph.from(3).unreachable.empty());
    graph.watches[3].push_back(graph.ids[30]);
    graph.lists_one(3, 30);
    CHECK(graph.from(1).unreachable.empty());
    CHECK(graph.from(3).to(graph.ids[30])->hops == 2);
    // One that is cut off from all sees it, as small as it is.
    Graph lonely = ring(40, 4);
    for (const std::size_t other : {36U, 37U, 38U, 39U, 1U, 2U, 3U, 4U}) {
        lonely.lists_one(0, other);
    }
    CHECK(lonely.from(0).unreachable.size() == 39);
}

TEST_CASE("who has no neighbours yet is judged by those who list it") {
    Graph graph = ring(40, 2);
    graph.watches[10].clear();
    for (std::size_t i = 0; i < 40; ++i) {
        std::erase(graph.watches[i], graph.ids[10]);
    }
    CHECK(graph.from(30) == Routes{});
    graph.lists_one(5, 10);
    CHECK(graph.from(30).unreachable == std::vector{graph.ids[10]});
}
