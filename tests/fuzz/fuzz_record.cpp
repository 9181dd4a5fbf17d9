// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Signed records and the TLVs of the kinds this version reads: topology with its adjacency,
// addresses, allocation, sets of members. The first byte picks the decoder.
#include "target.hpp"
#include "wire/allocation.hpp"
#include "wire/member_set.hpp"
#include "wire/record.hpp"

#include <algorithm>

namespace weave::fuzz {
namespace {

using namespace weave::wire;

NodeId first_half(const RecordKey& key) {
    NodeId node;
    std::copy_n(key.begin(), node.octets.size(), node.octets.begin());
    return node;
}

void check_tlvs(ByteView tlvs) {
    const auto parts = split_tlvs(tlvs);
    if (!parts) {
        return;
    }
    Bytes joined;
    for (const Tlv& tlv : *parts) {
        joined.push_back(tlv.type);
        joined.push_back(static_cast<std::uint8_t>(tlv.value.size()));
        joined.push_back(static_cast<std::uint8_t>(tlv.value.size() >> 8));
        append(joined, tlv.value);
    }
    FUZZ_CHECK(same(joined, tlvs));
}

void check_topology(ByteView tlvs) {
    const auto topology = decode_topology(tlvs);
    if (!topology) {
        return;
    }
    FUZZ_CHECK(topology->name.size() <= kMaxNameSize);
    FUZZ_CHECK(topology->software.size() <= kMaxNameSize);
    FUZZ_CHECK(topology->endpoints.size() <= kMaxEndpoints);
    FUZZ_CHECK(topology->unreachable.size() <= kMaxUnreachable);
    const auto again = decode_topology(encode_topology(*topology));
    FUZZ_CHECK(again && *again == *topology);
}

void check_addresses(ByteView tlvs) {
    const auto addresses = decode_addresses(tlvs);
    if (!addresses) {
        return;
    }
    for (const Prefix& prefix : addresses->prefixes) {
        FUZZ_CHECK(prefix.length <= prefix.address.bits());
        FUZZ_CHECK(prefix.network().contains(prefix.address));
    }
    FUZZ_CHECK(addresses->holders.empty() ||
               addresses->holders.size() == addresses->prefixes.size());
    for (const MacAddress& holder : addresses->holders) {
        const auto& macs = addresses->macs;
        FUZZ_CHECK(holder == MacAddress{} ||
                   std::find(macs.begin(), macs.end(), holder) != macs.end());
    }
    FUZZ_CHECK(addresses->learned.size() <= kMaxLearned);
    const auto again = decode_addresses(encode_addresses(*addresses));
    FUZZ_CHECK(again && *again == *addresses);
}

void check_allocation(ByteView tlvs) {
    const auto allocation = decode_allocation(tlvs);
    if (!allocation) {
        return;
    }
    FUZZ_CHECK(allocation->claims.size() <= kMaxClaims);
    for (const Allocation::Claim& claim : allocation->claims) {
        FUZZ_CHECK(claim.first < claim.end);
    }
    const auto again = decode_allocation(encode_allocation(*allocation));
    FUZZ_CHECK(again && *again == *allocation);
}

void check_member_sets(ByteView tlvs) {
    const auto sets = decode_member_sets(tlvs);
    if (!sets) {
        return;
    }
    FUZZ_CHECK(sets->sets.size() <= kMaxSets);
    for (const MemberSet& set : sets->sets) {
        FUZZ_CHECK(!set.members.empty() && set.members.size() <= kMaxMembers);
        FUZZ_CHECK(set.has(set.members.front()) && set.has(set.members.back()));
    }
    if (tlvs.size() <= kMaxTlvBytes) { // encoding leaves out what does not fit
        const auto again = decode_member_sets(encode_member_sets(*sets));
        FUZZ_CHECK(again && *again == *sets);
    }
}

void check_record(ByteView raw) {
    const auto record = decode_record(raw, first_half);
    if (!record) {
        return;
    }
    FUZZ_CHECK(same(record->raw, raw) && raw.size() <= kMaxRecordSize);
    FUZZ_CHECK(record->signed_part().size() + kSignatureSize == raw.size());
    const auto sign = [&](ByteView message) {
        FUZZ_CHECK(same(message, record->signed_part()));
        return record->signature();
    };
    const auto again =
        sign_record(record->node, record->key, record->stamp, record->kind, record->tlvs(), sign);
    FUZZ_CHECK(again && same(again->raw, raw));
    check_tlvs(record->tlvs());
    if (record->kind == kTopologyKind) {
        check_topology(record->tlvs());
    } else if (record->kind == kAddressesKind) {
        check_addresses(record->tlvs());
    } else if (record->kind == kAllocationKind) {
        check_allocation(record->tlvs());
    } else if (record->kind == kMemberSetsKind) {
        check_member_sets(record->tlvs());
    }
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    Input input({data, size});
    const std::uint8_t which = input.u8();
    const weave::ByteView rest = input.rest();
    switch (which >= 0xfe ? which : which % 3) {
    case 0:
        check_record(rest);
        break;
    case 1:
        check_topology(rest);
        break;
    case 0xff:
        check_allocation(rest);
        break;
    case 0xfe:
        check_member_sets(rest);
        break;
    default:
        check_addresses(rest);
    }
    check_tlvs(rest);
    return 0;
}
