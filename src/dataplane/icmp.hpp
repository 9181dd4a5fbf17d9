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
 * sender. It comes from the destination the sender tried, at the hardware address `from`. `start`
 * is the frame's beginning; as much of it is quoted as the standards allow. nullopt when the frame
 * is not IP, must not be answered (ICMP errors, group addresses, later fragments), or does not
 * parse.
 */
std::optional<Bytes> too_big_answer(ByteView start, std::uint16_t mtu, const MacAddress& from);

} // namespace weave::dataplane
