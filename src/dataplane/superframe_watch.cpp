// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/superframe_watch.hpp"

#include "wire/packet.hpp"

#include <algorithm>

namespace weave::dataplane {
namespace {

constexpr std::size_t kMacs = 12;
constexpr std::size_t kIp4 = 20;
constexpr std::size_t kIp6 = 40;
constexpr std::size_t kTcp = 20;
constexpr std::uint16_t kTcpChecksum = 16;

struct Segment {
    std::uint64_t flow = 0;
    std::uint32_t sequence = 0;
    std::uint32_t payload = 0;
};

/** Spreads every bit over the upper ones (multiplicative hashing). */
std::uint64_t mixed(std::uint64_t value) {
    value *= 0x9e3779b97f4a7c15;
    return value ^ value >> 32;
}

/** The ports, and the addresses of `size` bytes in front of them. */
std::uint64_t flow_of(const std::uint8_t* l4, std::size_t size) {
    std::uint64_t key = wire::load_u32(l4);
    for (std::size_t at = 0; at < size; at += sizeof key) {
        key = mixed(key ^ wire::load_u64(l4 - size + at));
    }
    return key;
}

/** TCP of which the kernel still owes the checksum, without options of IP: what can be joined. */
std::optional<Segment> read_segment(const VnetHeader& vnet, ByteView frame) {
    const std::size_t l4 = vnet.csum_start;
    if ((vnet.flags & kVnetNeedsChecksum) == 0 || vnet.csum_offset != kTcpChecksum ||
        l4 < kMacs + 2 + kIp4 || frame.size() < l4 + kTcp) {
        return std::nullopt;
    }
    const std::uint8_t* tcp = frame.data() + l4;
    const bool v4 = load_be16(tcp - kIp4 - 2) == kEtherIpv4;
    if (!v4 && (l4 < kMacs + 2 + kIp6 || load_be16(tcp - kIp6 - 2) != kEtherIpv6)) {
        return std::nullopt;
    }
    const std::size_t header = l4 + (tcp[12] >> 4) * 4U;
    Segment out;
    out.flow = flow_of(tcp, v4 ? 8 : 32);
    out.sequence = load_be32(tcp + 4);
    out.payload = static_cast<std::uint32_t>(frame.size() - std::min(header, frame.size()));
    return out;
}

} // namespace

std::size_t SuperframeWatch::place_of(const MacAddress& mac) {
    return std::hash<MacAddress>{}(mac) % std::tuple_size_v<decltype(destinations_)>;
}

bool SuperframeWatch::holds(ByteView frame, TimePoint now) const {
    if (frame.size() < kMacs) {
        return false;
    }
    const MacAddress mac = mac_at(frame.data());
    const Destination& place = destinations_[place_of(mac)];
    return place.abstinence.holds(now) && place.mac == mac;
}

/** nullptr: its place is taken by one that is watched, or kept from superframes, now. */
SuperframeWatch::Destination* SuperframeWatch::destination_of(const MacAddress& mac,
                                                              TimePoint now) {
    Destination& place = destinations_[place_of(mac)];
    if (now - place.since >= kWindow) {
        if (place.mac != mac && !place.abstinence.holds(now)) {
            place = {mac, {}, now, 0, 0, 0};
        } else if (place.mac == mac) {
            if (place.superframes >= kLeast) {
                place.abstinence.taken();
            }
            place.since = now;
            place.superframes = 0;
            place.joined = place.again = 0;
        }
    }
    return place.mac == mac ? &place : nullptr;
}

/** Of the bytes from `sequence` on, how many were handed on before. */
std::uint32_t
SuperframeWatch::handed_on_before(std::uint64_t key, std::uint32_t sequence, std::uint32_t size) {
    Flow& flow = flows_[key % flows_.size()];
    // Sequence numbers wrap: what lies outside is what is further from the start than the end is.
    const std::uint32_t at = sequence - flow.from;
    const std::uint32_t known = flow.to - flow.from;
    if (flow.key != key || at > known) {
        flow = {key, sequence, sequence + size};
        return 0;
    }
    if (at + size > known) {
        flow.to = sequence + size;
        flow.from = flow.to - std::min(at + size, kReach);
    }
    return std::min(size, known - at);
}

std::optional<TimePoint>
SuperframeWatch::wrote(const VnetHeader& vnet, std::span<const ByteView> frames, TimePoint now) {
    auto segment = read_segment(vnet, frames.front());
    if (!segment || segment->payload == 0) {
        return std::nullopt;
    }
    Destination* to = destination_of(mac_at(frames.front().data()), now);
    if (to == nullptr || to->abstinence.holds(now)) {
        return std::nullopt;
    }
    if (frames.size() > 1) {
        // All are as long as the first, the last perhaps shorter.
        segment->payload *= static_cast<std::uint32_t>(frames.size());
        segment->payload -=
            static_cast<std::uint32_t>(frames.front().size() - frames.back().size());
        ++to->superframes;
        to->joined += segment->payload;
    }
    to->again += handed_on_before(segment->flow, segment->sequence, segment->payload);
    if (to->superframes < kLeast || 2 * to->again < to->joined) {
        return std::nullopt;
    }
    to->abstinence.refused(now);
    to->since = now;
    to->superframes = 0;
    to->joined = to->again = 0;
    return to->abstinence.until();
}

} // namespace weave::dataplane
