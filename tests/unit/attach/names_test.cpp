// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/host.hpp"
#include "attach/label.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>

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
    PodSpec good;
    good.addresses = {*Prefix::parse("10.32.0.1/12"), *Prefix::parse("fd00::1/64")};
    good.id = "a pod";
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

TEST_CASE("what cannot be a pod's mode, MTU, gateway or route is said in a sentence") {
    PodSpec spec;
    spec.addresses = {*Prefix::parse("10.32.0.1/12")};
    spec.mode = Mode::routed;
    CHECK(check_pod(spec).empty());
    spec.addresses.clear();
    CHECK(check_pod(spec) == "a routed pod needs an address: nothing else leads to it");
    spec.addresses = {*Prefix::parse("10.32.0.1/12")};
    for (const unsigned mtu : {575u, 65536u}) {
        spec.mtu = mtu;
        CHECK(check_pod(spec).find("needs an MTU from 576") != std::string::npos);
    }
    spec.mtu = 576;
    CHECK(check_pod(spec).empty());
    spec.addresses.push_back(*Prefix::parse("fd00::1/64"));
    CHECK(check_pod(spec).find("a pod with IPv6 needs an MTU from 1280") == 0);
    spec.mtu = 0;
    spec.gateways = {*IpAddress::parse("192.0.2.1")};
    CHECK(check_pod(spec).empty()); // its gateway is the host
    spec.mode = Mode::bridge;
    CHECK(check_pod(spec).find("the gateway 192.0.2.1 is in no network") == 0);
    spec.gateways = {*IpAddress::parse("10.32.9.1")};
    CHECK(check_pod(spec).empty());
    spec.routes = {{*Prefix::parse("192.0.2.0/24"), IpAddress::parse("fd00::9")}};
    CHECK(check_pod(spec).find("which is of the other family") != std::string::npos);
    CHECK(mode_of("routed") == Mode::routed);
    CHECK(mode_of(name_of(Mode::bridge)) == Mode::bridge);
    CHECK_FALSE(mode_of("brigde"));
}

TEST_CASE("a label is read as it was written, and fits the kernel's 255 bytes") {
    Label label{4294967295, "a-name-of-15-ch", std::string(200, 'f'), "a-name-of-15-br", 65535};
    CHECK(label.text().size() == 255);
    for (const auto& [router, mtu] :
         {std::pair{"a-name-of-15-br", 65535u}, {"weave", 0u}, {"", 1280u}, {"", 0u}}) {
        label.router = router;
        label.mtu = mtu;
        const auto back = Label::parse(label.text());
        REQUIRE(back);
        CHECK(back->netns_inode == label.netns_inode);
        CHECK(back->ifname == label.ifname);
        CHECK(back->id == label.id);
        CHECK(back->router == router);
        CHECK(back->mtu == mtu);
    }
    CHECK(Label::parse("weave|7|eth0|an id")->id == "an id"); // as written before there were modes
    for (const char* text : {"weave",
                             "weave|x|eth0|id",
                             "weave|7|eth0",
                             "weave|7|eth0|weave|id",
                             "weave|7|eth0|weave:9x|id",
                             "weave|7|eth0|weave:x|id"}) {
        CAPTURE(text);
        CHECK_FALSE(Label::parse(text));
    }
}
