// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "base/address.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace weave {
namespace {

template <class Number> std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    return value;
}

std::size_t hash_bytes(ByteView bytes) {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

} // namespace

std::string MacAddress::text() const {
    const std::string hex = to_hex(octets);
    std::string out = hex.substr(0, 2);
    for (std::size_t i = 1; i < octets.size(); ++i) {
        out += ':' + hex.substr(2 * i, 2);
    }
    return out;
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    if (text.size() != 17) {
        return std::nullopt;
    }
    std::string hex;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i % 3 == 2) {
            if (text[i] != ':') {
                return std::nullopt;
            }
            continue;
        }
        hex += text[i];
    }
    MacAddress mac;
    if (!from_hex(hex, mac.octets)) {
        return std::nullopt;
    }
    return mac;
}

IpAddress IpAddress::v4(const std::array<std::uint8_t, 4>& octets) {
    IpAddress out;
    std::copy(octets.begin(), octets.end(), out.octets_.begin());
    return out;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& octets) {
    static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(kMapped.begin(), kMapped.end(), octets.begin())) {
        return v4({octets[12], octets[13], octets[14], octets[15]});
    }
    IpAddress out;
    out.family_ = 6;
    out.octets_ = octets;
    return out;
}

std::optional<IpAddress> IpAddress::from_bytes(ByteView bytes) {
    if (bytes.size() == 4) {
        return v4({bytes[0], bytes[1], bytes[2], bytes[3]});
    }
    if (bytes.size() == 16) {
        std::array<std::uint8_t, 16> octets{};
        std::copy(bytes.begin(), bytes.end(), octets.begin());
        return v6(octets);
    }
    return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
        return std::nullopt; // inet_pton would stop there
    }
    const std::string copy{text};
    std::array<std::uint8_t, 4> four{};
    if (inet_pton(AF_INET, copy.c_str(), four.data()) == 1) {
        return v4(four);
    }
    std::array<std::uint8_t, 16> sixteen{};
    if (inet_pton(AF_INET6, copy.c_str(), sixteen.data()) == 1) {
        return v6(sixteen);
    }
    return std::nullopt;
}

bool IpAddress::is_unspecified() const {
    return std::all_of(octets_.begin(), octets_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
    return is_v4() ? octets_[0] == 127 : *this == *parse("::1");
}

bool IpAddress::is_link_local() const {
    return is_v4() ? octets_[0] == 169 && octets_[1] == 254
                   : octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const {
    return is_v4() ? (octets_[0] & 0xf0) == 0xe0 : octets_[0] == 0xff;
}

std::string IpAddress::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    inet_ntop(is_v4() ? AF_INET : AF_INET6, octets_.data(), buffer.data(), buffer.size());
    return buffer.data();
}

std::string Endpoint::text() const {
    const std::string host = address.is_v4() ? address.text() : '[' + address.text() + ']';
    return host + ':' + std::to_string(port);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
    if (const auto bare = IpAddress::parse(text)) {
        return Endpoint{*bare, default_port};
    }
    std::string_view host = text;
    std::uint16_t port = default_port;
    const bool bracketed = text.starts_with('[');
    const auto close = text.rfind(']');
    if (bracketed && close == std::string_view::npos) {
        return std::nullopt;
    }
    const auto colon = text.rfind(':');
    if (colon != std::string_view::npos && (!bracketed || colon > close)) {
        const auto parsed = parse_number<std::uint16_t>(text.substr(colon + 1));
        if (!parsed || *parsed == 0) {
            return std::nullopt;
        }
        port = *parsed;
        host = text.substr(0, colon);
    }
    if (bracketed) {
        if (!host.ends_with(']')) {
            return std::nullopt;
        }
        host = host.substr(1, host.size() - 2);
    }
    const auto address = IpAddress::parse(host);
    if (!address || (address->is_v6() && !bracketed)) {
        return std::nullopt;
    }
    return Endpoint{*address, port};
}

Prefix Prefix::network() const {
    Bytes masked(address.bytes().begin(), address.bytes().end());
    for (unsigned bit = length; bit < address.bits(); ++bit) {
        masked[bit / 8] = static_cast<std::uint8_t>(masked[bit / 8] & ~(0x80u >> (bit % 8)));
    }
    return {*IpAddress::from_bytes(masked), length};
}

bool Prefix::contains(const IpAddress& other) const {
    return other.is_v4() == address.is_v4() &&
           Prefix{other, length}.network().address == network().address;
}

bool Prefix::overlaps(const Prefix& other) const {
    return length <= other.length ? contains(other.address) : other.contains(address);
}

std::string Prefix::text() const {
    return address.text() + '/' + std::to_string(length);
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto address = IpAddress::parse(text.substr(0, slash));
    const auto length = parse_number<std::uint8_t>(text.substr(slash + 1));
    if (!address || !length || *length > address->bits()) {
        return std::nullopt;
    }
    if (address->is_v4() && text.find(':') != std::string_view::npos) {
        return std::nullopt; // an IPv4-mapped address: of which family are the bits?
    }
    return Prefix{*address, *length};
}

} // namespace weave

std::size_t std::hash<weave::NodeId>::operator()(const weave::NodeId& node) const noexcept {
    return weave::hash_bytes(node.octets);
}

std::size_t std::hash<weave::MacAddress>::operator()(const weave::MacAddress& mac) const noexcept {
    return weave::hash_bytes(mac.octets);
}

std::size_t
std::hash<weave::IpAddress>::operator()(const weave::IpAddress& address) const noexcept {
    return weave::hash_bytes(address.bytes());
}

std::size_t std::hash<weave::Endpoint>::operator()(const weave::Endpoint& endpoint) const noexcept {
    return std::hash<weave::IpAddress>{}(endpoint.address) * 31 + endpoint.port;
}
