// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "dataplane/packet.hpp"

#include <cstdint>
#include <optional>

/**
 * DSCP and ECN between a frame's IP header and the underlay's: RFC 2983 (uniform model) and RFC
 * 6040. Both are one octet, the TOS of IPv4 or traffic class of IPv6: six bits of DSCP, two of ECN.
 * Pure functions.
 */
namespace weave::dataplane {

enum class Ecn : std::uint8_t { not_capable = 0, capable_1 = 1, capable_0 = 2, congested = 3 };

inline constexpr std::uint8_t kEcnBits = 3;

constexpr Ecn ecn_of(std::uint8_t marks) {
    return static_cast<Ecn>(marks & kEcnBits);
}

constexpr std::uint8_t with_ecn(std::uint8_t marks, Ecn ecn) {
    return static_cast<std::uint8_t>((marks & ~kEcnBits) | static_cast<std::uint8_t>(ecn));
}

/** The octet of a frame; 0 for what is not IP. */
inline std::uint8_t marks_of(ByteView frame, const Packet& packet) {
    if (packet.version == 4) {
        return frame[packet.l3 + 1u];
    }
    return packet.version == 6 ? static_cast<std::uint8_t>(load_be16(&frame[packet.l3]) >> 4) : 0;
}

/** What goes from a header to the one around it, or to the next hop's. */
struct MarksKept {
    bool dscp = true;
    bool ecn = true;
};

/** The outer octet for an inner one. Without ECN it is RFC 6040's compatibility mode. */
constexpr std::uint8_t outer_marks(std::uint8_t inner, MarksKept keep) {
    return static_cast<std::uint8_t>(inner & ((keep.dscp ? 0xfc : 0) | (keep.ecn ? kEcnBits : 0)));
}

/** RFC 6040, figure 4: what the frame bears once it is taken out; nullopt: it is dropped, as its
 * sender cannot be told. */
constexpr std::optional<Ecn> taken_out(Ecn inner, Ecn outer) {
    if (inner == Ecn::not_capable) {
        return outer == Ecn::congested ? std::nullopt : std::optional{inner};
    }
    if (inner == Ecn::congested || outer == Ecn::congested) {
        return Ecn::congested;
    }
    return outer == Ecn::capable_1 ? outer : inner;
}

/** Gives a frame of IP the ECN field; IPv4's header checksum goes along (RFC 1624). */
void set_ecn(ByteSpan frame, const Packet& packet, Ecn ecn);

} // namespace weave::dataplane
