// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "mesh/link_id.hpp"
#include "wire/record.hpp"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

/** What the gossip machine asks its driver to do or tells it. */
namespace weave::mesh {

/** Hand these bytes, one sealed message, to the link. At most wire::kMaxLinkMessage bytes. */
struct Send {
    LinkId link;
    Bytes message;
};

/** A record was accepted, our own included. */
struct RecordChanged {
    wire::RecordPtr record;
};

/** What NodeInfo shows of the node changed: its topology, its reachability, its shown name. */
struct NodeChanged {
    NodeId node;
};

/** The node was forgotten with all its records. */
struct NodeGone {
    NodeId node;
};

/** Our own id was heard with an epoch not below ours: persist `epoch`, which is now in use. */
struct EpochRaised {
    std::uint64_t epoch;
};

/** Another router that is alive signs with our key: its records answer ours. */
struct IdentityElsewhere {
    std::vector<Endpoint> endpoints; ///< what it says of itself
};

/** Two reachable nodes use one name: `holder` is shown with it, `other` as name~fingerprint. */
struct NameCollision {
    std::string name;
    NodeId holder;
    NodeId other;
};

/** A name went to `holder`, as `before`, which had it, is dead. */
struct NameTaken {
    std::string name;
    NodeId holder, before;
};

/** Two nodes whose ids start with the same six bytes: relaying to `other` is ambiguous. */
struct RelayCollision {
    NodeId holder;
    NodeId other;
};

/** Something to count; `name` is a literal. */
struct Counted {
    const char* name;
};

using MeshAction = std::variant<Send,
                                RecordChanged,
                                NodeChanged,
                                NodeGone,
                                EpochRaised,
                                IdentityElsewhere,
                                NameCollision,
                                NameTaken,
                                RelayCollision,
                                Counted>;

} // namespace weave::mesh
