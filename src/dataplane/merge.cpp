// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/merge.hpp"

#include "dataplane/checksum.hpp"
#include "dataplane/equal.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace weave::dataplane {
namespace {

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kEce = 0x40;
constexpr std::uint8_t kCwr = 0x80;
constexpr std::size_t kMaxIpPacket = 65535;
constexpr std::size_t kMaxHeader = 192;

std::uint8_t tcp_flags(ByteView frame, const Packet& packet) {
    return frame[packet.l4 + 13u];
}

template <std::size_t N> bool same(ByteView a, ByteView b, std::size_t at) {
    return equal_bytes<N>(a.data() + at, b.data() + at);
}

/** TCP options: whole words, three of them where there are timestamps. */
bool same_options(ByteView a, ByteView b, std::size_t at, std::size_t end) {
    while (at + 8 <= end && same<8>(a, b, at)) {
        at += 8;
    }
    while (at < end && same<4>(a, b, at)) {
        at += 4;
    }
    return at >= end;
}

/** VXLAN and Geneve tunnels of pods: kernels before 6.8.5 drop coalesced UDP inside them. */
bool is_tunnel_port(std::uint16_t port) {
    return port == 4789 || port == 8472 || port == 6081;
}

/** Addresses, ports, Ethernet header: what makes two frames of one flow. */
bool same_flow(ByteView a, ByteView b, const Packet& pa, const Packet& pb) {
    if (pa.version != pb.version || pa.protocol != pb.protocol || pa.l3 != pb.l3 ||
        pa.l4 != pb.l4) {
        return false;
    }
    const bool addresses =
        pa.version == 4 ? same<8>(a, b, pa.l3 + 12u) : same<32>(a, b, pa.l3 + 8u);
    // Tags, if any, lie between the MAC addresses and the last type field.
    return addresses && same<4>(a, b, pa.l4) && same<14>(a, b, 0) &&
           (pa.l3 == 14 || std::memcmp(a.data() + 14, b.data() + 14, pa.l3 - 14u) == 0);
}

/** IP fields that a superframe has once: TOS, TTL, DF or class, flow label, hop limit. */
bool same_ip_fields(ByteView first, ByteView next, const Packet& packet, std::size_t index) {
    const std::size_t ip = packet.l3;
    if (packet.version == 6) {
        return same<4>(first, next, ip) && same<1>(first, next, ip + 7);
    }
    constexpr std::uint8_t kDontFragment = 0x40;
    const auto expected = static_cast<std::uint16_t>(load_be16(first.data() + ip + 4) + index);
    const bool ids =
        (first[ip + 6] & kDontFragment) != 0 || load_be16(next.data() + ip + 4) == expected;
    return first[ip + 1] == next[ip + 1] && first[ip + 6] == next[ip + 6] &&
           first[ip + 8] == next[ip + 8] && ids;
}

/** Same acknowledgement, window, header size, options, and flags but for what may end a run. CWR
 * and ECE count packets (accurate ECN): none may get lost in, or out of, a superframe. */
bool same_tcp_fields(ByteView first, ByteView next, const Packet& packet) {
    const std::size_t tcp = packet.l4;
    // Acknowledgement, header size, flags and window are one word.
    constexpr auto kMayDiffer =
        std::bit_cast<std::uint64_t>(std::array<std::uint8_t, 8>{0, 0, 0, 0, 0, kFin | kPsh, 0, 0});
    const std::uint64_t changed = difference<8>(&first[tcp + 8], &next[tcp + 8]);
    return (changed & ~kMayDiffer) == 0 && (next[tcp + 13] & kCwr) == 0 &&
           same<2>(first, next, tcp + 18) && same_options(first, next, tcp + 20, packet.payload);
}

VnetHeader partial_header(const Packet& packet) {
    VnetHeader vnet;
    vnet.flags = kVnetNeedsChecksum;
    vnet.csum_start = packet.l4;
    vnet.csum_offset = packet.checksum_offset();
    return vnet;
}

iovec part(ByteView bytes) {
    return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
}

} // namespace

bool Merger::add(ByteSpan frame, const Packet& packet, bool partial) {
    if (partial && packet.payload == 0) {
        return false;
    }
    const ByteView whole = frame.first(packet.end);
    if (!join_ || !partial || packet.extended || packet.payload > kMaxHeader ||
        packet.payload == packet.end) {
        // A pure acknowledgement may be overtaken by data; anything else of a flow must not be.
        const bool ack =
            packet.is_tcp() && packet.payload == packet.end && tcp_flags(frame, packet) == kAck;
        if (Run* run = packet.payload != 0 && !ack ? find(whole, packet) : nullptr) {
            write(*run);
        }
        write_single(partial ? whole : frame, packet, partial);
        return true;
    }
    if (Run* run = find(whole, packet)) {
        if (append(*run, whole, packet)) {
            return true;
        }
        write(*run);
    }
    if (mergeable(whole, packet)) {
        start(whole, packet);
    } else {
        write_single(whole, packet, true);
    }
    return true;
}

