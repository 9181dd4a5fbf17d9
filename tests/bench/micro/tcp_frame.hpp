// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "dataplane/packet.hpp"

#include <algorithm>

namespace weave::dataplane {

inline constexpr std::size_t kTcpFrameHeader = 14 + 20 + 32;

/** TCP over IPv4 with timestamps, between a pod here and one at the peer. */
inline Bytes tcp_frame(const MacAddress& from, const MacAddress& to, std::size_t payload) {
    Bytes frame(kTcpFrameHeader + payload, 0x5a);
    std::copy(to.octets.begin(), to.octets.end(), frame.begin());
    std::copy(from.octets.begin(), from.octets.end(), frame.begin() + 6);
    std::uint8_t* ip = frame.data() + 14;
    std::fill(frame.begin() + 12, frame.begin() + kTcpFrameHeader, std::uint8_t{0});
    frame[12] = 0x08;
    ip[0] = 0x45;
    store_be16(ip + 2, frame.size() - 14);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = kProtocolTcp;
    ip[12] = ip[16] = 10;
    ip[15] = from.octets[5];
    ip[19] = to.octets[5];
    std::uint8_t* tcp = ip + 20;
    store_be16(tcp, 40000);
    store_be16(tcp + 2, 5001);
    store_be32(tcp + 4, 1000);
    tcp[12] = 0x80;
    tcp[13] = 0x10;
    return frame;
}

} // namespace weave::dataplane
