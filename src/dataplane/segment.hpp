// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "dataplane/packet.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace weave::dataplane {

/**
 * Cuts a TCP or UDP superframe into frames that each stand alone, lazily and in place: the header
 * is stamped directly in front of each piece of payload, over the tail of the piece before it. So
 * use up one frame before asking for the next.
 *
 * TCP: sequence number, IPv4 id, lengths and IPv4 header checksum of each; FIN and PSH on the last
 * only, CWR on the first only. The transport checksum field gets the folded pseudo-header sum.
 */
class Segmenter {
  public:
    /** `piece` = payload bytes of each frame but the last. nullopt when the headers are too long.
     */
    static std::optional<Segmenter> create(ByteSpan frame, const Packet& packet, std::size_t piece);

    /** The next frame; empty at the end. The bytes in front of it (4 at least) may be overwritten
     * too. */
    ByteSpan next();

    /** Offset of the transport header: where finish_checksum() starts. */
    [[nodiscard]] const Packet& packet() const { return packet_; }

  private:
    static constexpr std::size_t kMaxHeader = 256;

    Segmenter(ByteSpan frame, const Packet& packet, std::size_t piece);
    /** What depends on a piece's length goes into the header that all are copied from. */
    void set_length(std::size_t length);
    void stamp(std::uint8_t* header, bool last) const;

    ByteSpan frame_;
    Packet packet_;
    std::size_t piece_;
    std::size_t length_ = 0; ///< that header_ is made for
    std::size_t offset_ = 0; ///< into the payload
    std::uint16_t index_ = 0;
    std::array<std::uint8_t, kMaxHeader> header_;
    std::uint64_t ip_sum_ = 0; ///< IPv4 header without id and checksum
    std::uint64_t pseudo_ = 0;
    std::uint32_t sequence_ = 0;
    std::uint16_t ip_id_ = 0;
    std::uint8_t tcp_flags_ = 0;
};

/**
 * Fragments an IP frame in place, the same way; each fragment's packet has at most `mtu` bytes. The
 * transport checksum must be complete. IPv4: nullopt when the packet may not be fragmented (DF),
 * has options, is not whole, or is a fragment of one that would be too long. IPv6, whose senders
 * fragment themselves: for packets of at most 1280 bytes, which every one may send, without
 * extension headers but a fragment's. Their headers grow: the 12 bytes in front of the frame are
 * overwritten.
 */
class Fragmenter {
  public:
    /** `id` tells an IPv6 packet's fragments from those of others. */
    static std::optional<Fragmenter>
    create(ByteSpan frame, const Packet& packet, std::size_t mtu, std::uint32_t id);
    ByteSpan next();

  private:
    Fragmenter(ByteSpan frame, const Packet& packet);
    static std::optional<Fragmenter>
    create_v6(ByteSpan frame, const Packet& packet, std::size_t mtu, std::uint32_t id);
    void stamp(std::uint8_t* ip, std::size_t length, bool last) const;

    ByteSpan frame_;
    bool v6_;
    std::size_t ip_at_;
    std::size_t header_size_; ///< of each fragment
    std::size_t from_;        ///< where what is cut begins
    std::size_t end_;
    std::size_t piece_ = 0;
    std::size_t offset_ = 0;
    std::size_t position_ = 0; ///< of the first piece in the whole packet, in bytes
    bool more_ = false;        ///< it is not the packet's last fragment
    std::array<std::uint8_t, 80> header_;
};

} // namespace weave::dataplane
