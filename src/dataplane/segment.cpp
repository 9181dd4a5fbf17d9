// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/segment.hpp"

#include "dataplane/checksum.hpp"

#include <algorithm>
#include <utility>

namespace weave::dataplane {
namespace {

constexpr std::uint8_t kTcpFin = 0x01;
constexpr std::uint8_t kTcpPsh = 0x08;
constexpr std::uint8_t kTcpCwr = 0x80;
constexpr std::size_t kTcpFlags = 13;
constexpr std::size_t kHeader4 = 20;
constexpr std::size_t kHeader6 = 40;
constexpr std::size_t kFragmentHeader = 8;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::size_t kMaxPacket = 65535;

/** A routing header's last destination counts (RFC 8200, 8.1), wherever it stands: whoever made the
 * frame has summed it, with the length of the whole. */
std::uint64_t stated_pseudo_sum(ByteView frame, const Packet& packet) {
    std::uint16_t stated;
    std::memcpy(&stated, &frame[packet.l4 + std::size_t{packet.checksum_offset()}], sizeof stated);
    const std::size_t length = packet.end - packet.l4;
    return std::uint64_t{stated} +
           static_cast<std::uint16_t>(~network_word(static_cast<std::uint16_t>(length)));
}

} // namespace

std::optional<Segmenter>
Segmenter::create(ByteSpan frame, const Packet& packet, std::size_t piece) {
    if (packet.payload == 0 || packet.payload > kMaxHeader || piece == 0) {
        return std::nullopt;
    }
    return Segmenter{frame, packet, piece};
}

Segmenter::Segmenter(ByteSpan frame, const Packet& packet, std::size_t piece)
    : frame_(frame)
    , packet_(packet)
    , piece_(piece) {
    std::copy_n(frame.data(), packet.payload, header_.data());
    pseudo_ = packet.version == 6 && packet.extended ? stated_pseudo_sum(frame, packet)
                                                     : pseudo_sum(frame, packet);
    if (packet.version == 4) {
        std::uint8_t* ip = header_.data() + packet.l3;
        ip_id_ = load_be16(ip + 4);
        std::fill_n(ip + 4, 2, std::uint8_t{0});
        std::fill_n(ip + 10, 2, std::uint8_t{0});
    }
    if (packet.protocol == kProtocolTcp) {
        sequence_ = load_be32(header_.data() + packet.l4 + 4);
        tcp_flags_ = header_[packet.l4 + kTcpFlags];
    }
}

void Segmenter::set_length(std::size_t length) {
    length_ = length;
    std::uint8_t* ip = header_.data() + packet_.l3;
    std::uint8_t* l4 = header_.data() + packet_.l4;
    const std::size_t ip_header = static_cast<std::size_t>(packet_.l4 - packet_.l3);
    const std::size_t l4_size = static_cast<std::size_t>(packet_.payload - packet_.l4) + length;
    if (packet_.version == 4) {
        store_be16(ip + 2, ip_header + l4_size);
        ip_sum_ = sum_words({ip, ip_header});
    } else {
        store_be16(ip + 4, ip_header + l4_size - 40);
    }
    if (packet_.protocol != kProtocolTcp) {
        store_be16(l4 + 4, l4_size);
    }
    const std::uint16_t partial = partial_checksum(pseudo_, l4_size);
    std::memcpy(l4 + packet_.checksum_offset(), &partial, sizeof partial);
}

void Segmenter::stamp(std::uint8_t* header, bool last) const {
    if (packet_.version == 4) {
        std::uint8_t* ip = header + packet_.l3;
        const auto id = static_cast<std::uint16_t>(ip_id_ + index_);
        store_be16(ip + 4, id);
        const auto checksum = static_cast<std::uint16_t>(~fold(ip_sum_ + network_word(id)));
        std::memcpy(ip + 10, &checksum, sizeof checksum);
    }
    if (packet_.protocol != kProtocolTcp) {
        return;
    }
    std::uint8_t* tcp = header + packet_.l4;
    store_be32(tcp + 4, sequence_ + static_cast<std::uint32_t>(offset_));
    std::uint8_t flags = tcp_flags_;
    if (!last) {
        flags &= static_cast<std::uint8_t>(~(kTcpFin | kTcpPsh));
    }
    if (index_ != 0) {
        flags &= static_cast<std::uint8_t>(~kTcpCwr);
    }
    tcp[kTcpFlags] = flags;
}

ByteSpan Segmenter::next() {
    const std::size_t total = frame_.size() - packet_.payload;
    if (offset_ >= total) {
        return {};
    }
    const std::size_t length = std::min(piece_, total - offset_);
    if (length != length_) {
        set_length(length);
    }
    std::uint8_t* start = frame_.data() + offset_;
    std::copy_n(header_.data(), packet_.payload, start);
    stamp(start, offset_ + length == total);
    offset_ += length;
    ++index_;
    return {start, packet_.payload + length};
}

Fragmenter::Fragmenter(ByteSpan frame, const Packet& packet)
    : frame_(frame)
    , v6_(packet.version == 6)
    , ip_at_(packet.l3)
    , header_size_(packet.l3 + (v6_ ? kHeader6 + kFragmentHeader : kHeader4))
    , from_(packet.l3 + (v6_ ? kHeader6 : kHeader4))
    , end_(packet.end) {
    std::copy_n(frame.data(), from_, header_.data());
}

std::optional<Fragmenter>
Fragmenter::create(ByteSpan frame, const Packet& packet, std::size_t mtu, std::uint32_t id) {
    constexpr std::uint16_t kDontFragment = 0x4000;
    if (packet.version == 6) {
        return create_v6(frame, packet, mtu, id);
    }
    if (packet.version != 4 || packet.extended || mtu < kHeader4 + 8) {
        return std::nullopt;
    }
    const std::uint16_t field = load_be16(frame.data() + packet.l3 + 6);
    Fragmenter out{frame, packet};
    out.position_ = (field & 0x1fffu) * 8;
    out.more_ = (field & kMoreFragments) != 0;
    out.piece_ = (mtu - kHeader4) / 8 * 8;
    // A fragment that ends beyond the largest packet has no offsets for all of its pieces.
    const bool too_long = out.position_ + (packet.end - packet.l3) > kMaxPacket;
    return (field & kDontFragment) != 0 || too_long ? std::nullopt : std::optional{out};
}

std::optional<Fragmenter>
Fragmenter::create_v6(ByteSpan frame, const Packet& packet, std::size_t mtu, std::uint32_t id) {
    if (packet.extended || packet.end - packet.l3 > kLeastMtu6 ||
        mtu < kHeader6 + kFragmentHeader + 8) {
        return std::nullopt;
    }
    Fragmenter out{frame, packet};
    std::uint8_t* next_header = out.header_.data() + packet.l3 + 6;
    std::uint8_t* fragment = out.header_.data() + out.from_;
    out.piece_ = (mtu - kHeader6 - kFragmentHeader) / 8 * 8;
    if (!packet.fragment) {
        fragment[0] = std::exchange(*next_header, kProtocolFragment);
        fragment[1] = 0;
        store_be32(fragment + 4, id);
        return out;
    }
    if (packet.end - out.from_ < kFragmentHeader) {
        return std::nullopt;
    }
    std::copy_n(frame.data() + out.from_, kFragmentHeader, fragment);
    out.position_ = load_be16(fragment + 2) & 0xfff8u;
    out.more_ = (load_be16(fragment + 2) & 1) != 0;
    out.from_ += kFragmentHeader;
    const bool too_long = out.position_ + (packet.end - out.from_) > kMaxPacket;
    return too_long ? std::nullopt : std::optional{out};
}

void Fragmenter::stamp(std::uint8_t* ip, std::size_t length, bool last) const {
    const std::size_t position = position_ + offset_;
    if (v6_) {
        store_be16(ip + 4, kFragmentHeader + length);
        store_be16(ip + kHeader6 + 2, position | (last ? 0u : 1u));
    } else {
        store_be16(ip + 2, kHeader4 + length);
        store_be16(ip + 6, position / 8 | (last ? 0u : kMoreFragments));
        set_ipv4_checksum(ip);
    }
}

ByteSpan Fragmenter::next() {
    const std::size_t total = end_ - from_;
    if (offset_ >= total) {
        return {};
    }
    const std::size_t length = std::min(piece_, total - offset_);
    std::uint8_t* start = frame_.data() + from_ + offset_ - header_size_;
    std::copy_n(header_.data(), header_size_, start);
    stamp(start + ip_at_, length, offset_ + length == total && !more_);
    offset_ += length;
    return {start, header_size_ + length};
}

} // namespace weave::dataplane
