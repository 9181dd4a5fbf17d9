// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace weave::mesh {

/** Whom gossip knows, as the driver has it. Cheap to ask, however large the mesh. */
struct Directory {
    std::function<std::size_t()> size;
    /** In any order, the same until something changes; this node itself may be among them. */
    std::function<NodeId(std::size_t)> at;
    std::function<bool(const NodeId&)> knows;
    std::function<std::vector<Endpoint>(const NodeId&)> endpoints;
    /** May be empty: whether packets get there, as far as is known. Others are asked last. */
    std::function<bool(const NodeId&)> reachable;
};

} // namespace weave::mesh
