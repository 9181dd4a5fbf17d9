// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/host.hpp"
#include "daemon/allocations.hpp"
#include "daemon/mesh_plane.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "daemon/owners.hpp"
#include "daemon/peers.hpp"
#include "daemon/request_log.hpp"

namespace weave::daemon {

/** What gives pods, programs and the host their addresses stands on. All of it outlives them. */
struct NodeParts {
    const Options& options;
    NodeState& state;
    attach::Host& host;
    Owners& owners;
    MeshPlane& mesh;
    Peers& peers;
    Allocations& allocations;
    RequestLog& requests;
};

} // namespace weave::daemon
