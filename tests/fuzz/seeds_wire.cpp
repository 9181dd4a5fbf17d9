// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Datagrams, handshake bodies, records and link messages.
#include "seeds.hpp"
#include "wire/control.hpp"
#include "wire/datagram.hpp"
#include "wire/link_message.hpp"
#include "wire/member_set.hpp"
#include "wire/record.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::wire;

Bytes filled(std::size_t size, std::uint8_t start = 1) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::uint8_t>(start + i);
    }
    return out;
}

NodeId node_of(std::uint8_t number) {
    NodeId out;
    out.octets.fill(number);
    return out;
}

ClearHeader header_of(DatagramType type) {
    ClearHeader out;
    out.type = type;
    out.suite = 2;
    out.sender_index = 0x12340;
    out.secret_id = 1;
    out.cluster_id.fill(7);
    return out;
}

Bytes data_datagram(ByteView plaintext) {
    Bytes out(kDataHeaderSize);
    put_data_header(out.data(), 0x4540, 3);
    store_u64(out.data() + kDataCounterOffset, 77);
    append(out, plaintext);
    append(out, filled(kTagSize));
    return out;
}

Bytes relay_datagram(ByteView inner) {
    Bytes out(kRelayHeaderSize);
    put_relay_header(out.data(), 0x80, 1, kRelayTtl, {1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1});
    append(out, inner);
    append(out, filled(kTagSize));
    return out;
}

Bytes records() {
    ByteWriter out;
    const Bytes frame = filled(60);
    out.u8(1).u8(kNeedsChecksum).u16(60).bytes(frame);
    out.u8(2).u8(0).u16(8).u64(99);
    out.u8(3).u8(0).u16(10).u64(99).u16(1500);
    out.u8(4).u8(0).u16(3).zeros(3);
    out.u8(9).u8(0).u16(0);
    out.u8(5).u8(0).u16(0);
    return out.take();
}

void seed_datagrams() {
    Bytes init = header_of(DatagramType::init).encode();
    append(init, filled(32 + 48 + 21 + 16 + 2 * kMacSize));
    seed("datagram", init);
    Bytes response = header_of(DatagramType::response).encode();
    append(response, filled(4 + 32 + 9 + 16 + 2 * kMacSize));
    seed("datagram", response);
    seed("datagram", CookieReply{0x40, {}, {}}.encode());
    seed("datagram", Refusal{RefusalCode::secret, 0x40}.encode());
    seed("datagram", header_of(DatagramType::control_init).encode());
    seed("datagram", data_datagram(records()));
    seed("datagram", data_datagram({}));
    seed("datagram", relay_datagram(data_datagram(records())));
    seed("datagram", relay_datagram(init));
    seed("datagram", relay_datagram(relay_datagram(response)));
}

void seed_bodies() {
    const auto with = [](std::uint8_t which, ByteView body) {
        seed("handshake_body", ByteWriter().u8(which).bytes(body).take());
    };
    with(0, InitPayload{1, 2, 4, 0}.encode());
    with(1, ResponsePayload{2, 0, 0x40}.encode());
    ControlIdentity identity;
    identity.name = "node-1";
    identity.udp_port = 6783;
    with(2, identity.encode());
    identity.name.clear();
    Bytes longer = identity.encode();
    longer.push_back(1);
    with(2, longer);
    with(3, encode_control_refusal(RefusalCode::cluster));
}

Topology topology() {
    Topology out;
    out.name = "node-1";
    out.endpoints.push_back({IpAddress::v4({192, 0, 2, 1}), 6783});
    out.endpoints.push_back({*IpAddress::parse("2001:db8::1"), 6783});
    out.unreachable.push_back(node_of(9));
    out.flags = Topology::kBridgePods;
    out.lanes = 4;
    out.software = "weavemesh 0.1.0";
    out.unknown = {200, 2, 0, 1, 2};
    return out;
}

Addresses addresses() {
    Addresses out;
    out.macs.push_back({{2, 0, 0, 0, 0, 10}});
    out.prefixes.push_back(*Prefix::parse("10.32.0.10/32"));
    out.prefixes.push_back(*Prefix::parse("fd00::/64"));
    out.router_mac = MacAddress{{2, 0, 0, 0, 0, 1}};
    out.unknown = {77, 0, 0};
    return out;
}

