// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/underlay_frame.hpp"

#include "dataplane/checksum.hpp"

#include <algorithm>

namespace weave::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kUdp = 8;
constexpr std::uint8_t kHops = 64;

void put16(std::uint8_t* at, std::size_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}

std::size_t get16(const std::uint8_t* at) {
    return static_cast<std::size_t>(at[0]) << 8 | at[1];
}

void put_ipv4(std::uint8_t* ip, std::size_t udp_size, std::uint8_t tos) {
    ip[0] = 0x45;
    ip[1] = tos;
    put16(ip + 2, kIpv4 + udp_size);
    put16(ip + 4, 0); // of what is never fragmented, the identification means nothing (RFC 6864)
    put16(ip + 6, 0x4000);
    ip[8] = kHops;
    ip[9] = kProtocolUdp;
}

void put_ipv6(std::uint8_t* ip, std::size_t udp_size, std::uint8_t tos) {
    ip[0] = static_cast<std::uint8_t>(0x60 | tos >> 4);
    ip[1] = static_cast<std::uint8_t>(tos << 4);
    put16(ip + 2, 0);
    put16(ip + 4, udp_size);
    ip[6] = kProtocolUdp;
    ip[7] = kHops;
}

} // namespace

void put_underlay_headers(ByteSpan frame,
                          const FastHop& hop,
                          const Endpoint& to,
                          std::uint16_t source_port,
                          std::uint8_t tos) {
    const bool v4 = to.address.is_v4();
    std::uint8_t* out = frame.data();
    std::copy(hop.to.octets.begin(), hop.to.octets.end(), out);
    std::copy(hop.from.octets.begin(), hop.from.octets.end(), out + 6);
    put16(out + 12, v4 ? 0x0800 : 0x86dd);
    std::uint8_t* ip = out + kEthernet;
    const std::size_t udp_at = kEthernet + (v4 ? kIpv4 : kIpv6);
    const std::size_t udp_size = frame.size() - udp_at;
    v4 ? put_ipv4(ip, udp_size, tos) : put_ipv6(ip, udp_size, tos);
    std::uint8_t* addresses = ip + (v4 ? 12 : 8);
    const std::size_t address_size = v4 ? 4 : 16;
    std::copy_n(hop.source.bytes().begin(), address_size, addresses);
    std::copy_n(to.address.bytes().begin(), address_size, addresses + address_size);
    std::uint8_t* udp = out + udp_at;
    put16(udp, source_port);
    put16(udp + 2, to.port);
    put16(udp + 4, udp_size);
    const std::uint64_t pseudo =
        sum_words({addresses, 2 * address_size}, network_word(kProtocolUdp));
    const std::uint16_t partial = partial_checksum(pseudo, udp_size);
    std::memcpy(udp + 6, &partial, sizeof partial);
    finish_checksum(frame, udp_at, 6);
    if (v4) {
        set_ipv4_checksum(ip);
    }
}

std::optional<os::Datagram> read_underlay_frame(ByteSpan frame) {
    if (frame.size() < kEthernet + kIpv4 + kUdp) {
        return std::nullopt;
    }
    const std::size_t type = get16(frame.data() + 12);
    const bool v4 = type == 0x0800;
    const std::size_t udp_at = kEthernet + (v4 ? kIpv4 : kIpv6);
    if ((!v4 && type != 0x86dd) || frame.size() < udp_at + kUdp) {
        return std::nullopt;
    }
    const std::uint8_t* ip = frame.data() + kEthernet;
    const std::size_t size = get16(frame.data() + udp_at + 4);
    if ((v4 ? ip[0] != 0x45 : ip[0] >> 4 != 6) || ip[v4 ? 9 : 6] != kProtocolUdp || size < kUdp ||
        size > frame.size() - udp_at) {
        return std::nullopt;
    }
    const std::size_t address_size = v4 ? 4 : 16;
    const std::uint8_t* addresses = ip + (v4 ? 12 : 8);
    os::Datagram out;
    out.from = {*IpAddress::from_bytes({addresses, address_size}),
                static_cast<std::uint16_t>(get16(frame.data() + udp_at))};
    out.local = *IpAddress::from_bytes({addresses + address_size, address_size});
    out.bytes = frame.subspan(udp_at + kUdp, size - kUdp);
    out.segment_size = static_cast<std::uint16_t>(out.bytes.size());
    out.tos = v4 ? ip[1] : static_cast<std::uint8_t>(ip[0] << 4 | ip[1] >> 4);
    return out;
}

} // namespace weave::dataplane
