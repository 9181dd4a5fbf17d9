// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"
#include "wire/record.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weave::mesh {

/** What is known of one node. */
struct NodeInfo {
    NodeId id;
    wire::RecordKey key{};
    std::string name;
    /** `name`, or name~fingerprint while another reachable node has a better claim to it. */
    std::string shown_name;
    std::vector<Endpoint> endpoints;
    std::array<std::uint8_t, 32> static_key{};
    std::vector<NodeId> unreachable;
    std::optional<std::vector<NodeId>> neighbours;
    std::uint32_t flags = 0;
    std::uint8_t lanes = 1;
    /** How long its records are kept after its last link. */
    Duration grace{};
    std::string software;
    std::uint64_t epoch = 0;
    bool reachable = false;
    bool self = false;
    /** Watched by this node, which tells the others when it is gone. */
    bool watched = false;
    /** Of the two ends of a path it is this one that probes. */
    bool leads = false;
    /** Its record names this node as one that it watches. */
    bool names_us = false;
};

} // namespace weave::mesh
