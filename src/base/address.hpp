// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weave {

/** A 48-bit Ethernet address, in wire order. */
struct MacAddress {
    std::array<std::uint8_t, 6> octets{};

    auto operator<=>(const MacAddress&) const = default;

    /** Broadcast or multicast: the group bit of the first octet. */
    [[nodiscard]] bool is_group() const { return (octets[0] & 1) != 0; }

    /** "02:11:22:33:44:55" */
    [[nodiscard]] std::string text() const;
    static std::optional<MacAddress> parse(std::string_view text);
};

/**
 * An IPv4 or IPv6 address. IPv4 is kept in the first four bytes, the rest zero; an IPv4-mapped IPv6
 * address is folded to IPv4 by from_v6(), so that one host never has two spellings.
 */
class IpAddress {
  public:
    IpAddress() = default;
    static IpAddress v4(const std::array<std::uint8_t, 4>& octets);
    static IpAddress v6(const std::array<std::uint8_t, 16>& octets);
    /** `bytes` holds 4 or 16 bytes in wire order; anything else is nullopt. */
    static std::optional<IpAddress> from_bytes(ByteView bytes);
    static std::optional<IpAddress> parse(std::string_view text);

    auto operator<=>(const IpAddress&) const = default;

    [[nodiscard]] bool is_v4() const { return family_ == 4; }

    [[nodiscard]] bool is_v6() const { return family_ == 6; }

    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_loopback() const;
    /** fe80::/10 or 169.254.0.0/16 */
    [[nodiscard]] bool is_link_local() const;
    [[nodiscard]] bool is_multicast() const;

    /** 4 or 16 bytes in wire order. */
    [[nodiscard]] ByteView bytes() const { return {octets_.data(), is_v4() ? 4u : 16u}; }

    /** 32 or 128 */
    [[nodiscard]] unsigned bits() const { return is_v4() ? 32 : 128; }

    [[nodiscard]] std::string text() const;

  private:
    std::uint8_t family_ = 4;
    std::array<std::uint8_t, 16> octets_{};
};

/** A transport address. Text form: "192.0.2.1:6783", "[2001:db8::1]:6783". */
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const = default;
    [[nodiscard]] std::string text() const;
    /** Accepts "ADDR", "ADDR:PORT", "[V6]:PORT"; a missing port takes `default_port`. No name
     * resolution. */
    static std::optional<Endpoint> parse(std::string_view text, std::uint16_t default_port);
};

/** An address with a prefix length, host bits kept as given. Text form "10.32.0.1/12". */
struct Prefix {
    IpAddress address;
    std::uint8_t length = 0;

    auto operator<=>(const Prefix&) const = default;
    /** The same prefix with host bits zeroed. */
    [[nodiscard]] Prefix network() const;
    [[nodiscard]] bool contains(const IpAddress& other) const;
    [[nodiscard]] bool overlaps(const Prefix& other) const;
    [[nodiscard]] std::string text() const;
    static std::optional<Prefix> parse(std::string_view text);
};

/** Whoever a node is: BLAKE2b-128 of its Ed25519 public key. Never shown where a person reads; see
 * text(). */
struct NodeId {
    std::array<std::uint8_t, 16> octets{};

    bool operator==(const NodeId&) const = default;

    std::strong_ordering operator<=>(const NodeId& other) const {
        return std::memcmp(octets.data(), other.octets.data(), octets.size()) <=> 0;
    }

    /** 32 hexadecimal characters. */
    [[nodiscard]] std::string text() const { return to_hex(octets); }

    /** The first 8 characters of text(): what messages and "name~fingerprint" show. */
    [[nodiscard]] std::string fingerprint() const { return text().substr(0, 8); }
};

/**
 * The first six bytes of a NodeId: what a relay header carries. Two live nodes with one relay
 * address are told apart by full id everywhere else; the mesh reports them.
 */
using RelayAddress = std::array<std::uint8_t, 6>;

inline RelayAddress relay_address(const NodeId& node) {
    RelayAddress out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = node.octets[i];
    }
    return out;
}

} // namespace weave

template <> struct std::hash<weave::NodeId> {
    std::size_t operator()(const weave::NodeId& node) const noexcept;
};

template <> struct std::hash<weave::MacAddress> {
    std::size_t operator()(const weave::MacAddress& mac) const noexcept;
};

template <> struct std::hash<weave::IpAddress> {
    std::size_t operator()(const weave::IpAddress& address) const noexcept;
};

template <> struct std::hash<weave::Endpoint> {
    std::size_t operator()(const weave::Endpoint& endpoint) const noexcept;
};
