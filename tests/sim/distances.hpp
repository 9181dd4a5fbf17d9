// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mesh/node_info.hpp"

#include <cstddef>
#include <vector>

namespace weave::sim {

/** Hops to each node, in order of id; 0: itself, dead, or out of reach. */
struct Distances {
    std::vector<NodeId> nodes;
    std::vector<unsigned> hops;

    [[nodiscard]] std::size_t number(const NodeId& node) const;
    [[nodiscard]] unsigned to(const NodeId& node) const;
};

/** By the definition, sharing no code with the router: who is alive, as mesh/routes.hpp has it, and
 * plain breadth first among these. `infos`: what `self` knows, in order of id. */
Distances true_distances(const NodeId& self, const std::vector<mesh::NodeInfo>& infos);

} // namespace weave::sim
