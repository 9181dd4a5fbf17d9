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

constexpr std::uint8_t kSyn = 0x02;

struct Segment {
    std::uint64_t pair = 0;
    std::uint64_t flow = 0;
    std::uint32_t sequence = 0;
    std::uint32_t payload = 0;
    bool first = false; ///< of a connection
};

/** Spreads every bit over all others that are taken of it (multiplicative hashing). */
std::uint64_t mixed(std::uint64_t value) {
    value *= 0x9e3779b97f4a7c15;
    return value ^ value >> 32;
}

/** `size` bytes, a multiple of four. */
std::uint64_t mixed(std::uint64_t key, const std::uint8_t* from, std::size_t size) {
    for (std::size_t at = 0; at < size; at += 4) {
        key = mixed(key ^ wire::load_u32(from + at));
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
    const std::size_t address = v4 ? 4 : 16;
    const std::size_t header = l4 + (tcp[12] >> 4) * 4U;
    Segment out;
    // Whose MAC address and IP address these are was checked. Destinations of a MAC address share
    // what is behind it.
    out.pair = mixed(mixed(1, frame.data(), kMacs), tcp - 2 * address, address);
    out.flow = mixed(out.pair, tcp - address, address + 4); // and both ports
    out.sequence = load_be32(tcp + 4);
    out.first = (tcp[13] & kSyn) != 0;
    out.payload = static_cast<std::uint32_t>(frame.size() - std::min(header, frame.size()));
    return out;
}

} // namespace

bool SuperframeWatch::holds(const VnetHeader& vnet, ByteView frame, TimePoint now) const {
    const auto segment = read_segment(vnet, frame);
    if (!segment) {
        return false;
    }
    const Pair& place = pairs_[segment->pair % pairs_.size()];
    return place.key == segment->pair && place.abstinence.holds(now);
}

/** nullptr: its place is taken by one that is watched, or kept from superframes, now. */
SuperframeWatch::Pair* SuperframeWatch::pair_of(std::uint64_t key, TimePoint now) {
    Pair& place = pairs_[key % pairs_.size()];
    if (now - place.since >= kWindow) {
        if (place.key != key && !place.abstinence.holds(now)) {
            place = {};
            place.key = key;
        }
        if (place.key == key) {
            if (place.superframes >= kLeast) {
                place.abstinence.taken();
            }
            place.since = now;
            place.superframes = place.repetitions = 0;
            place.joined = place.again = 0;
        }
    }
    return place.key == key ? &place : nullptr;
}

/** Of the bytes from `sequence` on, how many are in `flow`. Sequence numbers wrap: what lies before
 * its start is further from that than its end is. */
std::uint32_t
SuperframeWatch::overlap(const Flow& flow, std::uint32_t sequence, std::uint32_t size) {
    const std::uint32_t at = sequence - flow.from;
    const std::uint32_t known = flow.to - flow.from;
    return at < known ? std::min(size, known - at) : 0;
}

void SuperframeWatch::extend(Flow& flow,
                             std::uint64_t key,
                             std::uint32_t sequence,
                             std::uint32_t size) {
    const std::uint32_t at = sequence - flow.from;
    const std::uint32_t known = flow.to - flow.from;
    if (flow.key != key || at > known) {
        flow = {key, sequence, sequence + size};
    } else if (at + size > known) {
        flow.to = sequence + size;
        flow.from = flow.to - std::min(at + size, kReach);
    }
}

std::optional<TimePoint>
SuperframeWatch::wrote(const VnetHeader& vnet, std::span<const ByteView> frames, TimePoint now) {
    auto segment = read_segment(vnet, frames.front());
    if (!segment) {
        return std::nullopt;
    }
    Flow& flow = flows_[segment->flow % flows_.size()];
    if (segment->first) {
        flow = {};
    }
    Pair* pair = segment->payload == 0 ? nullptr : pair_of(segment->pair, now);
    if (pair == nullptr || pair->abstinence.holds(now)) {
        return std::nullopt;
    }
    if (frames.size() > 1) {
        // All are as long as the first, the last perhaps shorter.
        segment->payload *= static_cast<std::uint32_t>(frames.size());
        segment->payload -=
            static_cast<std::uint32_t>(frames.front().size() - frames.back().size());
    }
    const std::uint32_t again =
        flow.key == segment->flow ? overlap(flow, segment->sequence, segment->payload) : 0;
    pair->again += again;
    pair->repetitions += again != 0 ? 1 : 0;
    if (frames.size() > 1) {
        ++pair->superframes;
        pair->joined += segment->payload;
        extend(flow, segment->flow, segment->sequence, segment->payload);
    }
    if (pair->superframes < kLeast || pair->repetitions < kLeast ||
        2 * pair->again < pair->joined) {
        return std::nullopt;
    }
    pair->abstinence.refused(now);
    pair->since = now;
    pair->superframes = pair->repetitions = 0;
    pair->joined = pair->again = 0;
    return pair->abstinence.until();
}

} // namespace weave::dataplane
