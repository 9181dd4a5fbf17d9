// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/ruleset.hpp"

#include "attach/host.hpp"
#include "base/bytes.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace weave::attach {
namespace {

/** The elements of each set, sorted: one spelling of one ruleset. */
using Elements = std::map<std::string_view, std::set<std::string>>;

struct SetType {
    const char* name;
    const char* type;
    bool arp; ///< the arp table has it as well
};

// `targets` holds the same addresses as `addresses6`: nft 1.0.6 knows the target of a neighbour
// advertisement only as 128 raw bits, and a set has one type. The port's MAC stands beside each
// address, behind it (in front, nft would look at the Ethernet type as well), so that one look-up
// answers for both.
constexpr std::array<SetType, 5> kSets{{
    {"ports", "type ifname", true},
    {"macs", "type ifname . ether_addr", true},
    {"addresses4", "type ifname . ipv4_addr . ether_addr", true},
    {"addresses6", "type ifname . ipv6_addr . ether_addr", false},
    {"targets", "typeof iifname . @th,64,128", false},
}};

// Bits 64 to 191 of a neighbour solicitation or advertisement are its target, RFC 4861.
// 224.0.0.0/4 and ff00::/8 are nobody's sources, so no set holds them.
constexpr const char* kIpRules = R"(
    chain pod_ip4 {
        udp sport 67 udp dport 68 counter name dhcp_server drop
        icmp type redirect counter name router_advertisement drop
        iifname . ip saddr . ether saddr @addresses4 accept
        ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
        ip saddr 0.0.0.0 ip protocol igmp accept
        counter name spoofed_source drop
    }
    chain pod_ip6 {
        icmpv6 type { nd-router-advert, nd-redirect } counter name router_advertisement drop
        udp sport 547 udp dport 546 counter name dhcp_server drop
        icmpv6 type nd-neighbor-advert goto pod_target
        ip6 saddr :: goto pod_unspecified
        goto pod_source6
    }
    chain pod_target {
        iifname . @th,64,128 @targets goto pod_source6
        @th,64,16 & 0xffc0 == 0xfe80 goto pod_source6
        counter name spoofed_arp drop
    }
    chain pod_source6 {
        ip6 saddr fe80::/10 accept
        iifname . ip6 saddr . ether saddr @addresses6 accept
        counter name spoofed_source drop
    }
    chain pod_unspecified {
        icmpv6 type { nd-router-solicit, mld-listener-report, mld2-listener-report } accept
        icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @targets accept
        icmpv6 type nd-neighbor-solicit @th,64,16 & 0xffc0 == 0xfe80 accept
        counter name spoofed_source drop
    }
)";

constexpr const char* kArpRules = R"(
    chain pod_arp {
        arp htype 1 arp ptype ip arp hlen 6 arp plen 4 iifname . arp saddr ether @macs goto pod_sender
        counter name spoofed_arp drop
    }
    chain pod_sender {
        iifname . arp saddr ip . arp saddr ether @addresses4 accept
        arp saddr ip 0.0.0.0 accept
        counter name spoofed_arp drop
    }
)";

constexpr const char* kBridgeRules = R"(
    chain pod {
        meta protocol vmap { arp : goto pod_arp, ip : goto pod_ip4, ip6 : goto pod_ip6 }
        meta protocol { 8021q, 8021ad } counter name spoofed_source drop
    }
)";

constexpr const char* kInetRules = R"(
    chain pod {
        meta protocol vmap { ip : goto pod_ip4, ip6 : goto pod_ip6 }
    }
)";

// Most of what pods send. Nothing that the other rules drop for more than its source is TCP.
constexpr const char* kOwnTcp = R"(
        meta l4proto tcp iifname . ip saddr . ether saddr @addresses4 accept
        meta l4proto tcp iifname . ip6 saddr . ether saddr @addresses6 accept)";

std::string quoted(const std::string& name) {
    return '"' + name + '"';
}

Elements elements_of(const std::vector<PortRules>& ports) {
    Elements out;
    for (const PortRules& port : ports) {
        if (port.host_ifname.empty()) {
            continue;
        }
        const std::string name = quoted(port.host_ifname);
        out["ports"].insert(name);
        out["macs"].insert(name + " . " + port.mac.text());
        for (const IpAddress& address : port.addresses) {
            if (address.is_unspecified()) {
                continue; // nobody's
            }
            out[address.is_v4() ? "addresses4" : "addresses6"].insert(
                name + " . " + address.text() + " . " + port.mac.text());
            if (address.is_v6()) {
                const std::string digits = to_hex(address.bytes());
                // As nft prints a number.
                out["targets"].insert(name + " . 0x" +
                                      digits.substr(digits.find_first_not_of('0')));
            }
        }
    }
    return out;
}

