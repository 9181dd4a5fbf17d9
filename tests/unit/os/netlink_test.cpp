// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/ethtool.hpp"
#include "os/netlink.hpp"
#include "os/netns.hpp"
#include "os/tap.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <system_error>
#include <thread>

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

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

TEST_CASE("a bridge is asked on which port it has heard a MAC") {
    const UniqueFd here = test::new_netns();
    const UniqueFd there = test::new_netns();
    Netlink near = Netlink::open_in(here.get());
    Netlink far = Netlink::open_in(there.get());
    near.create_bridge({"weave", kMac, 1376});
    near.create_veth({"wvtest", kMac, 1376, "eth0", kOther, there.get()});
    const Link bridge = near.require_link("weave");
    const Link port = near.require_link("wvtest");
    near.set_master(port, bridge.index);
    near.set_up(bridge, true);
    near.set_up(port, true);
    far.set_up(far.require_link("eth0"), true);
    while (!near.require_link("wvtest").sends) { // until the bridge has noticed it learns nothing
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const MacAddress guest = *MacAddress::parse("02:00:00:00:00:77");
    CHECK_FALSE(near.learned_port(bridge, guest));
    CHECK_FALSE(near.learned_port(bridge, kMac)); // its own
    run_in_netns(there.get(), [&] {
        const UniqueFd wire{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
        std::array<std::uint8_t, 60> frame{};
        std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
        std::copy(guest.octets.begin(), guest.octets.end(), frame.begin() + 6);
        REQUIRE(::sendto(wire.get(),
                         frame.data(),
                         frame.size(),
                         0,
                         reinterpret_cast<const sockaddr*>(&to),
                         sizeof to) == static_cast<ssize_t>(frame.size()));
    });
    for (int i = 0; i < 300 && !near.learned_port(bridge, guest); ++i) {
        std::this_thread::sleep_for(
            std::chrono::milliseconds(10)); // the kernel forwards when it likes
    }
    CHECK(near.learned_port(bridge, guest) == port.index);
    near.set_up(port, false); // it forgets what was there
    CHECK_FALSE(near.learned_port(bridge, guest));
    CHECK(near.links().size() >= 3); // nothing stale waits on the socket
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

TEST_CASE("a route through a gateway that no route leads to, with an address to send from") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_bridge({"weave", kMac, 1376});
    const Link link = netlink.require_link("weave");
    netlink.set_up(link, true);
    for (const auto& [destination, gateway, own] :
         {std::array{"10.32.0.0/12", "169.254.1.2", "10.32.0.1/32"},
          std::array{"fd00:1::/64", "fe80::2", "fd00:1::1/128"}}) {
        CAPTURE(destination);
        CHECK(netlink.add_address(link, *Prefix::parse(own), kOwnProtocol));
        const auto addresses = netlink.addresses();
        CHECK(std::ranges::any_of(addresses, [&](const LinkAddress& it) {
            return it.prefix == Prefix::parse(own) && it.protocol == kOwnProtocol;
        }));
        Route route;
        route.destination = *Prefix::parse(destination);
        route.gateway = IpAddress::parse(gateway);
        route.index = link.index;
        route.source = Prefix::parse(own)->address;
        route.metric = 77;
        route.onlink = true;
        route.protocol = kOwnProtocol;
        CHECK(netlink.add_route(route));
        CHECK_FALSE(netlink.add_route(route));
        const auto ours = netlink.routes(kOwnProtocol);
        REQUIRE(ours.size() == 1);
        CHECK(ours[0].destination == route.destination);
        CHECK(ours[0].gateway == route.gateway);
        CHECK(ours[0].source == route.source);
        CHECK(ours[0].metric == 77);
        Route other = route;
        other.metric = 78;
        CHECK_FALSE(netlink.delete_route(other));
        CHECK(netlink.delete_route(route));
        CHECK_FALSE(netlink.delete_route(route));
        CHECK(netlink.routes(kOwnProtocol).empty());
    }
}

TEST_CASE("neighbours are known for good, answered for, and forgotten") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_bridge({"weave", kMac, 1376});
    netlink.create_bridge({"other", kOther, 1376});
    const Link link = netlink.require_link("weave");
    netlink.set_up(link, true);
    for (const char* text : {"10.32.0.5", "fd00:1::5"}) {
        for (const bool proxy : {false, true}) {
            CAPTURE(text);
            CAPTURE(proxy);
            Neighbour wanted;
            wanted.index = link.index;
            wanted.address = *IpAddress::parse(text);
            wanted.proxy = proxy;
            wanted.mac = proxy ? MacAddress{} : kOther;
            netlink.set_neighbour(wanted);
            netlink.set_neighbour(wanted);
            const auto found = netlink.neighbours(link);
            CHECK(std::ranges::count_if(found, [&](const Neighbour& it) {
                      return it.address == wanted.address && it.mac == wanted.mac &&
                             it.proxy == proxy && it.protocol == kOwnProtocol && it.permanent;
                  }) == (proxy ? 0 : 1));
            CHECK(std::ranges::count_if(found, [&](const Neighbour& it) {
                      return it.address == wanted.address && it.proxy == proxy &&
                             it.protocol == kOwnProtocol;
                  }) == 1);
            CHECK(netlink.delete_neighbour(wanted));
            CHECK_FALSE(netlink.delete_neighbour(wanted));
        }
    }
    CHECK(netlink.neighbours(netlink.require_link("other")).empty());
}

TEST_CASE("a link is found by its name and its index, and by no other name that it has") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_bridge({"weave", kMac, 1376});
    const auto link = netlink.link("weave");
    REQUIRE(link);
    REQUIRE(netlink.link_at(link->index));
    CHECK(netlink.link_at(link->index)->name == "weave");
    CHECK(netlink.link_at(link->index)->mac == kMac);
    CHECK_FALSE(netlink.link_at(link->index + 1));
    CHECK_FALSE(netlink.link("other"));
    CHECK_FALSE(netlink.link(""));
    CHECK_FALSE(netlink.link("a-name-that-is-too-long"));
    run_in_netns(ns.get(), [&] {
        REQUIRE(std::system("ip link property add dev weave altname other") == 0);
    });
    CHECK_FALSE(netlink.link("other"));
}

