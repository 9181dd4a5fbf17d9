// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour.hpp"

#include "dataplane/checksum.hpp"
#include "dataplane/equal.hpp"

#include <algorithm>
#include <cstring>

namespace weave::dataplane {
namespace {

constexpr std::size_t kL3 = 14;

constexpr std::size_t kArpSize = 28;
constexpr std::uint16_t kArpRequest = 1;
constexpr std::uint16_t kArpReply = 2;
/** Hardware Ethernet, protocol IPv4, and the lengths of their addresses. */
constexpr std::array<std::uint8_t, 6> kArpKind{0, 1, 8, 0, 6, 4};

constexpr std::size_t kIcmp = kL3 + 40;
/** Type, code, checksum, flags, target. */
constexpr std::size_t kMessageSize = 24;
constexpr std::size_t kOptionSize = 8;
constexpr std::uint8_t kSolicitation = 135;
constexpr std::uint8_t kAdvertisement = 136;
constexpr std::uint8_t kSourceLink = 1;
constexpr std::uint8_t kTargetLink = 2;
constexpr std::uint8_t kSolicited = 0x40;
constexpr std::uint8_t kOverride = 0x20;
/** Proves that no router passed it on. */
constexpr std::uint8_t kHopLimit = 255;

constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
/** Of ff02::1. */
constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
constexpr std::array<std::uint8_t, 16> kAllNodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 13> kSolicitedNode{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

std::optional<NeighbourQuestion> read_arp(ByteView frame) {
    if (frame.size() < kL3 + kArpSize) {
        return std::nullopt;
    }
    const std::uint8_t* arp = frame.data() + kL3;
    const auto sender = IpAddress::from_bytes(frame.subspan(kL3 + 14, 4));
    const auto target = IpAddress::from_bytes(frame.subspan(kL3 + 24, 4));
    if (!equal_bytes<6>(arp, kArpKind.data()) || load_be16(arp + 6) != kArpRequest || !sender ||
        !target || *sender == *target) {
        return std::nullopt;
    }
    return NeighbourQuestion{*target, *sender, mac_at(arp + 8)};
}

/** False when an option has no length or runs past the end, or tells a MAC that is not the frame's;
 * `told` says whether one was told. */
bool read_options(ByteView options, const std::uint8_t* sender, bool& told) {
    while (!options.empty()) {
        const std::size_t size = options.size() < 2 ? 0 : options[1] * std::size_t{8};
        if (size == 0 || size > options.size()) {
            return false;
        }
        if (options[0] == kSourceLink) {
            told = true;
            if (!equal_bytes<6>(&options[2], sender)) {
                return false;
            }
        }
        options = options.subspan(size);
    }
    return true;
}

bool sum_is_right(ByteView frame, const Packet& packet) {
    const ByteView message = frame.subspan(kIcmp, packet.end - kIcmp);
    const std::uint64_t length = network_word(static_cast<std::uint16_t>(message.size()));
    return fold(sum_words(message, pseudo_sum(frame, packet) + length)) == 0xffff;
}

std::optional<NeighbourQuestion> read_solicitation(ByteView frame, const Packet& packet) {
    // Extension headers are allowed and used by nobody: the pod itself answers those.
    if (packet.version != 6 || packet.protocol != kProtocolIcmp6 || packet.l4 != kIcmp ||
        packet.end < kIcmp + kMessageSize || frame[kL3 + 7] != kHopLimit ||
        frame[kIcmp] != kSolicitation || frame[kIcmp + 1] != 0) {
        return std::nullopt;
    }
    const auto from = source_ip(frame, packet);
    const auto target = IpAddress::from_bytes(frame.subspan(kIcmp + 8, 16));
    bool told = false;
    const ByteView options = frame.subspan(kIcmp + kMessageSize, packet.end - kIcmp - kMessageSize);
    if (!from || !target || from->is_v4() || target->is_v4() || target->is_multicast() ||
        from->is_multicast() || !read_options(options, &frame[6], told) ||
        !sum_is_right(frame, packet)) {
        return std::nullopt;
    }
    const bool to_solicited =
        equal_bytes<kSolicitedNode.size()>(&frame[kL3 + 24], kSolicitedNode.data());
    if ((from->is_unspecified() && (told || !to_solicited)) || *from == *target) {
        return std::nullopt;
    }
    return NeighbourQuestion{*target, *from, mac_at(&frame[6])};
}

} // namespace

std::optional<NeighbourQuestion> read_neighbour_question(ByteView frame, const Packet& packet) {
    if (packet.l3 != kL3) {
        return std::nullopt; // an answer would have to bear the tag
    }
    return packet.ether_type == kEtherArp ? read_arp(frame) : read_solicitation(frame, packet);
}

void NeighbourFrame::put_ethernet(const MacAddress& to,
                                  const MacAddress& from,
                                  std::uint16_t type) {
    std::copy(to.octets.begin(), to.octets.end(), bytes_.begin());
    std::copy(from.octets.begin(), from.octets.end(), bytes_.begin() + 6);
    store_be16(&bytes_[12], type);
}

void NeighbourFrame::put_arp(std::uint16_t operation,
                             const IpAddress& sender,
                             const MacAddress& sender_mac,
                             const IpAddress& target,
                             const MacAddress& target_mac) {
    std::uint8_t* arp = &bytes_[kL3];
    std::copy(kArpKind.begin(), kArpKind.end(), arp);
    store_be16(arp + 6, operation);
    std::copy(sender_mac.octets.begin(), sender_mac.octets.end(), arp + 8);
    std::copy_n(sender.bytes().begin(), 4, arp + 14);
    std::copy(target_mac.octets.begin(), target_mac.octets.end(), arp + 18);
    std::copy_n(target.bytes().begin(), 4, arp + 24);
    size_ = kL3 + kArpSize;
}

void NeighbourFrame::put_advertisement(const IpAddress& to,
                                       const IpAddress& address,
                                       const MacAddress& holder,
                                       std::uint8_t flags) {
    constexpr std::size_t kLength = kMessageSize + kOptionSize;
    std::uint8_t* ip = &bytes_[kL3];
    ip[0] = 0x60;
    store_be16(ip + 4, kLength);
    ip[6] = kProtocolIcmp6;
    ip[7] = kHopLimit;
    std::copy_n(address.bytes().begin(), 16, ip + 8);
    std::copy_n(to.bytes().begin(), 16, ip + 24);
    std::uint8_t* icmp = &bytes_[kIcmp];
    icmp[0] = kAdvertisement;
    icmp[4] = flags;
    std::copy_n(address.bytes().begin(), 16, icmp + 8);
    icmp[kMessageSize] = kTargetLink;
    icmp[kMessageSize + 1] = 1;
    std::copy(holder.octets.begin(), holder.octets.end(), icmp + kMessageSize + 2);
    size_ = kIcmp + kLength;
    const std::uint64_t pseudo =
        sum_words({ip + 8, 32}, network_word(kProtocolIcmp6)) + network_word(kLength);
    const auto sum = static_cast<std::uint16_t>(~fold(sum_words({icmp, kLength}, pseudo)));
    std::memcpy(icmp + 2, &sum, sizeof sum);
}

NeighbourFrame NeighbourFrame::answer(const NeighbourQuestion& question, const MacAddress& holder) {
    NeighbourFrame out;
    if (question.target.is_v4()) {
        out.put_ethernet(question.asker, holder, kEtherArp);
        out.put_arp(kArpReply, question.target, holder, question.from, question.asker);
        return out;
    }
    // Who has no address yet is told as one of all (RFC 4861 7.2.4). The answer overrides, as the
    // holder's own would: the asker may remember where the address was before.
    const bool probe = question.from.is_unspecified();
    out.put_ethernet(probe ? kAllNodesMac : question.asker, holder, kEtherIpv6);
    out.put_advertisement(probe ? *IpAddress::from_bytes(kAllNodes) : question.from,
                          question.target,
                          holder,
                          probe ? kOverride : std::uint8_t{kSolicited | kOverride});
    return out;
}

NeighbourFrame NeighbourFrame::announcement(const IpAddress& address, const MacAddress& holder) {
    NeighbourFrame out;
    if (address.is_v4()) {
        out.put_ethernet(kBroadcast, holder, kEtherArp);
        out.put_arp(kArpRequest, address, holder, address, MacAddress{});
        return out;
    }
    out.put_ethernet(kAllNodesMac, holder, kEtherIpv6);
    out.put_advertisement(*IpAddress::from_bytes(kAllNodes), address, holder, kOverride);
    return out;
}

} // namespace weave::dataplane