MemberSets member_sets() {
    MemberSet set{7, node_of(3), 3600, {4, 9}, {{6, node_of(4), 11}}, {node_of(3)}, {}};
    set.removed = {{node_of(4), 7}, {node_of(5), 0}};
    return {{set, set}, {200, 1, 0, 42}};
}

Addresses addresses_with_holders() {
    Addresses out = addresses();
    out.macs.push_back({{2, 0, 0, 0, 0, 11}});
    out.add(*Prefix::parse("fd32::11/128"), {{2, 0, 0, 0, 0, 11}});
    out.learned.push_back({{2, 0, 0, 0, 0, 12}});
    return out;
}

Record record_of(std::uint16_t kind, ByteView tlvs) {
    RecordKey key{};
    key.fill(3);
    const auto sign = [](ByteView) { return RecordSignature{}; };
    return *sign_record(node_of(3), key, {5, 6}, kind, tlvs, sign);
}

void seed_records() {
    const auto with = [](std::uint8_t which, ByteView body) {
        seed("record", ByteWriter().u8(which).bytes(body).take());
    };
    const Bytes about = encode_topology(topology());
    const Bytes owned = encode_addresses(addresses());
    with(0, record_of(kTopologyKind, about).raw);
    with(0, record_of(kAddressesKind, owned).raw);
    with(0, record_of(99, {}).raw);
    with(1, about);
    with(2, owned);
    with(0xfe, encode_member_sets(member_sets()));
    with(2, encode_addresses(addresses_with_holders()));
}

void seed_links() {
    const Notice copied{NoticeCode::identity_twice, IpAddress::v4({10, 0, 0, 1}), "used twice"};
    seed("link_message", encode_notice(LinkMessageKind::notice, copied));
    const Notice stops{NoticeCode::shutting_down, std::nullopt, "the node stops"};
    seed("link_message", encode_notice(LinkMessageKind::close, stops));
    seed("link_message", encode_digest(BucketDigest{}));
    LineDigest lines;
    lines.mask = ~std::uint64_t{0};
    lines.to = node_of(0xff);
    lines.lines.push_back({{node_of(3), 1}, {5, 6}});
    lines.lines.push_back({{node_of(4), 2}, {7, 8}});
    seed("link_message", encode_digest(lines));
    seed("link_message", encode_request({{node_of(3), 1}, {node_of(4), 2}}));
    RecordBatch batch;
    FUZZ_CHECK(batch.add(record_of(kTopologyKind, encode_topology(topology()))));
    FUZZ_CHECK(batch.add(record_of(kAddressesKind, encode_addresses(addresses()))));
    const Bytes message = batch.take();
    seed("link_message", message);
    for (const std::uint8_t link : {std::uint8_t{0}, std::uint8_t{8}}) {
        for (const Bytes& one : {message, encode_digest(lines), encode_digest(BucketDigest{})}) {
            ByteWriter out;
            out.u8(link);
            put_part(out, one).u8(2).u8(10);
            seed("mesh", out.take());
        }
    }
}

/** Signed records of three nodes, then time: mesh operations as fuzz_mesh.cpp reads them. */
void seed_mesh() {
    const Bytes about = encode_topology(topology());
    ByteWriter out;
    for (const std::uint8_t who : {std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{0}}) {
        out.u8(1).u8(who).u8(1).u8(4).u8(2).u8(static_cast<std::uint8_t>(about.size()));
        out.bytes(about).u8(2).u8(20);
    }
    out.u8(7).u8(3).u8(1).u8(2);             // our own topology
    out.u8(3).u8(2).u8(3).u8(9).u8(0).u8(0); // and a record of kind 2
    out.u8(12).u8(3);                        // that node cannot be reached
    out.u8(5).u8(2).u8(255).u8(13).u8(6);    // a blocked link, time, unblocked, reconnected
    out.u8(2).u8(255).u8(2).u8(255);
    seed("mesh", out.take());
}

} // namespace

void seed_wire() {
    seed_datagrams();
    seed_bodies();
    seed_records();
    seed_links();
    seed_mesh();
}

} // namespace weave::fuzz
