// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/icmp.hpp"

#include "dataplane/packet.hpp"

#include <tins/ethernetII.h>
#include <tins/icmp.h>
#include <tins/icmpv6.h>
#include <tins/ip.h>
#include <tins/ipv6.h>
#include <tins/rawpdu.h>

#include <algorithm>

namespace weave::dataplane {
namespace {

constexpr std::uint8_t kProtocolIcmp = 1;
/** RFC 792 asks for the header and 8 bytes, RFC 1812 for as much as fits 576 bytes. */
constexpr std::size_t kQuotedV4 = 548;
/** RFC 4443: as much as fits the minimum MTU. */
constexpr std::size_t kQuotedV6 = 1232;
constexpr std::uint8_t kHopLimit = 64;

bool is_icmp_error(ByteView frame, const Packet& packet) {
    if (packet.l4 == 0 || packet.l4 >= frame.size()) {
        return packet.protocol == kProtocolIcmp || packet.protocol == kProtocolIcmp6;
    }
    const std::uint8_t type = frame[packet.l4];
    if (packet.version == 6) {
        return packet.protocol == kProtocolIcmp6 && type < 128;
    }
    const bool query = type == 0 || type == 8 || (type >= 13 && type <= 18);
    return packet.protocol == kProtocolIcmp && !query;
}

/** Neither group addresses, errors nor later fragments are answered (RFC 1122 3.2.2, RFC 4443 2.4).
 */
bool may_answer(ByteView frame, const Packet& packet) {
    if (packet.version == 0 || mac_at(frame.data() + 6).is_group() ||
        is_icmp_error(frame, packet)) {
        return false;
    }
    const auto source = source_ip(frame, packet);
    const auto destination = destination_ip(frame, packet);
    const bool later_fragment =
        packet.version == 4 && (load_be16(frame.data() + packet.l3 + 6) & 0x1fff) != 0;
    // An IPv4-mapped address is none that an IPv6 packet may bear, and reads as IPv4.
    const bool v4 = packet.version == 4;
    return source && destination && source->is_v4() == v4 && destination->is_v4() == v4 &&
           !source->is_unspecified() && !source->is_multicast() && !later_fragment &&
           (!v4 || !mac_at(frame.data()).is_group());
}

Tins::IPv4Address tins_v4(const IpAddress& address) {
    return Tins::IPv4Address{address.text()};
}

Tins::IPv6Address tins_v6(const IpAddress& address) {
    return Tins::IPv6Address{address.text()};
}

Bytes answer_v4(const Tins::EthernetII& ethernet,
                const IpAddress& from,
                const IpAddress& to,
                std::uint16_t mtu,
                ByteView quoted) {
    Tins::ICMP icmp{Tins::ICMP::DEST_UNREACHABLE};
    icmp.code(4);
    icmp.mtu(mtu);
    Tins::IP ip{tins_v4(to), tins_v4(from)};
    ip.ttl(kHopLimit);
    auto whole = ethernet / ip / icmp /
                 Tins::RawPDU{quoted.data(), static_cast<std::uint32_t>(quoted.size())};
    return whole.serialize();
}

Bytes answer_v6(const Tins::EthernetII& ethernet,
                const IpAddress& from,
                const IpAddress& to,
                std::uint16_t mtu,
                ByteView quoted) {
    // libtins has no field for the MTU of a "packet too big"; it is where an echo's id and sequence
    // are.
    Tins::ICMPv6 icmp{Tins::ICMPv6::PACKET_TOOBIG};
    icmp.identifier(0);
    icmp.sequence(mtu);
    Tins::IPv6 ip{tins_v6(to), tins_v6(from)};
    ip.hop_limit(kHopLimit);
    auto whole = ethernet / ip / icmp /
                 Tins::RawPDU{quoted.data(), static_cast<std::uint32_t>(quoted.size())};
    return whole.serialize();
}

} // namespace

std::optional<Bytes> too_big_answer(ByteView start, std::uint16_t mtu, const MacAddress& from) {
    // Only the beginning is there, so lengths are not judged.
    const auto packet = parse_frame(start, true);
    if (!packet || !may_answer(start, *packet)) {
        return std::nullopt;
    }
    const IpAddress to = *source_ip(start, *packet);
    const IpAddress tried = *destination_ip(start, *packet);
    const bool v4 = packet->version == 4;
    if (tried.is_multicast()) {
        return std::nullopt;
    }
    const Tins::EthernetII ethernet{Tins::HWAddress<6>{mac_at(start.data() + 6).octets.data()},
                                    Tins::HWAddress<6>{from.octets.data()}};
    const ByteView ip = start.subspan(packet->l3);
    const ByteView quoted = ip.first(std::min(ip.size(), v4 ? kQuotedV4 : kQuotedV6));
    return v4 ? answer_v4(ethernet, tried, to, mtu, quoted)
              : answer_v6(ethernet, tried, to, mtu, quoted);
}

} // namespace weave::dataplane
