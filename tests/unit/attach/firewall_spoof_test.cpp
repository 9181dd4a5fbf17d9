// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/attach/firewall_world.hpp"

#include <doctest/doctest.h>
#include <tins/tins.h>

#include <functional>
#include <string>
#include <vector>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

/** A pod (10.32.0.2 and fd32::2) and to whom it sends. */
struct Ends {
    std::string mac;
    std::string to_mac;
    std::string to4;
    std::string to6;
};

struct Case {
    const char* name;
    /** The counter that counts it; empty: it passes. */
    std::string drop;
    std::function<Tins::EthernetII(const Ends&)> frame;
};

const std::string kOwn4{"10.32.0.2"};
const std::string kOwn6{"fd32::2"};
const std::string kOther{"02:00:00:00:00:66"};
const std::string kAll{"ff:ff:ff:ff:ff:ff"};
const std::string kAllNodes{"33:33:00:00:00:01"};

Tins::EthernetII
udp4(const Ends& ends, const std::string& from, std::uint16_t sport, std::uint16_t dport) {
    return Tins::EthernetII(ends.to_mac, ends.mac) / Tins::IP(ends.to4, from) /
           Tins::UDP(dport, sport);
}

Tins::EthernetII
udp6(const Ends& ends, const std::string& from, std::uint16_t sport, std::uint16_t dport) {
    Tins::IPv6 header(ends.to6, from);
    header.hop_limit(64);
    return Tins::EthernetII(ends.to_mac, ends.mac) / header / Tins::UDP(dport, sport);
}

/** Under a MAC that it says, not always its own. */
Tins::EthernetII tcp(const Ends& ends, const std::string& mac, const std::string& from) {
    const Tins::EthernetII out(ends.to_mac, mac);
    if (from.find(':') == std::string::npos) {
        return out / Tins::IP(ends.to4, from) / Tins::TCP(7, 7);
    }
    Tins::IPv6 header(ends.to6, from);
    header.hop_limit(64);
    return out / header / Tins::TCP(7, 7);
}

Tins::EthernetII
arp(const Ends& ends, const std::string& sender, const std::string& sender_mac, bool reply) {
    Tins::ARP out(ends.to4, sender, Tins::ARP::hwaddress_type{}, sender_mac);
    out.opcode(reply ? Tins::ARP::REPLY : Tins::ARP::REQUEST);
    return Tins::EthernetII(kAll, ends.mac) / out;
}

Tins::EthernetII
icmp6(const Ends& ends, const std::string& from, int type, const std::string& target = "::") {
    Tins::IPv6 header("ff02::1", from);
    header.hop_limit(255);
    Tins::ICMPv6 body(static_cast<Tins::ICMPv6::Types>(type));
    if (type == 135 || type == 136) {
        body.target_addr(target);
    }
    return Tins::EthernetII(kAllNodes, ends.mac) / header / body;
}

Tins::EthernetII tagged(const Ends& ends, const std::string& from, int tags) {
    Tins::EthernetII out(ends.to_mac, ends.mac);
    for (int i = 0; i < tags; ++i) {
        out /= Tins::Dot1Q(5);
    }
    return out / Tins::IP(ends.to4, from) / Tins::UDP(7, 7);
}

