// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/netlink.hpp"
#include "os/netns.hpp"
#include "os/tap.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <system_error>

using namespace weave;
using namespace weave::os;

namespace {

const MacAddress kMac = *MacAddress::parse("02:00:00:00:00:01");
const MacAddress kOther = *MacAddress::parse("02:00:00:00:00:02");

bool has_address(Netlink& netlink, const Link& link, const Prefix& prefix, int netns_id = -1) {
    const auto all = netlink.addresses(netns_id);
    return std::ranges::any_of(all, [&](const LinkAddress& entry) {
        return entry.index == link.index && entry.prefix == prefix;
    });
}

} // namespace

TEST_CASE("a bridge is made with its MAC address and MTU") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_bridge({"weave", kMac, 1376});
    const Link link = netlink.require_link("weave");
    CHECK(link.kind == "bridge");
    CHECK(link.mac == kMac);
    CHECK(link.mtu == 1376);
    CHECK_FALSE(link.up);
    netlink.set_up(link, true);
    netlink.configure_bridge(link);
    CHECK(netlink.require_link("weave").up);
    CHECK_THROWS_WITH_AS(netlink.create_bridge({"weave", kMac, 1376}),
                         "cannot create bridge weave: File exists",
                         std::system_error);
    netlink.delete_link(link);
    CHECK_NOTHROW(netlink.delete_link(link));
    CHECK_FALSE(netlink.link("weave"));
    CHECK_THROWS_AS(netlink.require_link("weave"), std::system_error);
}

TEST_CASE("a veth's peer is born in the other namespace and can be looked at from here") {
    const UniqueFd here = test::new_netns();
    const UniqueFd there = test::new_netns();
    Netlink near = Netlink::open_in(here.get());
    Netlink far = Netlink::open_in(there.get());
    near.create_bridge({"weave", kMac, 1376});
    near.create_veth({"wvtest", kMac, 1376, "eth0", kOther, there.get()});
    const Link outside = near.require_link("wvtest");
    const Link inside = far.require_link("eth0");
    CHECK(inside.mac == kOther);
    CHECK(inside.mtu == 1376);
    CHECK(outside.peer_index == inside.index);
    REQUIRE(outside.peer_netns_id >= 0);
    near.set_master(outside, near.require_link("weave").index);
    near.set_alias(outside, "weave|1|eth0|pod");
    CHECK(near.require_link("wvtest").alias == "weave|1|eth0|pod");
    CHECK(near.require_link("wvtest").master == near.require_link("weave").index);
    const Prefix prefix = *Prefix::parse("10.32.0.2/12");
    CHECK(far.add_address(inside, prefix));
    CHECK(has_address(near, inside, prefix, outside.peer_netns_id));
    const auto links = near.links(outside.peer_netns_id);
    CHECK(std::ranges::any_of(links,
                              [](const Link& l) { return l.name == "eth0" && l.mac == kOther; }));
    near.set_master(outside, 0);
    CHECK(near.require_link("wvtest").master == 0);
}

TEST_CASE("addresses and routes are added once, and addresses taken away once") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_bridge({"weave", kMac, 1376});
    const Link link = netlink.require_link("weave");
    netlink.set_up(link, true);
    for (const char* text : {"10.32.0.1/12", "fd00:1::1/64"}) {
        const Prefix prefix = *Prefix::parse(text);
        CHECK(netlink.add_address(link, prefix));
        CHECK_FALSE(netlink.add_address(link, prefix));
        CHECK(has_address(netlink, link, prefix));
    }
    for (const char* text : {"224.0.0.0/4", "0.0.0.0/0", "172.20.0.0/16", "fd00:2::/64"}) {
        Route route;
        route.destination = *Prefix::parse(text);
        route.index = link.index;
        if (route.destination.address.is_v4() && !route.destination.address.is_multicast()) {
            route.gateway = IpAddress::parse("10.32.0.9");
        }
        CHECK(netlink.add_route(route));
        CHECK_FALSE(netlink.add_route(route));
        const auto routes = netlink.routes();
        CHECK(std::any_of(routes.begin(), routes.end(), [&](const Route& it) {
            return it.destination == route.destination && it.index == link.index &&
                   it.gateway == route.gateway && it.table == 254;
        }));
    }
    const Prefix prefix = *Prefix::parse("fd00:1::1/64");
    CHECK(netlink.delete_address(link, prefix));
    CHECK_FALSE(netlink.delete_address(link, prefix));
    Route bad;
    bad.destination = *Prefix::parse("10.99.0.0/16");
    bad.gateway = IpAddress::parse("192.0.2.77");
    CHECK_THROWS_AS(netlink.add_route(bad), std::system_error);
}

TEST_CASE("the monitor tells of changes in its own namespace") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    std::optional<LinkMonitor> monitor;
    run_in_netns(ns.get(), [&] { monitor.emplace(); });
    CHECK_FALSE(monitor->drain());
    netlink.create_bridge({"weave", kMac, 1376});
    CHECK(monitor->drain());
    CHECK_FALSE(monitor->drain());
}

TEST_CASE("a TAP device has its queues, and goes when they do") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    for (const unsigned queues : {1u, 3u}) {
        Tap tap;
        run_in_netns(ns.get(), [&] { tap = open_tap({"weave-tap", queues}); });
        CHECK(tap.queues.size() == queues);
        CHECK(tap.features.tso);
        CHECK(netlink.require_link("weave-tap").kind == "tun");
        const auto again = [] { return open_tap({"weave-tap", 1}); };
        CHECK_THROWS_WITH_AS(run_in_netns(ns.get(), again),
                             doctest::Contains("another process holds it"),
                             std::system_error);
        tap.queues.clear();
        CHECK_FALSE(netlink.link("weave-tap"));
    }
    CHECK_THROWS_AS(open_tap({"a-name-that-is-too-long", 1}), std::system_error);
}

TEST_CASE("namespaces are told apart, and what is none is refused") {
    const UniqueFd a = test::new_netns();
    const UniqueFd b = test::new_netns();
    CHECK(netns_inode(a.get()) != netns_inode(b.get()));
    const UniqueFd found = find_netns(netns_inode(current_netns().get()));
    REQUIRE(found);
    CHECK(netns_inode(found.get()) == netns_inode(current_netns().get()));
    CHECK_FALSE(find_netns(1));
    CHECK_THROWS_WITH_AS(open_netns("/proc/self/ns/mnt"),
                         doctest::Contains("not a network namespace"),
                         std::system_error);
    CHECK_THROWS_AS(open_netns("/nowhere"), std::system_error);
    std::uint64_t inside = 0;
    const std::uint64_t before = netns_inode(current_netns().get());
    run_in_netns(a.get(), [&] { inside = netns_inode(current_netns().get()); });
    CHECK(inside == netns_inode(a.get()));
    CHECK(netns_inode(current_netns().get()) == before);
}
