// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/tap_port.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace weave::dataplane::test {

/** How a test frame looks. Everything that is checksummed is right unless `partial`. */
struct FrameSpec {
    MacAddress from = *MacAddress::parse("02:00:00:00:00:0a");
    MacAddress to = *MacAddress::parse("02:00:00:00:00:0b");
    IpAddress source = *IpAddress::parse("10.32.0.10");
    IpAddress destination = *IpAddress::parse("10.32.0.11");
    std::uint8_t protocol = kProtocolTcp;
    std::uint16_t source_port = 40000;
    std::uint16_t destination_port = 5001;
    std::uint32_t sequence = 1000;
    std::uint32_t acknowledgement = 77;
    std::uint8_t tcp_flags = 0x10;
    std::uint16_t ip_id = 500;
    bool dont_fragment = true;
    std::uint8_t tos = 0;
    bool timestamps = true;
    bool vlan = false;
    /** The transport checksum field holds the pseudo-header sum, as on a TAP with offloads. */
    bool partial = true;
};

/** `count` bytes that differ from offset to offset. */
Bytes pattern(std::size_t count, std::size_t start = 0);
/** An Ethernet frame of TCP or UDP over IPv4 or IPv6 around `payload`. */
Bytes make_frame(const FrameSpec& spec, ByteView payload);
/** A frame that is no IP. */
Bytes make_raw(const MacAddress& from, const MacAddress& to, std::size_t size);

/** What goes over the TAP: header and frame. `gso_size` 0 = no superframe. */
Bytes tap_message(const FrameSpec& spec, ByteView payload, std::uint16_t gso_size);

/**
 * What a kernel would hand to a pod: cuts a TAP message at gso_size in the plain way, completes
 * every checksum, and checks lengths and sums with an arithmetic of its own. Fails the test where
 * one is wrong.
 */
std::vector<Bytes> deliver(ByteView tap_message);

/** The payload of a TCP or UDP frame. */
Bytes payload_of(ByteView frame);

/** True when IPv4 header checksum and TCP or UDP checksum are right: summed byte by byte, by RFC
 * 1071. */
bool checksums_are_right(ByteView frame);

} // namespace weave::dataplane::test
