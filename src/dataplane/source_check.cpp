// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/source_check.hpp"

#include <algorithm>

namespace weave::dataplane {
namespace {

constexpr std::uint8_t kRouterAdvertisement = 134;
constexpr std::uint8_t kNeighbourAdvertisement = 136;

/** Addresses that belong to no node and are always let through. */
bool is_unowned_by_nature(const IpAddress& address) {
    return address.is_unspecified() || address.is_link_local();
}

/** Where the options of a neighbour discovery message begin (RFC 4861 4). */
std::size_t options_at(std::uint8_t type) {
    switch (type) {
    case kRouterSolicitation:
        return 8;
    case kRouterAdvertisement:
        return 16;
    case kRedirect:
        return 40;
    default:
        return 24;
    }
}

} // namespace

bool SourceCheck::owns(PeerIndex peer, const MacAddress& mac) const {
    return snapshot_->addresses->owner(mac) == peer;
}

bool SourceCheck::owns(PeerIndex peer, const IpAddress& address) const {
    if (is_unowned_by_nature(address)) {
        return true;
    }
    const PeerIndex owner = snapshot_->addresses->owner(address);
    return owner == peer || (owner == kNoPeer && !snapshot_->settings->strict_source);
}

/** The sender's hardware address is what readers remember, not the frame's source. */
bool SourceCheck::owns_arp(ByteView frame, const Packet& packet) const {
    constexpr std::size_t kSize = 28;
    if (frame.size() < packet.l3 + kSize) {
        return false;
    }
    const std::uint8_t* arp = frame.data() + packet.l3;
    return arp[4] == 6 && arp[5] == 4 && equal_bytes<6>(arp + 8, &frame[6]);
}

/** Messages that readers would refuse as malformed are refused here. */
bool SourceCheck::owns_discovery(PeerIndex peer, ByteView frame, const Packet& packet) const {
    constexpr std::uint8_t kSourceLink = 1;
    constexpr std::uint8_t kTargetLink = 2;
    const ByteView message = frame.subspan(packet.l4, packet.end - packet.l4);
    const std::uint8_t type = message[0];
    std::size_t at = options_at(type);
    if (message.size() < at) {
        return false;
    }
    if (type == kNeighbourAdvertisement || type == kRedirect) {
        const auto target = IpAddress::from_bytes(message.subspan(8, 16));
        if (!target || !owns(peer, *target)) {
            return false;
        }
    }
    while (at < message.size()) {
        const ByteView option = message.subspan(at);
        const std::size_t size = option.size() < 2 ? 0 : option[1] * 8u;
        if (size == 0 || size > option.size()) {
            return false;
        }
        if ((option[0] == kSourceLink || option[0] == kTargetLink) &&
            !equal_bytes<6>(&option[2], &frame[6]) && !owns(peer, mac_at(&option[2]))) {
            return false;
        }
        at += size;
    }
    return true;
}

bool SourceCheck::judge(PeerIndex peer, ByteView frame, const Packet& packet) {
    if (!owns(peer, mac_at(frame.data() + 6)) || hides_transport(packet)) {
        return false;
    }
    if (const auto address = source_ip(frame, packet); address && !owns(peer, *address)) {
        return false;
    }
    if (packet.ether_type == kEtherArp && !owns_arp(frame, packet)) {
        return false;
    }
    if (is_discovery(frame, packet)) {
        return owns_discovery(peer, frame, packet);
    }
    approved_.peer = peer;
    approved_.version = packet.version;
    std::copy_n(&frame[6], approved_.mac.size(), approved_.mac.begin());
    if (packet.version == 4) {
        std::copy_n(&frame[packet.l3 + 12u], 4, approved_.ip.begin());
    } else if (packet.version == 6) {
        std::copy_n(&frame[packet.l3 + 8u], 16, approved_.ip.begin());
    }
    return true;
}

} // namespace weave::dataplane
