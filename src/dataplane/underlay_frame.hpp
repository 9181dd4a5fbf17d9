// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "os/udp_socket.hpp"

#include <cstdint>
#include <optional>

/** Ethernet frames around our datagrams, for where the kernel makes none. */
namespace weave::dataplane {

/** How datagrams to a peer leave by an interface itself: what the kernel's routes and neighbours
 * said. */
struct FastHop {
    static constexpr std::uint8_t kNoPort = 0xff;
    std::uint8_t port = kNoPort; ///< which of the interfaces that are served so; kNoPort: none
    MacAddress from;             ///< of the interface
    MacAddress to;               ///< of the next hop: the peer, or a gateway
    IpAddress source;
    std::uint16_t mtu = 0; ///< of the interface, or less where the route says so

    bool operator==(const FastHop&) const = default;
};

/** Ethernet, IP and UDP headers in front of a datagram to that address. */
inline std::size_t frame_overhead(const IpAddress& to) {
    return to.is_v4() ? 42 : 62;
}

/**
 * Writes the headers of `frame`, whose payload stands behind frame_overhead() bytes already: never
 * fragmented, with a checksum, as kernels join datagrams on their way up only where there is one.
 * `tos`: IPv4 TOS or IPv6 traffic class.
 */
void put_underlay_headers(ByteSpan frame,
                          const FastHop& hop,
                          const Endpoint& to,
                          std::uint16_t source_port,
                          std::uint8_t tos);

/**
 * The datagram in a received frame of the kind that the filter lets through; nullopt for any other.
 * Checksums are not looked at: those of a virtual interface may not be finished, and everything
 * that counts is authenticated.
 */
std::optional<os::Datagram> read_underlay_frame(ByteSpan frame);

} // namespace weave::dataplane
