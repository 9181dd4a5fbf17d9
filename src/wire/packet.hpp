// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

/**
 * Data and relay datagrams, at fixed offsets: the packet path. Nothing here allocates, and callers
 * have checked sizes (is_data, is_relay) before they read. Every integer is little-endian.
 */
namespace weave::wire {

enum class DatagramType : std::uint8_t {
    init = 1,
    response = 2,
    cookie = 3,
    data = 4,
    relay = 5,
    refusal = 6,
    /** The first message of a TCP link starts with the same clear header under these types. */
    control_init = 0x11,
    control_refusal = 0x16,
};

/** The low bits of a receiver index name the sender's lane; sessions have these bits zero. */
inline constexpr std::uint32_t kLaneMask = 63;
inline constexpr unsigned kMaxLanes = 64;

inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kMacSize = 16;

inline constexpr std::size_t kDataHeaderSize = 16;
inline constexpr std::size_t kDataOverhead = kDataHeaderSize + kTagSize;
inline constexpr std::size_t kDataReceiverOffset = 4;
inline constexpr std::size_t kDataCounterOffset = 8;

inline constexpr std::size_t kRelayHeaderSize = 30;
inline constexpr std::size_t kRelayOverhead = kRelayHeaderSize + kTagSize;
inline constexpr std::size_t kRelayTtlOffset = 1;
inline constexpr std::size_t kRelayDestinationOffset = 16;
inline constexpr std::size_t kRelaySourceOffset = 22;
/** Hops a relayed datagram may take; the first hop writes it. */
inline constexpr std::uint8_t kRelayTtl = 8;

/** IP packets of this size pass on nearly every underlay (RFC 8200), and of the least on every one
 * (RFC 791): where a path goes, in this order, when the size in use fails. */
inline constexpr std::uint16_t kBaseMtu = 1280;
inline constexpr std::uint16_t kLeastMtu = 576;

inline std::uint16_t load_u16(const std::uint8_t* at) {
    return static_cast<std::uint16_t>(at[0] | (at[1] << 8));
}

inline std::uint32_t load_u32(const std::uint8_t* at) {
    return std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 |
           std::uint32_t{at[3]} << 24;
}

inline std::uint64_t load_u64(const std::uint8_t* at) {
    return std::uint64_t{load_u32(at)} | std::uint64_t{load_u32(at + 4)} << 32;
}

inline void store_u16(std::uint8_t* at, std::uint16_t value) {
    at[0] = static_cast<std::uint8_t>(value);
    at[1] = static_cast<std::uint8_t>(value >> 8);
}

inline void store_u32(std::uint8_t* at, std::uint32_t value) {
    store_u16(at, static_cast<std::uint16_t>(value));
    store_u16(at + 2, static_cast<std::uint16_t>(value >> 16));
}

inline void store_u64(std::uint8_t* at, std::uint64_t value) {
    store_u32(at, static_cast<std::uint32_t>(value));
    store_u32(at + 4, static_cast<std::uint32_t>(value >> 32));
}

/** Writes the 16-byte header of a data datagram; sealing stores the counter. */
inline void put_data_header(std::uint8_t* out, std::uint32_t receiver, unsigned lane) {
    std::memset(out, 0, kDataHeaderSize);
    out[0] = static_cast<std::uint8_t>(DatagramType::data);
    store_u32(out + kDataReceiverOffset, receiver | lane);
}

/** Writes the 30-byte header of a relay datagram; sealing stores the counter. */
inline void put_relay_header(std::uint8_t* out,
                             std::uint32_t receiver,
                             unsigned lane,
                             std::uint8_t ttl,
                             const RelayAddress& destination,
                             const RelayAddress& source) {
    std::memset(out, 0, kRelayHeaderSize);
    out[0] = static_cast<std::uint8_t>(DatagramType::relay);
    out[kRelayTtlOffset] = ttl;
    store_u32(out + kDataReceiverOffset, receiver | lane);
    std::memcpy(out + kRelayDestinationOffset, destination.data(), destination.size());
    std::memcpy(out + kRelaySourceOffset, source.data(), source.size());
}

/** Well-formed as type 4: long enough, reserved bytes zero. Flags are ignored: none is defined. */
inline bool is_data(ByteView datagram) {
    return datagram.size() >= kDataOverhead && datagram[0] == 4 && datagram[2] == 0 &&
           datagram[3] == 0;
}

/** Well-formed as type 5, with at least one byte inside. */
inline bool is_relay(ByteView datagram) {
    return datagram.size() > kRelayOverhead && datagram[0] == 5 && datagram[2] == 0 &&
           datagram[3] == 0 && datagram[28] == 0 && datagram[29] == 0;
}

/** Of types 4 and 5. */
inline std::uint32_t data_receiver(ByteView datagram) {
    return load_u32(datagram.data() + kDataReceiverOffset);
}

inline std::uint32_t session_of(std::uint32_t receiver) {
    return receiver & ~kLaneMask;
}

inline unsigned lane_of(std::uint32_t receiver) {
    return receiver & kLaneMask;
}

inline std::uint64_t data_counter(ByteView datagram) {
    return load_u64(datagram.data() + kDataCounterOffset);
}

inline std::uint8_t relay_ttl(ByteView datagram) {
    return datagram[kRelayTtlOffset];
}

inline RelayAddress relay_destination(ByteView datagram) {
    RelayAddress out;
    std::memcpy(out.data(), datagram.data() + kRelayDestinationOffset, out.size());
    return out;
}

inline RelayAddress relay_source(ByteView datagram) {
    RelayAddress out;
    std::memcpy(out.data(), datagram.data() + kRelaySourceOffset, out.size());
    return out;
}

/** The datagram inside a relay datagram. */
inline ByteView relay_inner(ByteView datagram) {
    return datagram.subspan(kRelayHeaderSize, datagram.size() - kRelayOverhead);
}

/** What a data datagram's plaintext is made of. */
enum class RecordKind : std::uint8_t {
    frame = 1,
    probe = 2,
    probe_ack = 3,
    padding = 4,
    close = 5
};

/** Frame flag: the L4 checksum field holds the folded pseudo-header sum; the receiver's kernel
 * completes it. */
inline constexpr std::uint8_t kNeedsChecksum = 1;

/**
 * What a node can take, told to its peers in every handshake: whoever lacks a bit is sent nothing
 * that needs it. Bits that are not known are ignored.
 */
using Features = std::uint32_t;
/** Frames with kNeedsChecksum. */
inline constexpr Features kPartialChecksums = 1;
/** ECN in the underlay's headers: a mark reaches the frame inside, or the next hop. */
inline constexpr Features kCongestionMarks = 2;
inline constexpr Features kOwnFeatures = kPartialChecksums | kCongestionMarks;

inline constexpr std::size_t kRecordHeaderSize = 4;
inline constexpr std::size_t kProbeBodySize = 8;
inline constexpr std::size_t kProbeAckBodySize = 10;

inline void
put_record_header(std::uint8_t* out, RecordKind kind, std::uint8_t flags, std::uint16_t length) {
    out[0] = static_cast<std::uint8_t>(kind);
    out[1] = flags;
    store_u16(out + 2, length);
}

/** One record inside a plaintext. The kind is as received: it may be none of RecordKind's. */
struct RecordSpan {
    std::uint8_t kind = 0;
    std::uint8_t flags = 0;
    ByteSpan body;
};

/** Walks the records of a plaintext. A record that overruns ends the walk with malformed() set. */
class RecordWalker {
  public:
    explicit RecordWalker(ByteSpan plaintext)
        : left_(plaintext) {}

    /** False at the end. */
    bool next(RecordSpan& out) {
        if (left_.empty()) {
            return false;
        }
        if (left_.size() < kRecordHeaderSize ||
            left_.size() - kRecordHeaderSize < load_u16(left_.data() + 2)) {
            malformed_ = true;
            left_ = {};
            return false;
        }
        const std::size_t length = load_u16(left_.data() + 2);
        out = {left_[0], left_[1], left_.subspan(kRecordHeaderSize, length)};
        left_ = left_.subspan(kRecordHeaderSize + length);
        return true;
    }

    [[nodiscard]] bool malformed() const { return malformed_; }

  private:
    ByteSpan left_;
    bool malformed_ = false;
};

} // namespace weave::wire
