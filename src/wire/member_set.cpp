// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/member_set.hpp"

#include "wire/bytes_io.hpp"
#include "wire/record.hpp"
#include "wire/tlv.hpp"

#include <algorithm>
#include <functional>

namespace weave::wire {
namespace {

enum MemberSetsTlv : std::uint8_t { kSet = 1 };

constexpr std::uint8_t kAttested = 1;

void put_ref(ByteWriter& out, const SetRef& ref) {
    out.u32(ref.seq).bytes(ref.proposer.octets).u64(ref.digest);
}

SetRef read_ref(ByteReader& in) {
    const std::uint32_t seq = in.u32();
    const NodeId proposer{in.array<16>()};
    return {seq, proposer, in.u64()};
}

Bytes encode_set(const MemberSet& set) {
    ByteWriter out;
    out.u32(set.seq).bytes(set.proposer.octets).u32(set.lease_seconds);
    out.u8(static_cast<std::uint8_t>(set.origins.size()));
    for (const std::uint64_t origin : set.origins) {
        out.u64(origin);
    }
    out.u8(static_cast<std::uint8_t>(set.after.size()));
    for (const SetRef& ref : set.after) {
        put_ref(out, ref);
    }
    out.u16(static_cast<std::uint16_t>(set.members.size()));
    for (const NodeId& node : set.members) {
        out.bytes(node.octets);
    }
    out.u16(static_cast<std::uint16_t>(set.removed.size()));
    for (const Removal& removal : set.removed) {
        out.bytes(removal.node.octets).u32(removal.era);
    }
    return out.take();
}

/** Strictly: nothing twice. */
template <class Item, class Key> bool in_order(const std::vector<Item>& items, Key key) {
    return std::ranges::adjacent_find(items, std::greater_equal<>{}, key) == items.end();
}

std::optional<MemberSet> decode_set(ByteView value) {
    ByteReader in(value);
    MemberSet out;
    out.seq = in.u32();
    out.proposer = NodeId{in.array<16>()};
    out.lease_seconds = in.u32();
    const std::size_t origins = in.u8();
    for (std::size_t i = 0; i < origins && in.ok(); ++i) {
        out.origins.push_back(in.u64());
    }
    const std::size_t after = in.u8();
    for (std::size_t i = 0; i < after && in.ok(); ++i) {
        out.after.push_back(read_ref(in));
    }
    const std::size_t members = in.u16();
    for (std::size_t i = 0; i < members && in.ok(); ++i) {
        out.members.push_back(NodeId{in.array<16>()});
    }
    const std::size_t removed = in.u16();
    for (std::size_t i = 0; i < removed && in.ok(); ++i) {
        const NodeId node{in.array<16>()};
        out.removed.push_back({node, in.u32()});
    }
    const bool good = in.ok() && in.at_end() && origins <= kMaxOrigins &&
                      after <= kMaxPredecessors && members > 0 && members <= kMaxMembers &&
                      removed <= kMaxRemovals && in_order(out.origins, std::identity{}) &&
                      in_order(out.members, std::identity{}) &&
                      in_order(out.removed, &Removal::node);
    return good ? std::optional(std::move(out)) : std::nullopt;
}

} // namespace

bool MemberSet::has(const NodeId& node) const {
    return std::ranges::binary_search(members, node);
}

const Removal* MemberSet::removal(const NodeId& node) const {
    const auto found = std::ranges::lower_bound(removed, node, {}, &Removal::node);
    return found != removed.end() && found->node == node ? &*found : nullptr;
}

SetRef ref_of(const MemberSet& set) {
    std::uint64_t digest = 0xcbf29ce484222325;
    for (const std::uint8_t byte : encode_set(set)) {
        digest = (digest ^ byte) * 0x100000001b3;
    }
    return {set.seq, set.proposer, digest};
}

Bytes encode_member_sets(const MemberSets& sets) {
    ByteWriter out;
    for (std::size_t i = 0; i < std::min(sets.sets.size(), kMaxSets); ++i) {
        constexpr std::size_t kTlvHeader = 3;
        const Bytes value = encode_set(sets.sets[i]);
        if (out.size() + kTlvHeader + value.size() + sets.unknown.size() > kMaxTlvBytes) {
            break;
        }
        put_tlv(out, kSet, value);
    }
    out.bytes(sets.unknown);
    return out.take();
}

Result<MemberSets> decode_member_sets(ByteView tlvs) {
    const auto parts = split_tlvs(tlvs);
    MemberSets out;
    ByteWriter unknown;
    bool good = parts.has_value();
    for (std::size_t i = 0; good && i < parts->size(); ++i) {
        const Tlv& tlv = (*parts)[i];
        if (tlv.type != kSet) {
            put_tlv(unknown, tlv.type, tlv.value);
            continue;
        }
        auto set = decode_set(tlv.value);
        good = set.has_value() && out.sets.size() < kMaxSets;
        if (good) {
            out.sets.push_back(std::move(*set));
        }
    }
    if (!good) {
        return std::make_error_code(std::errc::bad_message);
    }
    out.unknown = unknown.take();
    return out;
}

Bytes encode_membership(const Membership& membership) {
    ByteWriter out;
    out.u32(membership.lease_seconds).u64(membership.origin).u32(membership.fence);
    const std::size_t count = std::min(membership.accepted.size(), kMaxAccepted);
    out.u8(static_cast<std::uint8_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
        put_ref(out, membership.accepted[i].ref);
        out.u8(membership.accepted[i].attested ? kAttested : 0);
    }
    return out.take();
}

std::optional<Membership> decode_membership(ByteView value) {
    ByteReader in(value);
    Membership out;
    out.lease_seconds = in.u32();
    out.origin = in.u64();
    out.fence = in.u32();
    const std::size_t count = in.u8();
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
        const SetRef ref = read_ref(in);
        out.accepted.push_back({ref, (in.u8() & kAttested) != 0});
    }
    const bool good = in.ok() && in.at_end() && count <= kMaxAccepted;
    return good ? std::optional(std::move(out)) : std::nullopt;
}

} // namespace weave::wire
