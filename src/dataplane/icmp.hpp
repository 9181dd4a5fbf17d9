// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"

#include <cstdint>
#include <optional>

namespace weave::dataplane {

/**
 * The answer to a frame that does not fit: an Ethernet frame with an ICMPv4 "fragmentation needed"
 * or an ICMPv6 "packet too big" that reports `mtu` (bytes of IP packet), addressed to the frame's
 * sender. It comes from `router_ip` when given (same family), else from the destination the sender
 * tried. `start` is the frame's beginning; as much of it is quoted as the standards allow. nullopt
 * when the frame is not IP, must not be answered (ICMP errors, group addresses, later fragments),
 * or does not parse.
 */
std::optional<Bytes> too_big_answer(ByteView start,
                                    std::uint16_t mtu,
                                    const MacAddress& router_mac,
                                    const std::optional<IpAddress>& router_ip);

} // namespace weave::dataplane
