// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

/** How much the machines hold, for the bounds that tests watch. */
namespace weave::mesh {

struct MeshSizes {
    static constexpr std::size_t kMaxRequested = 65536;
    /** Messages nobody has fetched; beyond, they are dropped and anti-entropy repairs. */
    static constexpr std::size_t kMaxSends = 8192;

    std::size_t links = 0;
    std::size_t waiting = 0; ///< most records and lines for any one link: at most one per record
    std::size_t requested = 0;
    std::size_t sends = 0;
    std::size_t dead = 0;        ///< at most the nodes in the store
    std::size_t unreachable = 0; ///< at most wire::kMaxUnreachable
    std::size_t tombstones = 0;  ///< at most StoreLimits::tombstones
};

struct ConnectorSizes {
    static constexpr std::size_t kMaxSelfEndpoints = 64;

    std::size_t targets = 0;
    std::size_t nodes = 0; ///< to dial: in a large mesh at most ActiveViewSettings::least and one
    std::size_t dials = 0; ///< at most one per target, and ConnectorSettings::max_dials
    std::size_t links = 0;
    std::size_t processes = 0;      ///< nodes with processes: at most ConnectorSettings::max_nodes
    std::size_t most_processes = 0; ///< of one node: at most Processes::kMaxOfNode
    std::size_t self_endpoints = 0;
    std::size_t avoided = 0; ///< at most ActiveViewSettings::max_avoided
    std::size_t namers = 0;  ///< at most the nodes in the store
};

} // namespace weave::mesh
