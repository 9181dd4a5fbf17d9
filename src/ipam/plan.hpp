// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "ipam/ring.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weave::ipam {

/**
 * Which addresses stand behind a place of the range: the same offset in the IPv4 range and, where
 * there is one, in an IPv6 range of the same size. Immutable.
 */
class Plan {
  public:
    /**
     * Host bits are ignored. Throws std::invalid_argument with a sentence when the IPv4 range has
     * fewer than 4 or more than 2^24 addresses, or the subnet is not in it.
     */
    Plan(const Prefix& range, const std::optional<Prefix>& default_subnet);
    /** Adds the IPv6 range that begins at the address. */
    void add_v6(const IpAddress& first);

    [[nodiscard]] const Prefix& range() const { return v4_; }

    [[nodiscard]] const std::optional<Prefix>& range6() const { return v6_; }

    [[nodiscard]] Run default_subnet() const { return default_; }

    /** The default subnet in each family. */
    [[nodiscard]] std::vector<Prefix> subnets() const { return prefixes(default_); }

    /** nullopt when it is in neither range. */
    [[nodiscard]] std::optional<Index> place_of(const IpAddress& address) const;
    /** nullopt when it is not all in one of the ranges. */
    [[nodiscard]] std::optional<Run> places_of(const Prefix& subnet) const;
    /** One address of each family, with the prefix length of the subnet. */
    [[nodiscard]] std::vector<Prefix> addresses(Index place, const Run& subnet) const;
    /** The IPv4 address. */
    [[nodiscard]] IpAddress address(Index place) const;
    /** Of an aligned run whose size is a power of two. */
    [[nodiscard]] std::vector<Prefix> prefixes(const Run& subnet) const;

  private:
    Prefix v4_;
    std::optional<Prefix> v6_;
    Run default_;
};

/** How a person or a program asks for an address; see parse_request(). */
struct Request {
    enum class Kind : std::uint8_t {
        any,   ///< "net:default", "net:10.40.0.0/16": one of a subnet, in each family
        place, ///< "ip:10.32.0.5", "ip:10.32.0.5/12": this one, and its partner of the other family
        fixed, ///< "10.32.0.5/12": this very address
    };
    Kind kind = Kind::any;
    /** any: the subnet, nullopt for the default one; place: all bits when no length was given. */
    std::optional<Prefix> prefix;

    bool operator==(const Request&) const = default;
};

/** nullopt when it is none of these. */
std::optional<Request> parse_request(std::string_view text);

} // namespace weave::ipam
