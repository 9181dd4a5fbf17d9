// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/allocation.hpp"

#include "wire/bytes_io.hpp"
#include "wire/record.hpp"
#include "wire/tlv.hpp"

namespace weave::wire {
namespace {

enum AllocationTlv : std::uint8_t { kRange = 1, kClaim = 2, kWant = 3, kMembership = 4 };

constexpr std::size_t kOwnClaimSize = 16;
constexpr std::size_t kGivenClaimSize = kOwnClaimSize + 16;

bool read_claim(const Tlv& tlv, Allocation& out) {
    if (tlv.value.size() != kOwnClaimSize && tlv.value.size() != kGivenClaimSize) {
        return false;
    }
    ByteReader in(tlv.value);
    Allocation::Claim claim{in.u32(), in.u32(), in.u32(), in.u32(), std::nullopt};
    if (!in.at_end()) {
        claim.to = NodeId{in.array<16>()};
    }
    out.claims.push_back(claim);
    return claim.first < claim.end && out.claims.size() <= kMaxClaims;
}

bool read_want(const Tlv& tlv, Allocation& out) {
    ByteReader in(tlv.value);
    const Allocation::Want want{NodeId{in.array<16>()}, in.u32(), in.u32()};
    out.want = want;
    return in.ok() && in.at_end() && want.first < want.end;
}

bool read_tlv(const Tlv& tlv, Allocation& out, bool& ranged, ByteWriter& unknown) {
    switch (tlv.type) {
    case kRange: {
        const auto range = read_prefix(tlv.value);
        ranged = range.has_value();
        out.range = range.value_or(Prefix{});
        return ranged;
    }
    case kClaim:
        return read_claim(tlv, out);
    case kWant:
        return read_want(tlv, out);
    case kMembership:
        out.membership = decode_membership(tlv.value);
        return out.membership.has_value();
    default:
        put_tlv(unknown, tlv.type, tlv.value);
        return true;
    }
}

} // namespace

Bytes encode_allocation(const Allocation& allocation) {
    ByteWriter out;
    put_prefix_tlv(out, kRange, allocation.range);
    for (const Allocation::Claim& claim : allocation.claims) {
        ByteWriter value;
        value.u32(claim.first).u32(claim.end).u32(claim.era).u32(claim.version);
        if (claim.to) {
            value.bytes(claim.to->octets);
        }
        put_tlv(out, kClaim, value.view());
    }
    if (const auto& want = allocation.want) {
        ByteWriter value;
        value.bytes(want->from.octets).u32(want->first).u32(want->end);
        put_tlv(out, kWant, value.view());
    }
    if (allocation.membership) {
        put_tlv(out, kMembership, encode_membership(*allocation.membership));
    }
    out.bytes(allocation.unknown);
    return out.take();
}

Result<Allocation> decode_allocation(ByteView tlvs) {
    const auto parts = split_tlvs(tlvs);
    Allocation out;
    ByteWriter unknown;
    bool ranged = false;
    bool good = parts.has_value();
    for (std::size_t i = 0; good && i < parts->size(); ++i) {
        good = read_tlv((*parts)[i], out, ranged, unknown);
    }
    if (!good || !ranged) {
        return std::make_error_code(std::errc::bad_message);
    }
    out.unknown = unknown.take();
    return out;
}

} // namespace weave::wire
