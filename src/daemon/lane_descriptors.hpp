// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "os/fd.hpp"
#include "os/tap.hpp"
#include "os/udp_socket.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace weave::daemon {

/** What is open in the kernel for the lanes. */
struct LaneDescriptors {
    os::Tap tap;
    std::vector<os::UdpSocket> udp4;
    std::vector<os::UdpSocket> udp6;
};

/** What another process must know of them beside the descriptors. */
struct LaneShape {
    bool tap_tso = false;
    bool tap_uso = false;
    std::uint32_t tap_queues = 0;
    std::uint32_t udp4 = 0;
    std::uint32_t udp6 = 0;

    [[nodiscard]] std::size_t descriptors() const { return std::size_t{tap_queues} + udp4 + udp6; }

    bool operator==(const LaneShape&) const = default;
};

struct LaneSockets {
    std::uint16_t port = 0;
    /** At most one address of each family; empty: all addresses of both. */
    std::vector<IpAddress> listen;
};

/** Binds a socket of each family for each queue. `paired`: every second lane is for sparse flows.
 * Throws std::system_error with a sentence. */
LaneDescriptors open_sockets(const LaneSockets& settings, os::Tap tap, bool paired);

/** Has the kernel sort frames to the TAP's queues in pairs, the second of each for sparse flows
 * (see fastpath/steering.hpp). False, and logged: it does not. */
bool sort_queues(const os::Tap& tap);

LaneShape shape_of(const LaneDescriptors& open);

/** The descriptors in the order in which assemble() takes them: TAP queues, IPv4, IPv6. */
std::vector<int> raw_descriptors(const LaneDescriptors& open);

/** Of exactly shape.descriptors() descriptors, which are moved from. Throws std::system_error when
 * one is not what the shape says. */
LaneDescriptors assemble(const LaneShape& shape, std::span<os::UniqueFd> fds);

} // namespace weave::daemon
