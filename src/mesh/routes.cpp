// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/routes.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace weave::mesh {
namespace {

using Index = std::uint32_t;

std::optional<Index> index_of(const std::vector<Adjacency>& nodes, const NodeId& node) {
    const auto at = std::lower_bound(
        nodes.begin(), nodes.end(), node, [](const Adjacency& entry, const NodeId& wanted) {
            return entry.node < wanted;
        });
    if (at == nodes.end() || at->node != node) {
        return std::nullopt;
    }
    return static_cast<Index>(at - nodes.begin());
}

/** For each node the sorted indexes of those it has no edge to: either end's word is enough. */
std::vector<std::vector<Index>> missing_edges(const std::vector<Adjacency>& nodes) {
    std::vector<std::vector<Index>> missing(nodes.size());
    for (Index from = 0; from < nodes.size(); ++from) {
        if (nodes[from].unreachable == nullptr) {
            continue;
        }
        for (const NodeId& listed : *nodes[from].unreachable) {
            if (const auto to = index_of(nodes, listed)) {
                missing[from].push_back(*to);
#ifndef WEAVE_BREAK_ONE_SIDED_EDGES // the simulator proves that it notices this line missing
                missing[*to].push_back(from);
#endif
            }
        }
    }
    for (std::vector<Index>& list : missing) {
        std::sort(list.begin(), list.end());
    }
    return missing;
}

} // namespace

Routes compute_routes(const NodeId& self, const std::vector<Adjacency>& nodes) {
    Routes routes;
    const auto start = index_of(nodes, self);
    if (!start) {
        return routes;
    }
    const auto missing = missing_edges(nodes);
    std::vector<Index> unvisited;
    for (Index i = 0; i < nodes.size(); ++i) {
        if (i != *start) {
            unvisited.push_back(i);
        }
    }
    // Whoever is left after a vertex was expanded has no edge to it: nodes + listed pairs in all.
    std::vector<Index> queue{*start};
    for (std::size_t head = 0; head < queue.size() && !unvisited.empty(); ++head) {
        const Index at = queue[head];
        std::vector<Index> left;
        for (const Index next : unvisited) {
            if (std::binary_search(missing[at].begin(), missing[at].end(), next)) {
                left.push_back(next);
                continue;
            }
            queue.push_back(next);
            const auto via = routes.find(nodes[at].node);
            routes[nodes[next].node] = at == *start
                                           ? Route{nodes[next].node, 1}
                                           : Route{via->second.next_hop, via->second.hops + 1};
        }
        unvisited.swap(left);
#ifdef WEAVE_BREAK_BREADTH_FIRST // the simulator proves that it notices
        std::reverse(queue.begin() + static_cast<std::ptrdiff_t>(head) + 1, queue.end());
#endif
    }
    return routes;
}

} // namespace weave::mesh
