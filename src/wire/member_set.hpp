// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace weave::wire {

/** Record kind of MemberSets. */
inline constexpr std::uint16_t kMemberSetsKind = 4;

/** One set with as many of both fits in a record; so do two with all members and few removals. */
inline constexpr std::size_t kMaxMembers = 1000;
inline constexpr std::size_t kMaxRemovals = 450;
/** Sets in one record. */
inline constexpr std::size_t kMaxSets = 3;
/** Sets that one node names as accepted. */
inline constexpr std::size_t kMaxAccepted = 8;
inline constexpr std::size_t kMaxOrigins = 8;
inline constexpr std::size_t kMaxPredecessors = 8;

/** Names a set and, by the digest, its content. Greater is newer. */
struct SetRef {
    std::uint32_t seq = 0;
    NodeId proposer;
    std::uint64_t digest = 0;

    auto operator<=>(const SetRef&) const = default;
};

/** Claims of the node of an era below this one are taken over. Zero: none, it was to become a
 * member and may be one of another mesh still. */
struct Removal {
    NodeId node;
    std::uint32_t era = 0;

    auto operator<=>(const Removal&) const = default;
};

/** Who belongs to a mesh, as one node proposed it; see ipam/members.hpp. */
struct MemberSet {
    std::uint32_t seq = 0;
    NodeId proposer;
    /** The longest lease that a member may hold. */
    std::uint32_t lease_seconds = 0;
    /** Random numbers of the meshes that this one grew from, in order. */
    std::vector<std::uint64_t> origins;
    /** The complete sets that this one comes after. */
    std::vector<SetRef> after;
    /** In order, each once. */
    std::vector<NodeId> members;
    /** In order of node, each once. */
    std::vector<Removal> removed;

    [[nodiscard]] bool has(const NodeId& node) const;
    [[nodiscard]] const Removal* removal(const NodeId& node) const;

    bool operator==(const MemberSet&) const = default;
};

/** The digest is FNV-1a over the encoded set: it tells accidents apart, no forgeries (members are
 * trusted). */
SetRef ref_of(const MemberSet& set);

/** Kind 4: contents of sets. */
struct MemberSets {
    std::vector<MemberSet> sets;
    Bytes unknown;

    bool operator==(const MemberSets&) const = default;
};

/** As many sets, from the first on, as fit in a record. */
Bytes encode_member_sets(const MemberSets& sets);
/** Error: bad_message for too many of anything, what is not in order, or a wrong size. */
Result<MemberSets> decode_member_sets(ByteView tlvs);

/** What a node says of sets in its kind 3 record, beside its claims: whoever sees that it accepted
 * a set sees its claims as they then were. */
struct Membership {
    struct Accepted {
        SetRef ref;
        /** Whoever the set newly removes was absent for long enough, by this node's own clock. */
        bool attested = false;

        bool operator==(const Accepted&) const = default;
    };

    std::uint32_t lease_seconds = 0;
    /** One of the origins of the set it follows. */
    std::uint64_t origin = 0;
    /** It does not use claims of its own of an era below this one. */
    std::uint32_t fence = 0;
    /** The complete set that it follows, then those it accepted after it. Empty: follows none. */
    std::vector<Accepted> accepted;

    bool operator==(const Membership&) const = default;
};

/** The value of one TLV. */
Bytes encode_membership(const Membership& membership);
std::optional<Membership> decode_membership(ByteView value);

} // namespace weave::wire
