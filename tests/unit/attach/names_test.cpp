// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/host.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace weave;
using namespace weave::attach;

TEST_CASE("a node's bridge keeps one locally administered MAC address") {
    NodeId node;
    node.octets[15] = 1;
    NodeId other = node;
    other.octets[15] = 2;
    CHECK(bridge_mac(node) == bridge_mac(node));
    CHECK(bridge_mac(node) != bridge_mac(other));
    CHECK(bridge_mac(node).octets[0] == 0x02);
}

TEST_CASE("host interface names fit and differ") {
    std::set<std::string> names;
    for (std::uint64_t inode = 4026531840; inode < 4026531840 + 5000; ++inode) {
        names.insert(host_ifname(inode, "eth0"));
        names.insert(host_ifname(inode, "eth1"));
    }
    CHECK(names.size() == 10000);
    CHECK(names.begin()->size() == 12);
    CHECK(names.begin()->starts_with("wv"));
}

TEST_CASE("what cannot be a pod's interface is said in a sentence") {
    const PodSpec good{
        "eth0", {*Prefix::parse("10.32.0.1/12"), *Prefix::parse("fd00::1/64")}, {}, "a pod"};
    CHECK(check_pod(good).empty());
    for (const char* name : {"", "lo", "a/b", "sixteen-letters!", ".", "a b", "a|b"}) {
        PodSpec spec = good;
        spec.ifname = name;
        CHECK_FALSE(check_pod(spec).empty());
    }
    for (const char* prefix : {"224.0.0.1/24",
                               "0.0.0.0/8",
                               "0.1.2.3/8",
                               "127.0.0.1/8",
                               "127.0.0.5/8",
                               "10.0.0.1/0",
                               "::1/128",
                               "::/64",
                               "ff02::1/64",
                               "fe80::1/64",
                               "169.254.1.1/16",
                               "255.255.255.255/32",
                               "10.32.0.0/12",
                               "10.47.255.255/12",
                               "10.32.0.4/30",
                               "10.32.0.7/30",
                               "fd32::/64"}) {
        CAPTURE(prefix);
        PodSpec spec = good;
        spec.addresses = {*Prefix::parse(prefix)};
        CHECK(check_pod(spec).find(prefix) == 0);
        CHECK(check_pod(spec).find("write an address") != std::string::npos);
    }
    for (const char* prefix : {"10.32.0.0/31",
                               "10.32.0.1/31",
                               "10.32.0.0/32",
                               "10.32.255.255/12",
                               "fd32::/127",
                               "fd32::ffff/112"}) {
        CAPTURE(prefix);
        CHECK(check_address(*Prefix::parse(prefix)).empty());
    }
    PodSpec spec = good;
    spec.id = "a|b";
    CHECK_FALSE(check_pod(spec).empty());
    spec = good;
    spec.mac = MacAddress::parse("01:00:00:00:00:01");
    CHECK_FALSE(check_pod(spec).empty());
}
