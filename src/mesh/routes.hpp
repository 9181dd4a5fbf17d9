// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <functional>
#include <memory>
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

/** Routes from one node to every node it can reach; itself is not in it. */
using Routes = std::unordered_map<NodeId, Route>;
using RoutesPtr = std::shared_ptr<const Routes>;

/** One vertex: a node and those it says it cannot reach directly. */
struct Adjacency {
    NodeId node;
    const std::vector<NodeId>* unreachable = nullptr;
};

/**
 * Breadth first from `self` over the edges that neither end lists as unreachable. Ties go to the
 * lower node id, so equal views give equal routes. Cost: nodes + listed pairs. `nodes` must be
 * sorted by id and hold `self`.
 */
Routes compute_routes(const NodeId& self, const std::vector<Adjacency>& nodes);

} // namespace weave::mesh