bool is_in(const char* family, const SetType& set) {
    return set.arp || std::string_view{"arp"} != family;
}

std::string join(const std::set<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) {
        out += (out.empty() ? "" : ", ") + part;
    }
    return out;
}

/**
 * Where packets come in: before connection tracking (-200), and in the bridge before br_netfilter
 * (0). Comparing the first letters of the interface's name costs less than a look-up, and is all
 * that most interfaces need. `own` accepts what needs no other rule, the chain `pod` judges the
 * rest that has the MAC of its port.
 */
std::string
base_chain(const FirewallSettings& settings, const char* hook, const char* own, const char* pod) {
    return std::string{"    chain "} + hook + " {\n        type filter hook " + hook +
           " priority -350; policy accept;\n        iifname != " +
           quoted(settings.port_prefix + '*') + " accept" + own +
           "\n        iifname . ether saddr @macs goto " + pod +
           "\n        iifname @ports counter name spoofed_mac drop\n    }\n";
}

std::string sets_text(bool arp, const Elements& elements) {
    std::string out;
    for (const SetType& set : kSets) {
        if (arp && !set.arp) {
            continue;
        }
        out += std::string{"    set "} + set.name + " { " + set.type + ';';
        if (const auto found = elements.find(set.name); found != elements.end()) {
            out += " elements = { " + join(found->second) + " };";
        }
        out += " }\n";
    }
    return out;
}

std::string counters_text(const PortDrops& counted) {
    std::string out;
    for (std::size_t i = 0; i < kPortDrops; ++i) {
        out += std::string{"    counter "} + name_of(static_cast<PortDrop>(i)) + " { packets " +
               std::to_string(counted[i].packets) + " bytes " + std::to_string(counted[i].bytes) +
               " }\n";
    }
    return out;
}

/**
 * What leaves our interfaces for anywhere else has the host's address. Between pods nothing is
 * translated, nor what comes from outside. Random source ports: two connections at once would
 * else race for one port, and the second one's packet is lost (5 s for a DNS question).
 */
std::string masquerade_text(const FirewallSettings& settings) {
    std::set<std::string> ranges4;
    std::set<std::string> ranges6;
    for (const Prefix& range : settings.ranges) {
        (range.address.is_v6() ? ranges6 : ranges4).insert(range.network().text());
    }
    if (!settings.masquerade || (ranges4.empty() && ranges6.empty())) {
        return {};
    }
    std::string rules;
    std::string sets;
    if (!ranges4.empty()) {
        sets += "    set ranges4 { type ipv4_addr; flags interval; auto-merge; elements = { " +
                join(ranges4) + " }; }\n";
        rules += "        ip saddr @ranges4 ip daddr != @ranges4 ip daddr != 224.0.0.0/4 "
                 "masquerade fully-random\n";
    }
    if (!ranges6.empty()) {
        sets += "    set ranges6 { type ipv6_addr; flags interval; auto-merge; elements = { " +
                join(ranges6) + " }; }\n";
        rules += "        ip6 saddr @ranges6 ip6 daddr != @ranges6 ip6 daddr != ff00::/8 "
                 "masquerade fully-random\n";
    }
    return sets +
           "    chain postrouting {\n"
           "        type nat hook postrouting priority srcnat; policy accept;\n"
           "        oifname " +
           quoted(settings.bridge) + " accept\n        oifname " +
           quoted(settings.port_prefix + '*') + " accept\n" + rules + "    }\n";
}

} // namespace

const char* name_of(PortDrop reason) {
    switch (reason) {
    case PortDrop::spoofed_mac:
        return "spoofed_mac";
    case PortDrop::spoofed_arp:
        return "spoofed_arp";
    case PortDrop::spoofed_source:
        return "spoofed_source";
    case PortDrop::router_advertisement:
        return "router_advertisement";
    case PortDrop::dhcp_server:
        return "dhcp_server";
    }
    return "unknown";
}

const char* text_of(PortDrop reason) {
    switch (reason) {
    case PortDrop::spoofed_mac:
        return "at its port: a pod sent under another MAC address than its own";
    case PortDrop::spoofed_arp:
        return "at its port: a pod claimed another's address by ARP or neighbour discovery";
    case PortDrop::spoofed_source:
        return "at its port: a pod sent from an IP address that it was not given";
    case PortDrop::router_advertisement:
        return "at its port: a pod sent a router advertisement or a redirect";
    case PortDrop::dhcp_server:
        return "at its port: a pod answered as a DHCP server";
    }
    return "unknown";
}

bool is_plain_name(const std::string& name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '_' || c == '-' || c == '.';
    });
}

