// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "dataplane/packet.hpp"

#include <cstdint>
#include <cstring>

/**
 * Internet checksums (RFC 1071). Sums are over 16-bit words in memory order, so a folded sum is
 * stored as it is, without a byte swap, on any machine.
 */
namespace weave::dataplane {

/** The running sum of `bytes` (an odd last byte counts as followed by zero), added to `start`. */
std::uint64_t sum_words(ByteView bytes, std::uint64_t start = 0);

/** A sum folded to 16 bits, not complemented. */
inline std::uint16_t fold(std::uint64_t sum) {
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<std::uint16_t>((sum >> 16) + (sum & 0xffff));
}

/** What a 16-bit number contributes to a sum once it is stored big-endian. */
inline std::uint16_t network_word(std::uint16_t value) {
    return static_cast<std::uint16_t>(value << 8 | value >> 8);
}

/** The pseudo-header's sum without the length: addresses and protocol of an IP packet. */
std::uint64_t pseudo_sum(ByteView frame, const Packet& packet);

/** The folded pseudo-header sum for `length` bytes of TCP or UDP: what a partial checksum field
 * holds. */
inline std::uint16_t partial_checksum(std::uint64_t pseudo, std::size_t length) {
    return fold(pseudo + network_word(static_cast<std::uint16_t>(length)));
}

/** Completes a partial checksum: `start` and `offset` as in a virtio-net header; the caller checked
 * them. */
void finish_checksum(ByteSpan frame, std::size_t start, std::size_t offset);

/** Recomputes the header checksum of an IPv4 packet. */
void set_ipv4_checksum(std::uint8_t* header);

} // namespace weave::dataplane
