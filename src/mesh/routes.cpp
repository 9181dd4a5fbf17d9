// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/routes.hpp"

#include <algorithm>
#include <cstdint>

namespace weave::mesh {
namespace {

using Index = std::uint32_t;
using Edges = std::vector<std::vector<Index>>;

constexpr Index kNoGroup = ~Index{0};

/** The vertices by number, in order of id. */
struct Graph {
    explicit Graph(const std::vector<Adjacency>& vertices)
        : nodes(vertices)
        , missing(missing_edges())
        , watch(watch_edges()) {}

    [[nodiscard]] std::optional<Index> index_of(const NodeId& node) const {
        const auto at = std::lower_bound(
            nodes.begin(), nodes.end(), node, [](const Adjacency& entry, const NodeId& wanted) {
                return entry.node < wanted;
            });
        if (at == nodes.end() || at->node != node) {
            return std::nullopt;
        }
        return static_cast<Index>(at - nodes.begin());
    }

    [[nodiscard]] Index size() const { return static_cast<Index>(nodes.size()); }

    [[nodiscard]] const NodeId& id(Index index) const { return nodes[index].node; }

    [[nodiscard]] bool lost(Index from, Index to) const {
        return std::binary_search(missing[from].begin(), missing[from].end(), to);
    }

    [[nodiscard]] Edges missing_edges() const;
    [[nodiscard]] Edges watch_edges() const;

    const std::vector<Adjacency>& nodes;
    /** Those there is no edge to: either end's word is enough. Sorted. */
    Edges missing;
    /** Those it watches, and that watch it. Sorted. */
    Edges watch;
};

void sort_each(Edges& edges) {
    for (std::vector<Index>& list : edges) {
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
    }
}

Edges Graph::missing_edges() const {
    Edges out(nodes.size());
    for (Index from = 0; from < size(); ++from) {
        if (nodes[from].unreachable == nullptr) {
            continue;
        }
        for (const NodeId& listed : *nodes[from].unreachable) {
            if (const auto to = index_of(listed)) {
                out[from].push_back(*to);
#ifndef WEAVE_BREAK_ONE_SIDED_EDGES // the simulator proves that it notices this line missing
                out[*to].push_back(from);
#endif
            }
        }
    }
    sort_each(out);
    return out;
}

Edges Graph::watch_edges() const {
    Edges out(nodes.size());
    const auto join = [&](Index a, Index b) {
        if (a != b) {
            out[a].push_back(b);
            out[b].push_back(a);
        }
    };
    for (Index from = 0; from < size(); ++from) {
        const auto* neighbours = nodes[from].neighbours;
        for (Index to = 0; neighbours == nullptr && size() <= kAllWatchAll && to < size(); ++to) {
            join(from, to);
        }
        for (std::size_t i = 0; neighbours != nullptr && i < neighbours->size(); ++i) {
            if (const auto to = index_of((*neighbours)[i])) {
                join(from, *to);
            }
        }
    }
    sort_each(out);
    return out;
}

/** Nodes that vouch for each other, and how many losses cut them off from the group of `self`. */
struct Group {
    std::size_t nodes = 0;
    std::size_t losses = 0;
};

/** The number of each vertex's group; 0 is that of `self`. */
std::vector<Index> groups_of(const Graph& graph, Index self) {
    std::vector<Index> group(graph.size(), kNoGroup);
    Index groups = 0;
    const auto spread = [&](Index from) {
        std::vector<Index> queue{from};
        group[from] = groups;
        for (std::size_t head = 0; head < queue.size(); ++head) {
            for (const Index next : graph.watch[queue[head]]) {
                if (group[next] == kNoGroup && !graph.lost(queue[head], next)) {
                    group[next] = groups;
                    queue.push_back(next);
                }
            }
        }
        ++groups;
    };
    spread(self);
    for (Index i = 0; i < graph.size(); ++i) {
        if (group[i] == kNoGroup) {
            spread(i);
        }
    }
    return group;
}

std::vector<bool> alive(const Graph& graph, Index self) {
    const std::vector<Index> group = groups_of(graph, self);
    std::vector<Group> groups(graph.size());
    for (Index i = 0; i < graph.size(); ++i) {
        Group& own = groups[group[i]];
        ++own.nodes;
        const auto& judges = graph.watch[i].empty() ? graph.missing[i] : graph.watch[i];
        own.losses += static_cast<std::size_t>(std::ranges::count_if(
            judges, [&](Index judge) { return group[judge] == 0 && group[i] != 0; }));
    }
    const auto dead = [&](const Group& other) {
        const std::size_t smaller = std::min(other.nodes, groups[0].nodes);
        return other.losses >= std::max<std::size_t>(1, smaller / 2);
    };
    std::vector<bool> out(graph.size());
    for (Index i = 0; i < graph.size(); ++i) {
        out[i] = group[i] == 0 || !dead(groups[group[i]]);
    }
    return out;
}

/** Fills in those alive that are reached over others; returns whoever is not reached. */
std::vector<Index>
breadth_first(const Graph& graph, Index self, const std::vector<bool>& living, Routes& routes) {
    std::vector<Index> unvisited;
    for (Index i = 0; i < graph.size(); ++i) {
        if (i != self && living[i]) {
            unvisited.push_back(i);
        }
    }
    const auto route_over = [&](Index at) {
        const auto found = routes.relayed.find(graph.id(at));
        return found == routes.relayed.end() ? Route{graph.id(at), 1} : found->second;
    };
    // Whoever is left after a vertex was expanded has no edge to it: nodes + listed pairs in all.
    std::vector<Index> queue{self};
    for (std::size_t head = 0; head < queue.size() && !unvisited.empty(); ++head) {
        const Index at = queue[head];
        std::vector<Index> left;
        for (const Index next : unvisited) {
            if (graph.lost(at, next)) {
                left.push_back(next);
                continue;
            }
            queue.push_back(next);
            if (at != self) {
                const Route way = route_over(at);
                routes.relayed[graph.id(next)] = {way.next_hop, way.hops + 1};
            }
        }
        unvisited.swap(left);
#ifdef WEAVE_BREAK_BREADTH_FIRST // the simulator proves that it notices
        std::reverse(queue.begin() + static_cast<std::ptrdiff_t>(head) + 1, queue.end());
#endif
    }
    return unvisited;
}

} // namespace

bool Routes::reaches(const NodeId& node) const {
    return !std::binary_search(unreachable.begin(), unreachable.end(), node);
}

std::optional<Route> Routes::to(const NodeId& node) const {
    if (!reaches(node)) {
        return std::nullopt;
    }
    const auto found = relayed.find(node);
    return found == relayed.end() ? Route{node, 1} : found->second;
}

Routes compute_routes(const NodeId& self, const std::vector<Adjacency>& nodes) {
    Routes routes;
    const Graph graph(nodes);
    const auto start = graph.index_of(self);
    if (!start) {
        for (const Adjacency& each : nodes) {
            routes.unreachable.push_back(each.node);
        }
        return routes;
    }
    const std::vector<bool> living = alive(graph, *start);
    const std::vector<Index> left = breadth_first(graph, *start, living, routes);
    for (Index i = 0; i < graph.size(); ++i) {
        if (!living[i] || std::binary_search(left.begin(), left.end(), i)) {
            routes.unreachable.push_back(graph.id(i));
        }
    }
    return routes;
}

} // namespace weave::mesh
