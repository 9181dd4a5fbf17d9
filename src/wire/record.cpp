// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/record.hpp"

#include "wire/bytes_io.hpp"
#include "wire/tlv.hpp"

#include <algorithm>
#include <unordered_map>

namespace weave::wire {
namespace {

constexpr std::uint8_t kRecordMagic = 1;

enum TopologyTlv : std::uint8_t {
    kName = 1,
    kEndpoint = 2,
    kStaticKey = 3,
    kUnreachable = 4,
    kFlags = 5,
    kLanes = 6,
    kSoftware = 7,
    kGrace = 8,
    kNeighbours = 9, ///< all of them
};

enum AddressesTlv : std::uint8_t {
    kMac = 1,
    kPrefix = 2,
    kRouterMac = 3,
    kHolders = 4, ///< for each prefix TLV, in their order: the number of its MAC TLV, 2 bytes
    kLearned = 5,
    kReserved = 6,
};

/** Of an address whose MAC is not told. */
constexpr std::uint16_t kNoHolder = 0xffff;

std::error_code malformed() {
    return std::make_error_code(std::errc::bad_message);
}

std::error_code too_long() {
    return std::make_error_code(std::errc::message_size);
}

void put_header(ByteWriter& out, const Record& record, std::size_t tlv_size) {
    out.u8(kRecordMagic).bytes(record.key).u64(record.stamp.epoch).u64(record.stamp.version);
    out.u16(record.kind).u16(static_cast<std::uint16_t>(tlv_size));
}

bool is_name(ByteView text) {
    return text.size() <= kMaxNameSize && std::all_of(text.begin(), text.end(), [](std::uint8_t c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
           });
}

std::string text_of(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}

std::optional<Endpoint> read_endpoint(ByteView value) {
    if (value.size() != 6 && value.size() != 18) {
        return std::nullopt;
    }
    ByteReader in(value);
    const auto address = IpAddress::from_bytes(in.take(value.size() - 2));
    const std::uint16_t port = in.u16();
    return address ? std::optional(Endpoint{*address, port}) : std::nullopt;
}

bool read_neighbours(ByteReader& in, Topology& out) {
    out.neighbours.emplace();
    while (in.ok() && !in.at_end()) {
        NodeId node;
        node.octets = in.array<16>();
        if (out.neighbours->size() < kMaxNeighbours) {
            out.neighbours->push_back(node);
        }
    }
    return in.ok();
}

/** One TLV into the topology; false when a known type has a wrong value. */
bool read_topology_tlv(const Tlv& tlv, Topology& out, ByteWriter& unknown) {
    ByteReader in(tlv.value);
    switch (tlv.type) {
    case kName:
        out.name = text_of(tlv.value);
        return is_name(tlv.value);
    case kEndpoint: {
        const auto endpoint = read_endpoint(tlv.value);
        if (endpoint && out.endpoints.size() < kMaxEndpoints) {
            out.endpoints.push_back(*endpoint);
        }
        return endpoint.has_value();
    }
    case kStaticKey:
        return copy_exact(tlv.value, out.static_key);
    case kUnreachable: {
        NodeId node;
        const bool good = copy_exact(tlv.value, node.octets);
        if (good && out.unreachable.size() < kMaxUnreachable) {
            out.unreachable.push_back(node);
        }
        return good;
    }
    case kFlags:
        out.flags = in.u32();
        return in.ok() && in.at_end();
    case kLanes:
        out.lanes = in.u8();
        return in.ok() && in.at_end();
    case kGrace:
        out.grace = in.u16();
        return in.ok() && in.at_end();
    case kNeighbours:
        return read_neighbours(in, out);
    case kSoftware: {
        const ByteView shown = tlv.value.first(std::min(tlv.value.size(), kMaxNameSize));
        out.software = text_of(shown);
        return std::all_of(
            shown.begin(), shown.end(), [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
    }
    default:
        put_tlv(unknown, tlv.type, tlv.value);
        return true;
    }
}

/** What all who hold the record would decode otherwise. */
void decode_body(Record& record) {
    if (record.kind != kTopologyKind) {
        return;
    }
    if (auto topology = decode_topology(record.tlvs())) {
        record.topology = std::make_shared<const Topology>(std::move(*topology));
    }
}

bool read_addresses_tlv(const Tlv& tlv, Addresses& out, ByteWriter& unknown) {
    MacAddress mac;
    switch (tlv.type) {
    case kMac:
        if (!copy_exact(tlv.value, mac.octets)) {
            return false;
        }
        out.macs.push_back(mac);
        return true;
    case kPrefix: {
        const auto prefix = read_prefix(tlv.value);
        if (prefix) {
            out.prefixes.push_back(*prefix);
        }
        return prefix.has_value();
    }
    case kRouterMac:
        if (!copy_exact(tlv.value, mac.octets)) {
            return false;
        }
        out.router_mac = mac;
        return true;
    case kLearned:
        if (!copy_exact(tlv.value, mac.octets)) {
            return false;
        }
        if (out.learned.size() < kMaxLearned) {
            out.learned.push_back(mac);
        }
        return true;
    case kReserved: {
        const auto address = IpAddress::from_bytes(tlv.value);
        if (address) {
            out.reserved.push_back(*address);
        }
        return address.has_value();
    }
    case kHolders:
        return true; // once all that it counts is there
    default:
        put_tlv(unknown, tlv.type, tlv.value);
        return true;
    }
}

bool read_holders(ByteView value, Addresses& out) {
    if (value.size() != 2 * out.prefixes.size()) {
        return false;
    }
    ByteReader in(value);
    bool told = false;
    out.holders.clear();
    for (std::size_t i = 0; i < out.prefixes.size(); ++i) {
        const std::uint16_t number = in.u16();
        if (number != kNoHolder && number >= out.macs.size()) {
            return false;
        }
        out.holders.push_back(number == kNoHolder ? MacAddress{} : out.macs[number]);
        told = told || out.holders.back() != MacAddress{};
    }
    if (!told) {
        out.holders.clear();
    }
    return true;
}

void put_holders(ByteWriter& out, const Addresses& addresses) {
    std::unordered_map<MacAddress, std::uint16_t> numbers;
    for (std::size_t i = 0; i < std::min<std::size_t>(addresses.macs.size(), kNoHolder); ++i) {
        numbers.emplace(addresses.macs[i], static_cast<std::uint16_t>(i));
    }
    ByteWriter value;
    bool told = false;
    for (std::size_t i = 0; i < addresses.prefixes.size(); ++i) {
        const MacAddress mac = addresses.holder(i);
        const auto found = mac == MacAddress{} ? numbers.end() : numbers.find(mac);
        value.u16(found == numbers.end() ? kNoHolder : found->second);
        told = told || found != numbers.end();
    }
    if (told) {
        put_tlv(out, kHolders, value.view());
    }
}

} // namespace

void Addresses::add(const Prefix& prefix, const MacAddress& holder) {
    holders.resize(prefixes.size()); // of those that were added without
    prefixes.push_back(prefix);
    holders.push_back(holder);
}

ByteView Record::tlvs() const {
    return ByteView(raw).subspan(kSignedHeaderSize,
                                 raw.size() - kSignedHeaderSize - kSignatureSize);
}

ByteView Record::signed_part() const {
    return ByteView(raw).first(raw.size() - kSignatureSize);
}

RecordSignature Record::signature() const {
    RecordSignature out{};
    std::copy(raw.end() - kSignatureSize, raw.end(), out.begin());
    return out;
}

Result<Record> decode_record(ByteView raw, const Identify& identify) {
    if (raw.size() > kMaxRecordSize) {
        return too_long();
    }
    ByteReader in(raw);
    Record record;
    const std::uint8_t magic = in.u8();
    record.key = in.array<32>();
    record.stamp.epoch = in.u64();
    record.stamp.version = in.u64();
    record.kind = in.u16();
    const ByteView tlvs = in.take(in.u16());
    in.take(kSignatureSize);
    if (!in.ok() || !in.at_end() || magic != kRecordMagic || !split_tlvs(tlvs)) {
        return malformed();
    }
    record.node = identify(record.key);
    record.raw.assign(raw.begin(), raw.end());
    decode_body(record);
    return record;
}

Result<RecordPtr> decode_shared(ByteView raw, const Identify& identify) {
    auto record = decode_record(raw, identify);
    if (!record) {
        return record.error();
    }
    return RecordPtr(std::make_shared<const Record>(std::move(*record)));
}

Result<Record> sign_record(const NodeId& node,
                           const RecordKey& key,
                           Stamp stamp,
                           std::uint16_t kind,
                           ByteView tlvs,
                           const Signer& sign) {
    if (tlvs.size() > kMaxTlvBytes) {
        return too_long();
    }
    Record record{node, key, stamp, kind, {}, nullptr};
    ByteWriter out;
    put_header(out, record, tlvs.size());
    out.bytes(tlvs);
    const RecordSignature signature = sign(out.view());
    out.bytes(signature);
    record.raw = out.take();
    decode_body(record);
    return record;
}

bool verify_record(const Record& record, const Verifier& verify) {
    return verify(record.key, record.signed_part(), record.signature());
}

std::optional<std::vector<Tlv>> split_tlvs(ByteView tlvs) {
    std::vector<Tlv> out;
    ByteReader in(tlvs);
    while (in.ok() && !in.at_end()) {
        const std::uint8_t type = in.u8();
        out.push_back({type, in.take(in.u16())});
    }
    if (!in.ok()) {
        return std::nullopt;
    }
    return out;
}

Bytes encode_topology(const Topology& topology) {
    ByteWriter out;
    put_tlv(out, kName, as_bytes(topology.name));
    put_tlv(out, kStaticKey, topology.static_key);
    put_tlv(out, kFlags, ByteWriter().u32(topology.flags).view());
    put_tlv(out, kLanes, ByteWriter().u8(topology.lanes).view());
    put_tlv(out, kSoftware, as_bytes(topology.software));
    if (topology.grace != 0) {
        put_tlv(out, kGrace, ByteWriter().u16(topology.grace).view());
    }
    const std::size_t endpoints = std::min(topology.endpoints.size(), kMaxEndpoints);
    for (std::size_t i = 0; i < endpoints; ++i) {
        const Endpoint& endpoint = topology.endpoints[i];
        put_tlv(
            out, kEndpoint, ByteWriter().bytes(endpoint.address.bytes()).u16(endpoint.port).view());
    }
    const std::size_t unreachable = std::min(topology.unreachable.size(), kMaxUnreachable);
    for (std::size_t i = 0; i < unreachable; ++i) {
        put_tlv(out, kUnreachable, topology.unreachable[i].octets);
    }
    if (topology.neighbours) {
        ByteWriter value;
        const std::size_t named = std::min(topology.neighbours->size(), kMaxNeighbours);
        for (std::size_t i = 0; i < named; ++i) {
            value.bytes((*topology.neighbours)[i].octets);
        }
        put_tlv(out, kNeighbours, value.view());
    }
    out.bytes(topology.unknown);
    return out.take();
}

Result<Topology> decode_topology(ByteView tlvs) {
    const auto parts = split_tlvs(tlvs);
    if (!parts) {
        return malformed();
    }
    Topology out;
    ByteWriter unknown;
    for (const Tlv& tlv : *parts) {
        if (!read_topology_tlv(tlv, out, unknown)) {
            return malformed();
        }
    }
    out.unknown = unknown.take();
    return out;
}

Bytes encode_addresses(const Addresses& addresses) {
    ByteWriter out;
    if (addresses.router_mac) {
        put_tlv(out, kRouterMac, addresses.router_mac->octets);
    }
    for (const MacAddress& mac : addresses.macs) {
        put_tlv(out, kMac, mac.octets);
    }
    for (const Prefix& prefix : addresses.prefixes) {
        put_prefix_tlv(out, kPrefix, prefix);
    }
    put_holders(out, addresses);
    const std::size_t learned = std::min(addresses.learned.size(), kMaxLearned);
    for (std::size_t i = 0; i < learned; ++i) {
        put_tlv(out, kLearned, addresses.learned[i].octets);
    }
    for (const IpAddress& address : addresses.reserved) {
        put_tlv(out, kReserved, address.bytes());
    }
    out.bytes(addresses.unknown);
    return out.take();
}

Result<Addresses> decode_addresses(ByteView tlvs) {
    const auto parts = split_tlvs(tlvs);
    if (!parts) {
        return malformed();
    }
    Addresses out;
    ByteWriter unknown;
    for (const Tlv& tlv : *parts) {
        if (!read_addresses_tlv(tlv, out, unknown)) {
            return malformed();
        }
    }
    for (const Tlv& tlv : *parts) {
        if (tlv.type == kHolders && !read_holders(tlv.value, out)) {
            return malformed();
        }
    }
    out.unknown = unknown.take();
    return out;
}

} // namespace weave::wire