TEST_CASE("the monitor tells of changes in its own namespace") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    std::optional<LinkMonitor> monitor;
    run_in_netns(ns.get(), [&] { monitor.emplace(); });
    CHECK_FALSE(monitor->drain().here());
    netlink.create_bridge({"weave", kMac, 1376});
    const Link link = netlink.require_link("weave");
    LinkChanges changes = monitor->drain();
    CHECK(changes.links == std::set<unsigned>{link.index});
    CHECK_FALSE(changes.addresses);
    CHECK_FALSE(changes.lost);
    CHECK_FALSE(monitor->drain().here());
    netlink.add_address(link, *Prefix::parse("10.32.0.1/12"));
    CHECK(monitor->drain().addresses);
    netlink.delete_link(link);
    changes = monitor->drain();
    CHECK(changes.links.contains(link.index));
    CHECK(changes.addresses);
}

TEST_CASE("the monitor tells of changes in namespaces at the other end of a veth") {
    const UniqueFd here = test::new_netns();
    const UniqueFd there = test::new_netns();
    Netlink near = Netlink::open_in(here.get());
    Netlink far = Netlink::open_in(there.get());
    std::optional<LinkMonitor> monitor;
    run_in_netns(here.get(), [&] { monitor.emplace(); });
    REQUIRE(monitor->hears_others());
    near.create_veth({"wvtest", kMac, 1376, "eth0", kOther, there.get()});
    const int id = near.require_link("wvtest").peer_netns_id;
    const Link inside = far.require_link("eth0");
    monitor->drain();
    const auto heard = [&] {
        const LinkChanges changes = monitor->drain();
        return changes.namespaces == std::set<int>{id} && !changes.here();
    };
    far.set_mac(inside, kMac);
    CHECK(heard());
    far.add_address(inside, *Prefix::parse("10.32.0.1/12"));
    CHECK(heard());
    far.delete_address(inside, *Prefix::parse("10.32.0.1/12"));
    CHECK(heard());
    CHECK_FALSE(heard());
}

