// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "wire/datagram.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

/**
 * TCP links: every message is a little-endian u16 length and that many bytes. Three handshake
 * messages (the first with a ClearHeader of type control_init before it), then sealed link
 * messages.
 */
namespace weave::wire {

inline constexpr std::size_t kControlLengthSize = 2;
/** No handshake message is longer; anything longer ends the connection. */
inline constexpr std::size_t kMaxControlHandshake = 1024;

/** What each side says about itself, inside handshake messages 2 and 3. Later versions may append
 * fields. */
struct ControlIdentity {
    std::array<std::uint8_t, 32> sign_public{};
    std::array<std::uint8_t, 64> vouch{}; ///< sign_public's signature over the X25519 static key
    std::uint64_t boot_epoch = 0;
    /** The upper half is one process's, see instance_of(); the lower half is one connection's. */
    std::uint64_t nonce = 0;
    std::string name;
    std::uint32_t features = 0;
    std::uint16_t udp_port = 0;

    bool operator==(const ControlIdentity&) const = default;
    [[nodiscard]] Bytes encode() const;
    static std::optional<ControlIdentity> parse(ByteView bytes);
};

/** Which process of a node drew the nonce: two at once under one identity are two machines. */
constexpr std::uint32_t instance_of(std::uint64_t nonce) {
    return static_cast<std::uint32_t>(nonce >> 32);
}

/** `code` as a message body: 0x16, code, two zero bytes. */
Bytes encode_control_refusal(RefusalCode code);
std::optional<RefusalCode> parse_control_refusal(ByteView body);

/** Appends length and body. The body must be shorter than 65536 bytes (asserted). */
void append_control_message(Bytes& out, ByteView body);
/** Takes the first whole message off `rest` and returns its body; nullopt while none is whole. */
std::optional<ByteView> take_control_message(ByteView& rest);

} // namespace weave::wire