std::string check_firewall(const FirewallSettings& settings) {
    for (const std::string& name : {settings.bridge, settings.port_prefix}) {
        if (!is_plain_name(name) || !check_ifname(name).empty()) {
            return "nftables rules need interface names of letters, digits, '_', '-' and '.' only: "
                   "'" +
                   name + "' is none";
        }
    }
    const bool letter = !settings.table.empty() && settings.table[0] >= 'a' && //
                        settings.table[0] <= 'z';
    if (!letter || !is_plain_name(settings.table) || settings.table.size() > 15) {
        return "'" + settings.table +
               "' is no name for an nftables table of ours: begin with a small letter, at most 15 "
               "letters, digits, '_', '-' and '.'";
    }
    return {};
}

void take_apart(const std::string& family, std::string_view listing, Listing& into) {
    std::string set; // the one whose lines these are, when it is one of the ports'
    bool elements = false;
    while (!listing.empty()) {
        const std::string_view line = listing.substr(0, listing.find('\n'));
        listing.remove_prefix(std::min(listing.size(), line.size() + 1));
        std::string_view rest = line;
        if (constexpr std::string_view kBegin = "\t\telements = { ";
            !set.empty() && line.starts_with(kBegin)) {
            elements = true;
            rest.remove_prefix(kBegin.size());
        }
        if (!elements) {
            constexpr std::string_view kSet = "\tset ";
            if (line.starts_with(kSet) && line.ends_with(" {")) {
                set = line.substr(kSet.size(), line.size() - kSet.size() - 2);
                const bool ours = std::ranges::any_of(
                    kSets, [&](const SetType& type) { return type.name == set; });
                set = ours ? set : std::string{};
            }
            into.skeleton.append(line) += '\n';
            continue;
        }
        elements = !rest.ends_with(" }");
        while (!rest.empty()) {
            const std::string_view one = rest.substr(0, rest.find_first_of(",}"));
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
            const auto first = one.find_first_not_of(" \t");
            if (first != std::string_view::npos) {
                const auto last = one.find_last_not_of(" \t");
                into.elements.insert(family + ' ' + set + ' ' +
                                     std::string{one.substr(first, last - first + 1)});
            }
        }
    }
}

std::set<std::string> expected_elements(const std::vector<PortRules>& ports) {
    std::set<std::string> out;
    const Elements all = elements_of(ports);
    for (const char* family : kTableFamilies) {
        for (const SetType& set : kSets) {
            if (const auto found = all.find(set.name); found != all.end() && is_in(family, set)) {
                for (const std::string& element : found->second) {
                    out.insert(std::string{family} + ' ' + set.name + ' ' + element);
                }
            }
        }
    }
    return out;
}

std::string removal_text(const FirewallSettings& settings) {
    std::string out;
    for (const char* family : kTableFamilies) {
        const std::string table = std::string{"table "} + family + ' ' + settings.table;
        // Adding first makes deleting succeed when there was none.
        out += "add " + table + "\ndelete " + table + '\n';
    }
    return out;
}

std::string ruleset_text(const FirewallSettings& settings,
                         const std::vector<PortRules>& ports,
                         const PortDrops& counted) {
    const Elements elements = elements_of(ports);
    const std::string name = ' ' + settings.table + " {\n";
    return removal_text(settings) +                                                     //
           "table bridge" + name + counters_text({}) + sets_text(false, elements) +     //
           kArpRules + kIpRules + kBridgeRules +                                        //
           base_chain(settings, "prerouting", kOwnTcp, "pod") + "}\n" +                 //
           "table inet" + name + counters_text(counted) + sets_text(false, elements) +  //
           kIpRules + kInetRules + base_chain(settings, "prerouting", kOwnTcp, "pod") + //
           masquerade_text(settings) + "}\n" +                                          //
           "table arp" + name + counters_text({}) + sets_text(true, elements) +         //
           kArpRules + base_chain(settings, "input", "", "pod_arp") + "}\n";
}

std::string
port_text(const FirewallSettings& settings, const PortRules& old, const PortRules& now) {
    const Elements before = elements_of({old});
    const Elements after = elements_of({now});
    std::string out;
    const auto change = [&](const char* verb, const Elements& those, const Elements& but) {
        for (const auto& [set, elements] : those) {
            std::set<std::string> changed = elements;
            if (const auto other = but.find(set); other != but.end()) {
                std::erase_if(changed,
                              [&](const auto& one) { return other->second.contains(one); });
            }
            for (const char* family : kTableFamilies) {
                const bool known = std::ranges::any_of(kSets, [&](const SetType& type) {
                    return type.name == set && is_in(family, type);
                });
                if (known && !changed.empty()) {
                    out += std::string{verb} + " element " + family + ' ' + settings.table + ' ' +
                           std::string{set} + " { " + join(changed) + " }\n";
                }
            }
        }
    };
    change("delete", before, after);
    change("add", after, before);
    return out;
}

} // namespace weave::attach
