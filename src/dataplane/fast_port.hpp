// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/underlay_frame.hpp"
#include "fastpath/socket.hpp"

#include <atomic>
#include <cstdint>

namespace weave::dataplane {

/** Interfaces that are served at the same time. */
inline constexpr std::size_t kMaxFastPorts = 8;

/**
 * One lane's part in an interface: it sends trains by an AF_XDP socket, and receives by it. Made
 * and destroyed while the lane does not run; the socket outlives it. The lane's thread only, but
 * for gone().
 */
class FastPort {
  public:
    /** `port`: of the interface, as FastHop::port; `udp_port`: ours. */
    FastPort(std::uint8_t port, fastpath::Socket& socket, std::uint16_t udp_port);

    [[nodiscard]] std::uint8_t port() const { return port_; }

    [[nodiscard]] fastpath::Socket& socket() { return socket_; }

    /** Datagrams of that size leave whole. */
    [[nodiscard]] static bool fits(const FastHop& hop, const Endpoint& to, std::size_t datagram);

    /**
     * Sends equal-sized datagrams (the last may be shorter), which fit. Where the line is full it
     * waits a little, as a socket's sender does: back-pressure slows the pods down. Returns how
     * many did not go out.
     */
    std::size_t send(const FastHop& hop,
                     const Endpoint& to,
                     std::uint8_t tos,
                     ByteView bytes,
                     std::size_t segment);

    /** A send failed for good: the interface vanished. Any thread. */
    [[nodiscard]] bool gone() const { return gone_.load(); }

  private:
    ByteSpan claim();

    std::uint8_t port_;
    fastpath::Socket& socket_;
    std::uint16_t udp_port_;
    std::atomic<bool> gone_{false};
};

} // namespace weave::dataplane