bool Merger::mergeable(ByteView frame, const Packet& packet) const {
    if (packet.is_udp()) {
        return join_udp_ && !is_tunnel_port(load_be16(frame.data() + packet.l4 + 2)) &&
               load_be16(frame.data() + packet.l4 + 4) == packet.end - packet.l4;
    }
    constexpr std::uint8_t kAllowed = kAck | kPsh | kEce | kCwr;
    return packet.is_tcp() &&
           (tcp_flags(frame, packet) & static_cast<std::uint8_t>(~kAllowed)) == 0 &&
           (tcp_flags(frame, packet) & kPsh) == 0;
}

Merger::Run* Merger::find(ByteView frame, const Packet& packet) {
    for (std::size_t i = runs_; i-- > 0;) {
        Run& run = slots_[i];
        if (run.count != 0 && same_flow(run.frames[0], frame, run.packet, packet)) {
            return &run;
        }
    }
    return nullptr;
}

bool Merger::append(Run& run, ByteView frame, const Packet& packet) {
    const std::size_t payload = packet.end - packet.payload;
    const ByteView first = run.frames[0];
    if (run.closed || run.count == kMaxFrames || payload > run.piece ||
        packet.payload != run.packet.payload ||
        run.packet.payload - run.packet.l3 + run.bytes + payload > kMaxIpPacket ||
        !same_ip_fields(first, frame, packet, run.count)) {
        return false;
    }
    if (packet.is_tcp()) {
        constexpr std::uint8_t kAllowed = kAck | kPsh | kFin | kEce | kCwr;
        const std::uint8_t flags = tcp_flags(frame, packet);
        if ((flags & static_cast<std::uint8_t>(~kAllowed)) != 0 ||
            !same_tcp_fields(first, frame, packet) ||
            load_be32(frame.data() + packet.l4 + 4) != run.next_sequence) {
            return false;
        }
        run.closed = (flags & (kFin | kPsh)) != 0;
    } else if (load_be16(frame.data() + packet.l4 + 4) != packet.end - packet.l4) {
        return false;
    }
    run.closed = run.closed || payload < run.piece;
    run.frames[run.count++] = frame;
    run.bytes += payload;
    run.next_sequence += static_cast<std::uint32_t>(payload);
    return true;
}

void Merger::start(ByteView frame, const Packet& packet) {
    std::size_t slot = 0;
    while (slot < runs_ && slots_[slot].count != 0) {
        ++slot;
    }
    if (slot == kMaxRuns) {
        slot = 0;
        write(slots_[0]);
    }
    runs_ = std::max(runs_, slot + 1);
    Run& run = slots_[slot];
    run.packet = packet;
    run.count = 1;
    run.bytes = run.piece = packet.end - packet.payload;
    run.closed = false;
    run.frames[0] = frame;
    if (packet.is_tcp()) {
        run.next_sequence =
            load_be32(frame.data() + packet.l4 + 4) + static_cast<std::uint32_t>(run.bytes);
    }
}

void Merger::write(Run& run) {
    const std::size_t count = std::exchange(run.count, 0);
    const Packet& packet = run.packet;
    const ByteView first = run.frames[0];
    if (count == 1) {
        write_single(first, packet, true);
        return;
    }
    std::array<std::uint8_t, kMaxHeader> header;
    std::copy_n(first.data(), packet.payload, header.data());
    const std::size_t l4_size = static_cast<std::size_t>(packet.payload - packet.l4) + run.bytes;
    std::uint8_t* ip = header.data() + packet.l3;
    std::uint8_t* l4 = header.data() + packet.l4;
    VnetHeader vnet = partial_header(packet);
    vnet.header_length = packet.payload;
    vnet.gso_size = static_cast<std::uint16_t>(run.piece);
    if (packet.version == 4) {
        store_be16(ip + 2, static_cast<std::size_t>(packet.l4 - packet.l3) + l4_size);
        set_ipv4_checksum(ip);
    } else {
        store_be16(ip + 4, l4_size);
    }
    if (packet.is_tcp()) {
        l4[13] |=
            static_cast<std::uint8_t>(tcp_flags(run.frames[count - 1], packet) & (kFin | kPsh));
        vnet.gso_type = packet.version == 4 ? kGsoTcp4 : kGsoTcp6;
    } else {
        store_be16(l4 + 4, l4_size);
        vnet.gso_type = kGsoUdp;
    }
    const std::uint16_t partial = partial_checksum(pseudo_sum(first, packet), l4_size);
    std::memcpy(l4 + packet.checksum_offset(), &partial, sizeof partial);

    std::array<iovec, kMaxFrames + 1> parts;
    parts[0] = {header.data(), packet.payload};
    for (std::size_t i = 0; i < count; ++i) {
        parts[i + 1] = part(run.frames[i].subspan(packet.payload));
    }
    sink_.write(vnet, std::span{parts}.first(count + 1), std::span{run.frames}.first(count));
}

void Merger::write_single(ByteView frame, const Packet& packet, bool partial) {
    const iovec whole = part(frame);
    sink_.write(partial ? partial_header(packet) : VnetHeader{}, {&whole, 1}, {&frame, 1});
}

void Merger::flush() {
    for (std::size_t i = 0; i < runs_; ++i) {
        if (slots_[i].count != 0) {
            write(slots_[i]);
        }
    }
    runs_ = 0;
}

} // namespace weave::dataplane