const std::vector<Case> kCases = {
    {"its own IPv4", "", [](const Ends& e) { return udp4(e, kOwn4, 7, 7); }},
    {"its own IPv6", "", [](const Ends& e) { return udp6(e, kOwn6, 7, 7); }},
    {"link-local IPv6", "", [](const Ends& e) { return udp6(e, "fe80::1234", 7, 7); }},
    {"another's IPv4", "spoofed_source", [](const Ends& e) { return udp4(e, "10.32.0.3", 7, 7); }},
    {"an IPv4 from outside",
     "spoofed_source",
     [](const Ends& e) { return udp4(e, "8.8.8.8", 7, 7); }},
    {"no IPv4 at all", "spoofed_source", [](const Ends& e) { return udp4(e, "0.0.0.0", 7, 7); }},
    {"a multicast IPv4",
     "spoofed_source",
     [](const Ends& e) { return udp4(e, "224.0.0.1", 7, 7); }},
    {"another's IPv6", "spoofed_source", [](const Ends& e) { return udp6(e, "fd32::3", 7, 7); }},
    {"no IPv6 at all", "spoofed_source", [](const Ends& e) { return udp6(e, "::", 7, 7); }},
    {"another MAC",
     "spoofed_mac",
     [](const Ends& e) {
         auto out = udp4(e, kOwn4, 7, 7);
         out.src_addr(kOther);
         return out;
     }},
    {"another MAC, no IP",
     "spoofed_mac",
     [](const Ends&) {
         auto out = Tins::EthernetII(kAll, kOther);
         out.payload_type(0x88b5);
         return out / Tins::RawPDU("local experiment");
     }},
    {"TCP over its own IPv4", "", [](const Ends& e) { return tcp(e, e.mac, kOwn4); }},
    {"TCP over its own IPv6", "", [](const Ends& e) { return tcp(e, e.mac, kOwn6); }},
    {"TCP over link-local IPv6", "", [](const Ends& e) { return tcp(e, e.mac, "fe80::2"); }},
    {"TCP from another's IPv4",
     "spoofed_source",
     [](const Ends& e) { return tcp(e, e.mac, "10.32.0.3"); }},
    {"TCP from another's IPv6",
     "spoofed_source",
     [](const Ends& e) { return tcp(e, e.mac, "fd32::3"); }},
    {"TCP from no IPv4 at all",
     "spoofed_source",
     [](const Ends& e) { return tcp(e, e.mac, "0.0.0.0"); }},
    {"TCP over its own IPv4, another MAC",
     "spoofed_mac",
     [](const Ends& e) { return tcp(e, kOther, kOwn4); }},
    {"TCP over its own IPv6, another MAC",
     "spoofed_mac",
     [](const Ends& e) { return tcp(e, kOther, kOwn6); }},
    {"TCP in all as its neighbour",
     "spoofed_mac",
     [](const Ends& e) { return tcp(e, e.to_mac, "10.32.0.3"); }},
    {"in a VLAN", "", [](const Ends& e) { return tagged(e, kOwn4, 1); }},
    {"another's in a VLAN",
     "spoofed_source",
     [](const Ends& e) { return tagged(e, "10.32.0.3", 1); }},
    {"two VLAN tags", "spoofed_source", [](const Ends& e) { return tagged(e, kOwn4, 2); }},
    {"an ARP question", "", [](const Ends& e) { return arp(e, kOwn4, e.mac, false); }},
    {"an ARP answer", "", [](const Ends& e) { return arp(e, kOwn4, e.mac, true); }},
    {"an ARP probe", "", [](const Ends& e) { return arp(e, "0.0.0.0", e.mac, false); }},
    {"ARP for another's IP",
     "spoofed_arp",
     [](const Ends& e) { return arp(e, "10.32.0.3", e.mac, true); }},
    {"ARP for the gateway",
     "spoofed_arp",
     [](const Ends& e) { return arp(e, "10.32.0.1", e.mac, false); }},
    {"ARP of another's MAC",
     "spoofed_arp",
     [](const Ends& e) { return arp(e, kOwn4, kOther, true); }},
    {"an odd ARP",
     "spoofed_arp",
     [](const Ends& e) {
         Tins::ARP body(e.to4, kOwn4, Tins::ARP::hwaddress_type{}, e.mac);
         body.prot_addr_length(16);
         return Tins::EthernetII(kAll, e.mac) / body;
     }},
    {"a router solicitation", "", [](const Ends& e) { return icmp6(e, "fe80::2", 133); }},
    {"one without address", "", [](const Ends& e) { return icmp6(e, "::", 133); }},
    {"a router advertisement",
     "router_advertisement",
     [](const Ends& e) { return icmp6(e, "fe80::2", 134); }},
    {"one of its own address",
     "router_advertisement",
     [](const Ends& e) { return icmp6(e, kOwn6, 134); }},
    {"a redirect", "router_advertisement", [](const Ends& e) { return icmp6(e, "fe80::2", 137); }},
    {"an IPv4 redirect",
     "router_advertisement",
     [](const Ends& e) {
         return Tins::EthernetII(e.to_mac, e.mac) / Tins::IP(e.to4, kOwn4) /
                Tins::ICMP(Tins::ICMP::REDIRECT);
     }},
    {"a router advertisement behind a header",
     "router_advertisement",
     [](const Ends& e) {
         Tins::IPv6 header("ff02::1", "fe80::2");
         header.hop_limit(255);
         const std::array<std::uint8_t, 6> padding{1, 4, 0, 0, 0, 0};
         header.add_header({Tins::IPv6::DESTINATION_OPTIONS, padding.begin(), padding.end()});
         return Tins::EthernetII(kAllNodes, e.mac) / header /
                Tins::ICMPv6(Tins::ICMPv6::ROUTER_ADVERT);
     }},
    {"detection of its own IPv6 in use twice",
     "",
     [](const Ends& e) { return icmp6(e, "::", 135, kOwn6); }},
    {"of its link-local one", "", [](const Ends& e) { return icmp6(e, "::", 135, "fe80::2"); }},
    {"of another's",
     "spoofed_source",
     [](const Ends& e) { return icmp6(e, "::", 135, "fd32::3"); }},
    {"a question for another", "", [](const Ends& e) { return icmp6(e, kOwn6, 135, "fd32::3"); }},
    {"its own advertisement", "", [](const Ends& e) { return icmp6(e, kOwn6, 136, kOwn6); }},
    {"from the link-local one", "", [](const Ends& e) { return icmp6(e, "fe80::2", 136, kOwn6); }},
    {"of the link-local one",
     "",
     [](const Ends& e) { return icmp6(e, "fe80::2", 136, "fe80::2"); }},
    {"an advertisement of another's",
     "spoofed_arp",
     [](const Ends& e) { return icmp6(e, kOwn6, 136, "fd32::3"); }},
    {"one from another's",
     "spoofed_source",
     [](const Ends& e) { return icmp6(e, "fd32::3", 136, kOwn6); }},
    {"a multicast report", "", [](const Ends& e) { return icmp6(e, "::", 143); }},
    {"a DHCP client",
     "",
     [](const Ends& e) {
         return Tins::EthernetII(kAll, e.mac) / Tins::IP("255.255.255.255", "0.0.0.0") /
                Tins::UDP(67, 68);
     }},
    {"a DHCP server", "dhcp_server", [](const Ends& e) { return udp4(e, kOwn4, 67, 68); }},
    {"a DHCPv6 client", "", [](const Ends& e) { return udp6(e, "fe80::2", 546, 547); }},
    {"a DHCPv6 server", "dhcp_server", [](const Ends& e) { return udp6(e, "fe80::2", 547, 546); }},
    {"a group report before it has an address",
     "",
     [](const Ends& e) {
         Tins::IP header("224.0.0.22", "0.0.0.0");
         header.protocol(2);
         return Tins::EthernetII("01:00:5e:00:00:16", e.mac) / header / Tins::RawPDU("igmp");
     }},
};

