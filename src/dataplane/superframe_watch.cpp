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

class SuperframeWatch::Turn {
  public:
    explicit Turn(const Shard& shard)
        : shard_(shard)
        , mine_(!shard.taken.test_and_set(std::memory_order_acquire)) {}

    ~Turn() {
        if (mine_) {
            shard_.taken.clear(std::memory_order_release);
        }
    }

    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    explicit operator bool() const { return mine_; }

  private:
    const Shard& shard_;
    bool mine_;
};

bool SuperframeWatch::holds(const VnetHeader& vnet, ByteView frame, TimePoint now) const {
    const auto segment = read_segment(vnet, frame);
    if (!segment) {
        return false;
    }
    const Shard& shard = shards_[segment->pair % shards_.size()];
    const Turn turn(shard);
    const Pair& place = shard.pairs[segment->pair / shards_.size() % shard.pairs.size()];
    return turn && place.key == segment->pair && place.abstinence.holds(now);
}

/** nullptr: its place is taken by one that is watched, or kept from superframes, now. */
SuperframeWatch::Pair* SuperframeWatch::pair_of(Shard& shard, std::uint64_t key, TimePoint now) {
    Pair& place = shard.pairs[key / std::tuple_size_v<decltype(shards_)> % shard.pairs.size()];
    if (now - place.since >= kWindow) {
        if (place.key != key && !place.abstinence.holds(now)) {
            place = {};
            place.key = key;
        }
        if (place.key == key) {
            if (place.superframes >= kLeast) {
                place.abstinence.taken();
            }
            place.begin(now);
        }
    }
    return place.key == key ? &place : nullptr;
}

std::uint32_t SuperframeWatch::Flow::again(std::uint32_t sequence, std::uint32_t bytes) const {
    const std::uint32_t at = sequence - from;
    return at < joined ? std::min(bytes, joined - at) : 0;
}

void SuperframeWatch::Flow::extend(std::uint32_t sequence, std::uint32_t bytes, bool superframe) {
    const std::uint32_t end = sequence - from + bytes;
    size = std::max(size, end);
    joined = superframe ? std::max(joined, end) : joined;
    const std::uint32_t forgotten = size - std::min(size, kReach);
    from += forgotten;
    size -= forgotten;
    joined -= std::min(joined, forgotten);
}

std::uint32_t SuperframeWatch::note(
    Flow& flow, std::uint64_t key, std::uint32_t sequence, std::uint32_t bytes, bool superframe) {
    if (flow.key != key || !flow.follows(sequence)) {
        if (superframe) { // another flow, or behind a gap
            flow = {key, sequence, bytes, bytes};
        }
        return 0;
    }
    const std::uint32_t again = flow.again(sequence, bytes);
    flow.extend(sequence, bytes, superframe);
    return again;
}

std::optional<TimePoint>
SuperframeWatch::wrote(const VnetHeader& vnet, std::span<const ByteView> frames, TimePoint now) {
    auto segment = read_segment(vnet, frames.front());
    if (!segment || (segment->payload == 0 && !segment->first)) {
        return std::nullopt;
    }
    Shard& shard = shards_[segment->pair % shards_.size()];
    const Turn turn(shard);
    if (!turn) {
        return std::nullopt;
    }
    Flow& flow = shard.flows[segment->flow % shard.flows.size()];
    if (segment->first) {
        flow = {};
    }
    Pair* pair = segment->payload == 0 ? nullptr : pair_of(shard, segment->pair, now);
    if (pair == nullptr || pair->abstinence.holds(now)) {
        return std::nullopt;
    }
    const bool superframe = frames.size() > 1;
    if (superframe) {
        // All are as long as the first, the last perhaps shorter.
        segment->payload *= static_cast<std::uint32_t>(frames.size());
        segment->payload -=
            static_cast<std::uint32_t>(frames.front().size() - frames.back().size());
        ++pair->superframes;
        pair->joined += segment->payload;
    }
    const std::uint32_t again =
        note(flow, segment->flow, segment->sequence, segment->payload, superframe);
    pair->again += again;
    pair->repetitions += again != 0 ? 1 : 0;
    if (pair->superframes < kLeast || pair->repetitions < kLeast ||
        2 * pair->again < pair->joined) {
        return std::nullopt;
    }
    pair->abstinence.refused(now);
    pair->begin(now);
    return pair->abstinence.until();
}

} // namespace weave::dataplane
