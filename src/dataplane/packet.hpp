// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"

#include <cstdint>
#include <cstring>
#include <optional>

namespace weave::dataplane {

inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolFragment = 44;
inline constexpr std::uint8_t kProtocolIcmp6 = 58;
/** The first and the last type of neighbour discovery (RFC 4861 4). */
inline constexpr std::uint8_t kRouterSolicitation = 133;
inline constexpr std::uint8_t kRedirect = 137;
inline constexpr std::uint16_t kEtherIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherArp = 0x0806;
inline constexpr std::uint16_t kEtherIpv6 = 0x86dd;

/** RFC 8200 5: no sender of IPv6 goes below. */
inline constexpr std::size_t kLeastMtu6 = 1280;

inline std::uint16_t load_be16(const std::uint8_t* at) {
    return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

inline void store_be16(std::uint8_t* at, std::size_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}

inline std::uint32_t load_be32(const std::uint8_t* at) {
    return std::uint32_t{load_be16(at)} << 16 | load_be16(at + 2);
}

inline void store_be32(std::uint8_t* at, std::uint32_t value) {
    store_be16(at, value >> 16);
    store_be16(at + 2, value & 0xffff);
}

/** Where the headers of an Ethernet frame are. Every offset lies within the frame. */
struct Packet {
    std::uint16_t ether_type = 0; ///< after VLAN tags
    std::uint16_t l3 = 14;        ///< first byte after the Ethernet header and its tags
    std::uint8_t version = 0;     ///< 4, 6; 0 = not IP, or not valid IP
    std::uint8_t protocol = 0;    ///< of IP, after IPv6 extension headers
    bool fragment = false;        ///< an IP fragment (also the first)
    bool extended = false;        ///< IPv4 options or IPv6 extension headers are there
    std::uint16_t l4 = 0;         ///< transport header; 0 = none that can be read
    std::uint16_t payload = 0;    ///< end of a whole TCP or UDP header; 0 = neither
    std::size_t end = 0;          ///< end of the IP packet; what follows is padding

    [[nodiscard]] bool is_tcp() const { return payload != 0 && protocol == kProtocolTcp; }

    [[nodiscard]] bool is_udp() const { return payload != 0 && protocol == kProtocolUdp; }

    /** Bytes from the start of the transport header to its checksum field. */
    [[nodiscard]] std::uint16_t checksum_offset() const {
        return protocol == kProtocolTcp ? 16 : 6;
    }
};

/**
 * Reads Ethernet, up to two VLAN tags, IPv4 or IPv6 with extension headers, TCP or UDP. nullopt
 * only when shorter than an Ethernet header; what cannot be read further is left at 0. `super` = a
 * superframe whose IP length field may be larger than one packet's or zero: the frame's end is the
 * packet's.
 */
std::optional<Packet> parse_frame(ByteView frame, bool super = false);

/** The source or destination of an IP packet; of ARP, the sender's and the target's protocol
 * address. */
std::optional<IpAddress> source_ip(ByteView frame, const Packet& packet);
std::optional<IpAddress> destination_ip(ByteView frame, const Packet& packet);

/** True for IPv6 from or to an IPv4-mapped address, which no packet may bear and which reads as
 * IPv4. */
bool bears_mapped_address(ByteView frame, const Packet& packet);

inline MacAddress mac_at(const std::uint8_t* at) {
    MacAddress mac;
    std::memcpy(mac.octets.data(), at, mac.octets.size());
    return mac;
}

/** The 10 bytes in front of each frame on the TAP, in the host's byte order (Linux virtio_net.h).
 */
struct VnetHeader {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t header_length = 0;
    std::uint16_t gso_size = 0;
    std::uint16_t csum_start = 0;
    std::uint16_t csum_offset = 0;
};

static_assert(sizeof(VnetHeader) == 10);

inline constexpr std::uint8_t kVnetNeedsChecksum = 1;
inline constexpr std::uint8_t kGsoNone = 0;
inline constexpr std::uint8_t kGsoTcp4 = 1;
inline constexpr std::uint8_t kGsoTcp6 = 4;
inline constexpr std::uint8_t kGsoUdp =
    5; // VIRTIO_NET_HDR_GSO_UDP_L4: missing in Debian 12's headers
inline constexpr std::uint8_t kGsoEcn = 0x80;

/** What a virtio-net header asks for, once it agrees with the frame. */
enum class Offload : std::uint8_t {
    none,      ///< the frame is complete
    partial,   ///< the TCP or UDP checksum field holds the pseudo-header sum
    other,     ///< some other checksum is partial: finish it before it goes anywhere
    tcp_super, ///< to cut at gso_size
    udp_super, ///< to cut at exactly gso_size
    invalid,   ///< header and frame disagree
};
Offload check_offload(const VnetHeader& vnet, const Packet& packet, ByteView frame);

/** Frames whose readers are known to look at checksums themselves: DHCP and DHCPv6 clients. */
bool reader_checks_sums(ByteView frame, const Packet& packet);

} // namespace weave::dataplane