/** The frame's bytes, with a mark at the very end that no layer of it cuts off. */
Bytes bytes_of(Tins::EthernetII frame, const std::string& mark) {
    frame /= Tins::RawPDU(mark);
    return frame.serialize();
}

/** "" or the counter that rose, and by how much when not by one. */
std::string what_rose(const PortDrops& before, const PortDrops& after) {
    std::string out;
    for (std::size_t i = 0; i < kPortDrops; ++i) {
        const std::uint64_t more = after[i].packets - before[i].packets;
        if (more != 0) {
            out += name_of(static_cast<PortDrop>(i));
            out += more == 1 ? "" : " " + std::to_string(more);
        }
    }
    return out;
}

/** Silences what the pod's own kernel would send, so that each count is of one frame of ours. */
void only_raw(const TestPod& pod) {
    shell(pod.ns, "ip address flush dev eth0; echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
}

} // namespace

TEST_CASE("on the bridge only what is the pod's own comes through") {
    FirewallWorld world;
    const TestPod a = world.bridged(2);
    const TestPod b = world.bridged(3);
    const auto firewall = world.firewall(world.settings());
    firewall->apply({a.rules, b.rules});
    only_raw(a);
    const RawPort from(a.ns, "eth0");
    const RawPort at(b.ns, "eth0");
    const Ends ends{a.rules.mac.text(), b.rules.mac.text(), "10.32.0.3", "fd32::3"};
    int number = 0;
    for (const Case& each : kCases) {
        const std::string name = each.name;
        CAPTURE(name);
        const std::string mark = "MARK" + std::to_string(++number) + '.';
        const std::string end = "END" + std::to_string(number) + '.';
        const PortDrops before = firewall->counters();
        from.send(bytes_of(each.frame(ends), mark));
        from.send(bytes_of(udp4(ends, kOwn4, 9, 9), end));
        CHECK(at.sees(mark, end) == each.drop.empty());
        CHECK(what_rose(before, firewall->counters()) == each.drop);
    }
}

