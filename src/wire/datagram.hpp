// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "wire/packet.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

/**
 * Handshake datagrams between nodes. Every integer is little-endian and the first byte is the type.
 * Parsers never throw and never read past the view; nullopt means "not a well-formed datagram".
 */
namespace weave::wire {

/** What an unauthenticated refusal says. A hint only: whoever gets one keeps trying, more wisely.
 */
enum class RefusalCode : std::uint8_t {
    version = 1,
    cluster = 2,
    secret = 3,
    unknown_peer = 4,
    suite = 5,
};
inline constexpr std::uint8_t kLastRefusalCode = 5;

inline constexpr std::uint8_t kProtocolVersion = 1;
inline constexpr std::array<std::uint8_t, 4> kMagic{'w', 'v', 'm', '1'};

using ClusterId = std::array<std::uint8_t, 16>;

/** The 32 bytes in clear before every handshake message; the initiator's are the Noise prologue. */
struct ClearHeader {
    static constexpr std::size_t kSize = 32;

    DatagramType type = DatagramType::init;
    std::uint8_t version_min = kProtocolVersion;
    std::uint8_t version_max = kProtocolVersion;
    std::uint8_t suite = 0;
    std::uint32_t sender_index = 0;
    std::uint32_t secret_id = 0;
    ClusterId cluster_id{};

    bool operator==(const ClearHeader&) const = default;
    [[nodiscard]] Bytes encode() const;
    /** Reads the first 32 bytes; nullopt when short or the magic differs. The type is not judged.
     */
    static std::optional<ClearHeader> parse(ByteView bytes);
};

/** A handshake initiation, as views into the datagram. */
struct InitView {
    ClearHeader header;
    ByteView prologue; ///< the header's 32 bytes
    ByteView noise;    ///< message 1
    ByteView before_mac1;
    ByteView mac1;
    ByteView before_mac2;
    ByteView mac2;

    static std::optional<InitView> parse(ByteView datagram);
};

/** A handshake response, as views into the datagram. Its mac2 is reserved and zero: nobody asks for
 * a cookie before a response. */
struct ResponseView {
    ClearHeader header;
    std::uint32_t receiver_index = 0;
    ByteView noise; ///< message 2
    ByteView before_mac1;
    ByteView mac1;

    static std::optional<ResponseView> parse(ByteView datagram);
};

/** What the initiator says inside message 1. Later versions may append fields; unknown ones are
 * skipped. */
struct InitPayload {
    std::uint64_t boot_epoch = 0;
    std::uint64_t handshake_counter = 0;
    std::uint8_t lanes = 1;
    std::uint32_t features = 0;

    bool operator==(const InitPayload&) const = default;
    [[nodiscard]] Bytes encode() const;
    static std::optional<InitPayload> parse(ByteView bytes);
};

/** What the responder says inside message 2. The index repeats the clear header's, to authenticate
 * it. */
struct ResponsePayload {
    std::uint8_t lanes = 1;
    std::uint32_t features = 0;
    std::uint32_t sender_index = 0;

    bool operator==(const ResponsePayload&) const = default;
    [[nodiscard]] Bytes encode() const;
    static std::optional<ResponsePayload> parse(ByteView bytes);
};

/** "Come again with this cookie": sent instead of work while under load. */
struct CookieReply {
    static constexpr std::size_t kSize = 64;

    std::uint32_t receiver_index = 0;
    std::array<std::uint8_t, 24> nonce{};
    std::array<std::uint8_t, 32> sealed{}; ///< XChaCha20-Poly1305 of the 16-byte cookie

    bool operator==(const CookieReply&) const = default;
    [[nodiscard]] Bytes encode() const;
    static std::optional<CookieReply> parse(ByteView datagram);
};

struct Refusal {
    static constexpr std::size_t kSize = 8;

    RefusalCode code = RefusalCode::version;
    std::uint32_t receiver_index = 0;

    bool operator==(const Refusal&) const = default;
    [[nodiscard]] Bytes encode() const;
    static std::optional<Refusal> parse(ByteView datagram);
};

/** The type of a datagram from its first byte; nullopt when empty or unknown. Thread-safe, no
 * allocation. */
std::optional<DatagramType> datagram_type(ByteView datagram);

} // namespace weave::wire
