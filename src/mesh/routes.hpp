// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace weave::mesh {

/** How to get to a node: `next_hop` is the node itself when the path is direct. */
struct Route {
    NodeId next_hop;
    /** 1 = direct. */
    unsigned hops = 0;

    bool operator==(const Route&) const = default;
};

/** How one node gets to the others that it knows: directly, but for those that are named here. So
 * that a mesh of thousands costs nothing where all is well. */
struct Routes {
    /** Over others. */
    std::unordered_map<NodeId, Route> relayed;
    /** Dead, or out of reach; in order. */
    std::vector<NodeId> unreachable;

    [[nodiscard]] bool reaches(const NodeId& node) const;
    /** To a known node other than itself; nullopt when it cannot be reached. */
    [[nodiscard]] std::optional<Route> to(const NodeId& node) const;

    bool operator==(const Routes&) const = default;
};

using RoutesPtr = std::shared_ptr<const Routes>;

/** One vertex: a node and what it says of others. */
struct Adjacency {
    NodeId node;
    /** Those it has tried and cannot reach directly. */
    const std::vector<NodeId>* unreachable = nullptr;
    /** Those it watches, as they watch it. Null: it does not say, as in a mesh so small that all
     * watch all. */
    const std::vector<NodeId>* neighbours = nullptr;
};

/** In meshes of up to so many nodes whoever names no neighbours is taken to watch everybody. */
inline constexpr std::size_t kAllWatchAll = 16;

/**
 * Who is alive, as those who watch it say, and the shortest ways to them.
 *
 * An edge is lost when either end lists the other. Nodes that unlisted edges between neighbours
 * join are of one group. `self` believes its own group; another group is dead when it is cut off
 * from that one by losses that count: at least one, and half as many as the smaller of the two has
 * nodes. A few edges lost between halves that have just met do not make one of them dead. A node
 * that has no neighbours is judged by all who list it.
 *
 * Among those alive: breadth first from `self` over all edges that neither end lists. Ties go to
 * the lower node id, so equal views give equal routes. Cost: nodes + listed pairs. `nodes` must be
 * sorted by id; where `self` is not among them nobody is reached.
 */
Routes compute_routes(const NodeId& self, const std::vector<Adjacency>& nodes);

} // namespace weave::mesh
