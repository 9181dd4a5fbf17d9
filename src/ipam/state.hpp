// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "ipam/members_state.hpp"
#include "ipam/ring.hpp"

#include <string>
#include <utility>
#include <vector>

namespace weave::ipam {

/** A lease that an earlier, larger or other range left behind. */
struct Outside {
    IpAddress address;
    std::string holder;

    auto operator<=>(const Outside&) const = default;
};

/** What an allocator keeps on disk. */
struct AllocatorState {
    /** What the indices count from. */
    Prefix range;
    std::vector<std::pair<Run, Claim>> ring;
    /** Given away and not yet said by the one who got it. */
    std::vector<std::pair<Run, Claim>> given;
    std::vector<std::pair<Index, std::string>> leases;
    std::vector<Outside> outside;
    /** Longest first. */
    std::vector<Index> resting;
    /** Of this node's own space, what another node's pods use since before the ring was one. */
    std::vector<std::pair<Index, NodeId>> lent;
    /** Of this node's own space, what came from nodes that are away, and is the last choice. */
    std::vector<Run> taken;
    /** The nodes whose space was taken over and that did not come back. */
    std::vector<NodeId> away;

    bool operator==(const AllocatorState&) const = default;
};

/** What a manager keeps on disk. */
struct ManagerState {
    AllocatorState allocator;
    MembersState members;
    /** What the time points count from. */
    std::string boot;

    bool operator==(const ManagerState&) const = default;
};

/**
 * version 1 | range: length 1, family 1 (4 or 6), address | then the allocator's lists: count 4,
 * entries | boot | the members': sets as kind 4 tells each, and attested 1; has a lease 1, until
 * when 8 (ns); fence 4, highest 4; overruled; lineages. Little-endian, a text as length 4 and its
 * bytes. No checksum: the file around it has one.
 */
Bytes encode_state(const ManagerState& state);

/**
 * Error: bad_message for another version, a count or length that the bytes left cannot hold, an
 * empty run, or bytes after the end. What is decoded may still make no sense: Allocator::restore()
 * leaves out what does not.
 */
Result<ManagerState> decode_state(ByteView bytes);

} // namespace weave::ipam
