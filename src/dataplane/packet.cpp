// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet.hpp"

#include "dataplane/equal.hpp"

#include <algorithm>
#include <array>

namespace weave::dataplane {
namespace {

constexpr std::size_t kEthernetHeader = 14;

bool is_vlan(std::uint16_t type) {
    return type == 0x8100 || type == 0x88a8;
}

void read_transport(ByteView frame, Packet& packet, std::size_t at) {
    packet.l4 = static_cast<std::uint16_t>(at);
    const std::size_t left = packet.end - at;
    if (packet.protocol == kProtocolTcp && left >= 20) {
        const std::size_t size = static_cast<std::size_t>(frame[at + 12] >> 4) * 4;
        if (size >= 20 && size <= left) {
            packet.payload = static_cast<std::uint16_t>(at + size);
        }
    } else if (packet.protocol == kProtocolUdp && left >= 8) {
        packet.payload = static_cast<std::uint16_t>(at + 8);
    }
}

void read_ipv4(ByteView frame, Packet& packet, bool super) {
    const std::size_t left = frame.size() - packet.l3;
    const std::uint8_t* ip = frame.data() + packet.l3;
    if (left < 20 || ip[0] >> 4 != 4) {
        return;
    }
    const std::size_t header = (ip[0] & 15u) * 4;
    const std::size_t total = super ? left : load_be16(ip + 2);
    if (header < 20 || header > total || total > left) {
        return;
    }
    packet.version = 4;
    packet.protocol = ip[9];
    packet.extended = header > 20;
    packet.fragment = (load_be16(ip + 6) & 0x3fff) != 0;
    packet.end = packet.l3 + total;
    if (!packet.fragment) {
        read_transport(frame, packet, packet.l3 + header);
    }
}

/** Hop-by-hop, routing, destination options; ends the walk at anything else. */
bool is_extension(std::uint8_t protocol) {
    return protocol == 0 || protocol == 43 || protocol == 60;
}

void read_ipv6(ByteView frame, Packet& packet, bool super) {
    const std::size_t left = frame.size() - packet.l3;
    const std::uint8_t* ip = frame.data() + packet.l3;
    if (left < 40 || ip[0] >> 4 != 6) {
        return;
    }
    const std::size_t total = super ? left : 40u + load_be16(ip + 4);
    if (total > left) {
        return;
    }
    packet.version = 6;
    packet.protocol = ip[6];
    packet.end = packet.l3 + total;
    std::size_t at = packet.l3 + 40u;
    // Eight headers are more than anybody sends; the bound keeps the walk short.
    for (int i = 0; i < 8 && is_extension(packet.protocol); ++i) {
        if (packet.end - at < 8 || packet.end - at < (frame[at + 1] + 1u) * 8) {
            return;
        }
        packet.extended = true;
        packet.protocol = frame[at];
        at += (frame[at + 1] + 1u) * 8;
    }
    packet.fragment = packet.protocol == kProtocolFragment;
    if (!packet.fragment && !is_extension(packet.protocol) && at < 2048) {
        read_transport(frame, packet, at);
    }
}

std::optional<IpAddress> address_at(ByteView frame, std::size_t at, std::size_t size) {
    return at + size <= frame.size() ? IpAddress::from_bytes(frame.subspan(at, size))
                                     : std::nullopt;
}

bool is_ipv4_arp(ByteView frame, const Packet& packet) {
    return packet.ether_type == kEtherArp && frame.size() >= packet.l3 + 28u &&
           load_be16(frame.data() + packet.l3 + 2) == kEtherIpv4;
}

} // namespace

std::optional<Packet> parse_frame(ByteView frame, bool super) {
    if (frame.size() < kEthernetHeader) {
        return std::nullopt;
    }
    Packet packet;
    packet.end = frame.size();
    packet.ether_type = load_be16(frame.data() + 12);
    for (int tag = 0; tag < 2 && is_vlan(packet.ether_type); ++tag) {
        if (frame.size() < packet.l3 + 4u) {
            return packet;
        }
        packet.ether_type = load_be16(frame.data() + packet.l3 + 2);
        packet.l3 = static_cast<std::uint16_t>(packet.l3 + 4);
    }
    if (packet.ether_type == kEtherIpv4) {
        read_ipv4(frame, packet, super);
    } else if (packet.ether_type == kEtherIpv6) {
        read_ipv6(frame, packet, super);
    }
    return packet;
}

std::optional<IpAddress> source_ip(ByteView frame, const Packet& packet) {
    switch (packet.version) {
    case 4:
        return address_at(frame, packet.l3 + 12u, 4);
    case 6:
        return address_at(frame, packet.l3 + 8u, 16);
    default:
        return is_ipv4_arp(frame, packet) ? address_at(frame, packet.l3 + 14u, 4) : std::nullopt;
    }
}

std::optional<IpAddress> destination_ip(ByteView frame, const Packet& packet) {
    switch (packet.version) {
    case 4:
        return address_at(frame, packet.l3 + 16u, 4);
    case 6:
        return address_at(frame, packet.l3 + 24u, 16);
    default:
        return is_ipv4_arp(frame, packet) ? address_at(frame, packet.l3 + 24u, 4) : std::nullopt;
    }
}

bool bears_mapped_address(ByteView frame, const Packet& packet) {
    static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
    const auto mapped = [&](std::size_t at) {
        return equal_bytes<kMapped.size()>(frame.data() + at, kMapped.data());
    };
    return packet.version == 6 && (mapped(packet.l3 + 8u) || mapped(packet.l3 + 24u));
}

Offload check_offload(const VnetHeader& vnet, const Packet& packet, ByteView frame) {
    const std::uint8_t type = vnet.gso_type & static_cast<std::uint8_t>(~kGsoEcn);
    const bool partial = (vnet.flags & kVnetNeedsChecksum) != 0;
    if (partial && (vnet.csum_start < packet.l3 ||
                    std::size_t{vnet.csum_start} + vnet.csum_offset + 2 > frame.size())) {
        return Offload::invalid;
    }
    if (type == kGsoNone) {
        if (!partial) {
            return Offload::none;
        }
        const bool known = packet.payload != 0 && vnet.csum_start == packet.l4 &&
                           vnet.csum_offset == packet.checksum_offset();
        return known ? Offload::partial : Offload::other;
    }
    if (vnet.gso_size == 0 || packet.payload == 0 || packet.payload >= frame.size()) {
        return Offload::invalid;
    }
    if (type == kGsoUdp) {
        return packet.is_udp() ? Offload::udp_super : Offload::invalid;
    }
    const bool tcp =
        (type == kGsoTcp4 && packet.version == 4) || (type == kGsoTcp6 && packet.version == 6);
    return tcp && packet.is_tcp() ? Offload::tcp_super : Offload::invalid;
}

bool reader_checks_sums(ByteView frame, const Packet& packet) {
    if (!packet.is_udp()) {
        return false;
    }
    const auto dhcp = [](std::uint16_t port) {
        return port == 67 || port == 68 || port == 546 || port == 547;
    };
    return dhcp(load_be16(frame.data() + packet.l4)) ||
           dhcp(load_be16(frame.data() + packet.l4 + 2));
}

} // namespace weave::dataplane
