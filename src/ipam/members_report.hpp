// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weave::ipam {

/** Why the lease is prolonged, or why not. */
struct Lease {
    enum class State : std::uint8_t {
        held,
        no_set,     ///< this node follows no set yet
        minority,   ///< `seen` of `members` members are reachable: less than half
        removal,    ///< `node` accepted a set that takes this node's space back
        unresolved, ///< `node` accepted a set whose content has not come yet
    };

    State state = State::no_set;
    std::size_t seen = 0;
    std::size_t members = 0;
    NodeId node;
    /** Zero: it has ended, and nothing may be handed out. */
    Duration left{};
};

/** For people. */
struct MembersReport {
    Lease lease;
    std::uint32_t seq = 0; ///< of the followed set
    std::size_t members = 0;
    std::size_t seen = 0; ///< of them, this node included
    bool member = false;
    /** Accepted and not complete. */
    std::size_t pending = 0;

    struct Absent {
        NodeId node;
        Duration time{};
    };

    std::vector<Absent> absent;
    Duration reclaim_after{};
    /** Who proposes, when it is this node: whom it waits for before it can. */
    std::vector<NodeId> waits_for;
    /** More nodes than a set can hold: nothing comes back by itself. */
    bool too_many = false;
    /** Records that were not kept, because those of as many nodes as may be are. */
    std::size_t ignored = 0;
};

} // namespace weave::ipam
