// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

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

LaneShape shape_of(const LaneDescriptors& open);

/** The descriptors in the order in which assemble() takes them: TAP queues, IPv4, IPv6. */
std::vector<int> raw_descriptors(const LaneDescriptors& open);

/** Of exactly shape.descriptors() descriptors, which are moved from. Throws std::system_error when
 * one is not what the shape says. */
LaneDescriptors assemble(const LaneShape& shape, std::span<os::UniqueFd> fds);

} // namespace weave::daemon