TEST_CASE("the monitor says when it was told too much") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    std::optional<LinkMonitor> monitor;
    run_in_netns(ns.get(), [&] { monitor.emplace(); });
    netlink.create_bridge({"weave", kMac, 1376});
    const Link link = netlink.require_link("weave");
    for (unsigned i = 0; i < 4000; ++i) {
        netlink.set_mtu(link, 1000 + i % 2);
    }
    CHECK(monitor->drain().lost);
    CHECK_FALSE(monitor->drain().here());
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

TEST_CASE("the next hop is what routes and neighbours say") {
    const UniqueFd ns = test::new_netns();
    const UniqueFd far_ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_veth({"near", kMac, 1400, "far", kOther, far_ns.get()});
    Netlink far = Netlink::open_in(far_ns.get());
    const Link link = netlink.require_link("near");
    const auto address = [](const char* text) { return *IpAddress::parse(text); };
    CHECK_FALSE(netlink.next_hop(address("192.0.2.2"), std::nullopt));
    CHECK_FALSE(netlink.is_local(address("192.0.2.1")));
    netlink.add_address(link, *Prefix::parse("192.0.2.1/24"));
    netlink.add_address(link, *Prefix::parse("192.0.2.11/24"));
    netlink.add_address(link, *Prefix::parse("2001:db8::1/64"));
    netlink.set_up(link, true);
    far.set_up(far.require_link("far"), true);
    far.add_address(far.require_link("far"), *Prefix::parse("192.0.2.2/24"));
    CHECK(netlink.is_local(address("192.0.2.1")));
    CHECK_FALSE(netlink.is_local(address("192.0.2.2")));

    auto hop = netlink.next_hop(address("192.0.2.2"), std::nullopt);
    REQUIRE(hop);
    CHECK(hop->index == link.index);
    CHECK(hop->source == address("192.0.2.1"));
    CHECK(hop->neighbour == address("192.0.2.2"));
    CHECK(hop->mac == MacAddress{});
    const auto from_another = netlink.next_hop(address("192.0.2.2"), address("192.0.2.11"));
    REQUIRE(from_another);
    CHECK(from_another->source == address("192.0.2.11"));

    const RouteMonitor monitor = [&] {
        std::optional<RouteMonitor> made;
        run_in_netns(ns.get(), [&] { made.emplace(); });
        return std::move(*made);
    }();
    netlink.look_for_neighbour(*hop);
    for (int attempt = 0; attempt < 200 && hop->mac == MacAddress{}; ++attempt) {
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
        hop = netlink.next_hop(address("192.0.2.2"), std::nullopt);
    }
    CHECK(hop->mac == kOther);
    CHECK(hop->fresh);
    CHECK(monitor.drain());
    CHECK_FALSE(monitor.drain());

    // By a gateway, with a size of its own.
    const IpAddress gateway = address("192.0.2.254");
    netlink.set_neighbour({link.index, gateway, kMac});
    Route route;
    route.destination = *Prefix::parse("198.51.100.0/24");
    route.gateway = gateway;
    route.index = link.index;
    route.mtu = 1300;
    netlink.add_route(route);
    hop = netlink.next_hop(address("198.51.100.7"), std::nullopt);
    REQUIRE(hop);
    CHECK(hop->neighbour == gateway);
    CHECK(hop->mac == kMac);
    CHECK(hop->fresh);
    CHECK(hop->mtu == 1300);

    netlink.set_neighbour({link.index, address("2001:db8::2"), kOther});
    hop = netlink.next_hop(address("2001:db8::2"), std::nullopt);
    REQUIRE(hop);
    CHECK(hop->source == address("2001:db8::1"));
    CHECK(hop->mac == kOther);

    CHECK_FALSE(netlink.next_hop(address("192.0.2.1"), std::nullopt)); // this host's own
    CHECK_FALSE(netlink.next_hop(address("203.0.113.1"), std::nullopt));
}

TEST_CASE("what an interface can do is asked of it") {
    const UniqueFd ns = test::new_netns();
    Netlink netlink = Netlink::open_in(ns.get());
    netlink.create_veth({"near", kMac, 1400, "far", kOther, ns.get()});
    run_in_netns(ns.get(), [] {
        CHECK(offloads("near") == Offloads{true, true});
        CHECK(receive_queues("near") == 1);
        CHECK(offloads("nothing") == Offloads{});
        CHECK(receive_queues("nothing") == 1);
    });
}