TEST_CASE("a routed pod's packets are looked at in the same way") {
    FirewallWorld world;
    const TestPod pod = world.routed(2);
    const auto firewall = world.firewall(world.settings());
    firewall->apply({pod.rules});
    only_raw(pod);
    const RawPort from(pod.ns, "eth0");
    const RawPort at(world.outside, "eth0");
    const std::string gateway = world.netlink.require_link(pod.rules.host_ifname).mac.text();
    // Raw frames leave the answering of neighbour questions to us.
    shell(world.outside, "ping -c 1 -W 2 192.0.2.1 && ping -c 1 -W 2 2001:db8::1");
    const Ends ends{pod.rules.mac.text(), gateway, "192.0.2.2", "2001:db8::2"};
    int number = 0;
    for (const Case& each : kCases) {
        const std::string name = each.name;
        CAPTURE(name);
        if (name.find("VLAN") != std::string::npos || name == "another MAC, no IP" ||
            name == "an odd ARP") {
            continue; // the host itself does not listen to those
        }
        const std::string mark = "MARK" + std::to_string(++number) + '.';
        const std::string end = "END" + std::to_string(number) + '.';
        const PortDrops before = firewall->counters();
        from.send(bytes_of(each.frame(ends), mark));
        from.send(bytes_of(udp4(ends, kOwn4, 9, 9), end));
        const bool arrived = at.sees(mark, end);
        CHECK((each.drop.empty() || !arrived));
        if (name.starts_with("its own IP")) {
            CHECK(arrived);
        }
        CHECK(what_rose(before, firewall->counters()) == each.drop);
    }
    CHECK(shell(world.ns, "ip neighbour show dev " + pod.rules.host_ifname).find("10.32.0.3") ==
          std::string::npos);
}

TEST_CASE(
    "everyday traffic passes: addresses tried first, neighbours asked, pings of both families") {
    FirewallWorld world;
    const TestPod a = world.bridged(2);
    const TestPod b = world.bridged(3);
    const TestPod c = world.routed(30);
    const auto firewall = world.firewall(world.settings());
    firewall->apply({a.rules, b.rules, c.rules});
    shell(a.ns, "ping -c 1 -W 5 10.32.0.3 && ping -c 1 -W 5 fd32::3");
    shell(a.ns, "ping -c 1 -W 5 192.0.2.2 && ping -c 1 -W 5 2001:db8::2");
    shell(c.ns, "ping -c 1 -W 5 192.0.2.2 && ping -c 1 -W 5 2001:db8::2");
    // An address that the kernel tries (DAD) before it uses it.
    PortRules more = a.rules;
    more.addresses.push_back(ip("fd32::9"));
    firewall->set_port(more);
    shell(a.ns, "ip -6 address add fd32::9/64 dev eth0");
    shell(a.ns,
          "for i in $(seq 50); do ip -6 address show dev eth0 | grep -q tentative || exit 0; "
          "sleep 0.1; done; exit 1");
    shell(a.ns, "ping -c 1 -W 5 -I fd32::9 fd32::3");
    CHECK(firewall->counters() == PortDrops{});
}
