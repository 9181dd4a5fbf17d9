// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Signed records and the TLVs of the kinds this version reads: topology with its adjacency, and
// addresses. The first byte picks the decoder.
#include "target.hpp"
#include "wire/record.hpp"

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
    const auto again = decode_addresses(encode_addresses(*addresses));
    FUZZ_CHECK(again && *again == *addresses);
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
    }
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    Input input({data, size});
    const std::uint8_t which = input.u8();
    const weave::ByteView rest = input.rest();
    switch (which % 3) {
    case 0:
        check_record(rest);
        break;
    case 1:
        check_topology(rest);
        break;
    default:
        check_addresses(rest);
    }
    check_tlvs(rest);
    return 0;
}
