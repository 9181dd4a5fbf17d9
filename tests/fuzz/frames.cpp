// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "frames.hpp"

#include "dataplane/segment.hpp"

namespace weave::fuzz {

using namespace weave::dataplane;

std::uint16_t plain_sum(ByteView bytes, std::uint32_t start) {
    std::uint32_t sum = start;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(sum);
}

std::uint16_t plain_pseudo_sum(ByteView frame, const Packet& packet, std::size_t length) {
    const bool v4 = packet.version == 4;
    const ByteView addresses = frame.subspan(packet.l3 + (v4 ? 12u : 8u), v4 ? 8 : 32);
    return plain_sum(addresses, packet.protocol + static_cast<std::uint32_t>(length));
}

void check_packet(ByteView frame, const Packet& packet) {
    FUZZ_CHECK(packet.l3 <= frame.size() && packet.end <= frame.size());
    if (packet.version == 0) {
        FUZZ_CHECK(packet.l4 == 0 && packet.payload == 0);
        return;
    }
    FUZZ_CHECK(packet.end >= packet.l3 + (packet.version == 4 ? 20u : 40u));
    FUZZ_CHECK(packet.l4 == 0 || (packet.l4 > packet.l3 && packet.l4 <= packet.end));
    FUZZ_CHECK(packet.payload == 0 || (packet.payload > packet.l4 && packet.payload <= packet.end));
    FUZZ_CHECK(packet.payload == 0 || packet.is_tcp() || packet.is_udp());
    FUZZ_CHECK(!packet.fragment || packet.l4 == 0);
    FUZZ_CHECK(source_ip(frame, packet) && destination_ip(frame, packet));
}

std::uint16_t stated_pseudo_sum(ByteView frame, const Packet& packet) {
    const auto length = static_cast<std::uint16_t>(packet.end - packet.l4);
    const std::uint16_t field =
        load_be16(&frame[std::size_t{packet.l4} + packet.checksum_offset()]);
    const std::uint32_t sum = std::uint32_t{field} + static_cast<std::uint16_t>(~length);
    return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

void check_cut(ByteView frame, const Packet& packet, std::uint16_t stated) {
    const auto cut = parse_frame(frame);
    FUZZ_CHECK(cut && cut->payload == packet.payload && cut->protocol == packet.protocol);
    FUZZ_CHECK(cut->end == frame.size());
    check_packet(frame, *cut);
    if (cut->version == 4) {
        const std::size_t header = (frame[cut->l3] & 15u) * 4;
        FUZZ_CHECK(plain_sum(frame.subspan(cut->l3, header)) == 0xffff);
    }
    const std::size_t l4_size = frame.size() - cut->l4;
    FUZZ_CHECK(!cut->is_udp() || load_be16(&frame[cut->l4 + 4u]) == l4_size);
    const std::uint16_t field = load_be16(&frame[std::size_t{cut->l4} + cut->checksum_offset()]);
    if (cut->version == 6 && cut->extended) {
        // Both are nought in one's complement.
        FUZZ_CHECK(stated_pseudo_sum(frame, *cut) % 0xffff == stated % 0xffff);
    } else {
        FUZZ_CHECK(field == plain_pseudo_sum(frame, *cut, l4_size));
    }
}

namespace {

constexpr std::size_t kHeadroom = 16;

Bytes flow_of(ByteView frame, const Packet& packet) {
    Bytes key = copy(frame.first(packet.l3));
    const bool v4 = packet.version == 4;
    append(key, frame.subspan(packet.l3 + (v4 ? 12u : 8u), v4 ? 8 : 32));
    append(key, frame.subspan(packet.l4, 4));
    key.push_back(packet.protocol);
    key.push_back(static_cast<std::uint8_t>(packet.l4 - packet.l3));
    return key;
}

/** Without what a superframe has only once. */
Bytes normal(ByteView frame, const Packet& packet) {
    Bytes out = copy(frame.first(packet.end));
    store_be16(&out[std::size_t{packet.l4} + packet.checksum_offset()], 0);
    if (packet.version == 4) {
        constexpr std::uint8_t kDontFragment = 0x40;
        store_be16(&out[packet.l3 + 10u], 0);
        if ((out[packet.l3 + 6u] & kDontFragment) != 0) {
            store_be16(&out[packet.l3 + 4u], 0);
        }
    }
    return out;
}

bool is_pure_ack(ByteView frame, const Packet& packet) {
    return packet.is_tcp() && packet.payload == packet.end && frame[packet.l4 + 13u] == 0x10;
}

} // namespace

void MergeOracle::Log::add(ByteView frame, const Packet& packet, bool partial) {
    const Bytes compared = partial ? normal(frame, packet) : copy(frame);
    ++all[compared];
    if (packet.payload != 0 && !is_pure_ack(frame, packet)) {
        flows[flow_of(frame, packet)].push_back(compared);
    }
}

void MergeOracle::expect(ByteView frame, const Packet& packet, bool partial) {
    in_.add(frame, packet, partial);
}

void MergeOracle::write(const VnetHeader& vnet,
                        std::span<const iovec> parts,
                        std::span<const ByteView> frames) {
    Bytes room(kHeadroom);
    for (const iovec& part : parts) {
        append(room, {static_cast<const std::uint8_t*>(part.iov_base), part.iov_len});
    }
    FUZZ_CHECK(!frames.empty());
    if (vnet.gso_type != kGsoNone) {
        write_super(vnet, room, frames.size());
        return;
    }
    const ByteView frame = ByteView{room}.subspan(kHeadroom);
    const auto packet = parse_frame(frame);
    FUZZ_CHECK(packet && frames.size() == 1 && same(frames[0], frame));
    const Offload offload = check_offload(vnet, *packet, frame);
    FUZZ_CHECK(offload == Offload::none || offload == Offload::partial);
    out_.add(frame, *packet, offload == Offload::partial);
    written_.push_back(copy(frame));
}

void MergeOracle::write_super(const VnetHeader& vnet, Bytes& room, std::size_t expected) {
    const ByteSpan frame = ByteSpan{room}.subspan(kHeadroom);
    const auto packet = parse_frame(frame);
    FUZZ_CHECK(packet && packet->end == frame.size());
    check_cut(frame, *packet, stated_pseudo_sum(frame, *packet));
    const Offload offload = check_offload(vnet, *packet, frame);
    FUZZ_CHECK(offload == Offload::tcp_super || offload == Offload::udp_super);
    FUZZ_CHECK(vnet.csum_start == packet->l4 && vnet.csum_offset == packet->checksum_offset());
    auto cutter = Segmenter::create(frame, *packet, vnet.gso_size);
    FUZZ_CHECK(cutter.has_value());
    std::size_t count = 0;
    for (ByteSpan one = cutter->next(); !one.empty(); one = cutter->next()) {
        out_.add(one, *parse_frame(one), true);
        written_.push_back(copy(one));
        ++count;
    }
    FUZZ_CHECK(count == expected && count > 1);
}

void MergeOracle::check() {
    FUZZ_CHECK(in_.all == out_.all);
    FUZZ_CHECK(in_.flows == out_.flows);
}

} // namespace weave::fuzz
