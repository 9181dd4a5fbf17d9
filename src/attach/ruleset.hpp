// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weave::attach {

struct FirewallSettings {
    /** The name of our tables. Routers that share a host need different ones. */
    std::string table = "weave";
    std::string bridge = "weave";
    /** What the host ends of pods' links begin with. */
    std::string port_prefix = "wv";
    /** Where pods' addresses are from, both families. */
    std::vector<Prefix> ranges;
    /** What leaves the ranges has the host's source address. Takes connection tracking, which,
     * where br_netfilter is loaded, sees all that passes between pods as well. */
    bool masquerade = true;
};

/** What may come out of one pod's link. */
struct PortRules {
    /** Begins with FirewallSettings::port_prefix. */
    std::string host_ifname;
    /** The pod's own. */
    MacAddress mac;
    /** The pod's own. Link-local IPv6 addresses are allowed to every pod. */
    std::vector<IpAddress> addresses;

    bool operator==(const PortRules&) const = default;
};

/** Why a pod's packet was dropped; the numbers index PortDrops. */
enum class PortDrop : std::uint8_t {
    spoofed_mac,          ///< an Ethernet source that is not the pod's
    spoofed_arp,          ///< an ARP sender, or the target of a neighbour advertisement, of others
    spoofed_source,       ///< an IP source that is not the pod's, or hidden in two VLAN tags
    router_advertisement, ///< a router advertisement or an ICMP redirect
    dhcp_server,          ///< an answer as of a DHCP server, either family
};

inline constexpr std::size_t kPortDrops = 5;

/** As `weavectl status drops` and the nftables counters call it. */
const char* name_of(PortDrop reason);
/** The same for a person. */
const char* text_of(PortDrop reason);

struct DropCount {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;

    bool operator==(const DropCount&) const = default;
};

using PortDrops = std::array<DropCount, kPortDrops>;

// Commands in the language of nft(8), without any input or output.

/** A sentence why the settings cannot be used; empty when they can. */
std::string check_firewall(const FirewallSettings& settings);

/** Whether all is well with a name that is to stand between quotes. */
bool is_plain_name(const std::string& name);

/** The families our tables are in: "bridge", "inet", "arp". */
inline constexpr std::array<const char*, 3> kTableFamilies{"bridge", "inet", "arp"};

/**
 * All tables, whatever was there before. `counted` is what the counters of the inet table begin
 * with; those of the others begin with 0.
 */
std::string ruleset_text(const FirewallSettings& settings,
                         const std::vector<PortRules>& ports,
                         const PortDrops& counted);

/**
 * What `nft list table` prints of our tables, taken apart: all that does not change with the ports,
 * and the elements of the sets that do, as "FAMILY SET ELEMENT".
 */
struct Listing {
    std::string skeleton;
    std::set<std::string> elements;

    bool operator==(const Listing&) const = default;
};

/** Adds one table's. */
void take_apart(const std::string& family, std::string_view listing, Listing& into);

/** Listing::elements of these ports. */
std::set<std::string> expected_elements(const std::vector<PortRules>& ports);

/** What turns the rules of one port into others; a port without a name is none. */
std::string port_text(const FirewallSettings& settings, const PortRules& old, const PortRules& now);

/** Removes our tables, there or not. */
std::string removal_text(const FirewallSettings& settings);

} // namespace weave::attach
