// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/attach/world.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

TEST_CASE("the bridge is made, and made again over what is left") {
    World world;
    world.host->ensure_bridge();
    os::Link bridge = world.netlink.require_link("weave");
    CHECK(bridge.up);
    CHECK(bridge.mtu == 1376);
    CHECK(bridge.mac.octets[0] == 0x02);
    CHECK(sysctl(world.ns, "net/ipv6/conf/weave/accept_ra") == "0");
    world.netlink.set_up(bridge, false);
    world.netlink.set_mtu(bridge, 1500);
    world.netlink.set_mac(bridge, *MacAddress::parse("02:ff:ff:ff:ff:ff"));
    world.make()->ensure_bridge();
    const os::Link again = world.netlink.require_link("weave");
    CHECK(again.index == bridge.index);
    CHECK(again.mac == bridge.mac);
    CHECK(again.mtu == 1376);
    CHECK(again.up);
}

TEST_CASE("a foreign interface of the bridge's or the tap's name is left alone") {
    World world;
    world.netlink.create_veth(
        {"weave", {{2, 0, 0, 0, 0, 1}}, 1500, "weave-tap", {{2, 0, 0, 0, 0, 2}}, -1});
    CHECK_THROWS_WITH_AS(
        world.host->ensure_bridge(), doctest::Contains("is not a bridge"), std::system_error);
    CHECK_THROWS_WITH_AS(
        world.host->ensure_tap(1), doctest::Contains("is not a TAP device"), std::system_error);
    CHECK(world.netlink.link("weave"));
}

TEST_CASE("the tap is a port of the bridge, and one in use is not stolen") {
    World world;
    world.host->ensure_bridge();
    const os::Tap tap = world.host->ensure_tap(2);
    const os::Link link = world.netlink.require_link("weave-tap");
    CHECK(link.master == world.netlink.require_link("weave").index);
    CHECK(link.mtu == 1376);
    CHECK(link.up);
    CHECK(sysctl(world.ns, "net/ipv6/conf/weave-tap/disable_ipv6") == "1");
    for (const unsigned queues : {1U, 2U}) {
        CHECK_THROWS_WITH_AS(world.make()->ensure_tap(queues),
                             "cannot open TAP device weave-tap: another process holds it",
                             std::system_error);
    }
    CHECK(world.netlink.require_link("weave-tap").index == link.index);
}

TEST_CASE("two pods talk over the bridge, on both families") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = test::new_netns();
    const os::UniqueFd b = test::new_netns();
    const Attachment one = attach_pod(*world.host, a.get(), pod({"10.32.0.2/12", "fd00:5::2/64"}));
    CHECK(one.addresses == pod({"10.32.0.2/12", "fd00:5::2/64"}).addresses);
    CHECK(one.host_ifname == host_ifname(os::netns_inode(a.get()), "eth0"));
    CHECK(one.mac.octets[0] == 0x02);
    attach_pod(*world.host, b.get(), pod({"10.32.0.3/12", "fd00:5::3/64"}, "two"));
    CHECK(reaches(udp_in(a, "10.32.0.2"), udp_in(b, "10.32.0.3")));
    CHECK(reaches(udp_in(b, "fd00:5::3"), udp_in(a, "fd00:5::2")));
    CHECK(sysctl(a, "net/ipv6/conf/eth0/accept_ra") == "0");
    CHECK(world.host->expose(*Prefix::parse("10.32.0.1/12")));
    CHECK(reaches(udp_in(world.ns, "10.32.0.1"), udp_in(a, "10.32.0.2")));
}

TEST_CASE("attaching again adds what is missing and keeps what is there") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = test::new_netns();
    const Attachment first = attach_pod(*world.host, ns.get(), pod({"10.32.0.2/12"}));
    const Attachment second = attach_pod(*world.make(), ns.get(), pod({"10.40.0.2/16"}, ""));
    CHECK(second.mac == first.mac);
    CHECK(second.host_ifname == first.host_ifname);
    CHECK(second.addresses.size() == 2);
    CHECK(second.id == "one");
    const auto all = world.make()->list();
    REQUIRE(all.size() == 1);
    CHECK(all[0].addresses == second.addresses);
    CHECK(all[0].mac == first.mac);
    CHECK(all[0].id == "one");
    CHECK(all[0].netns_inode == os::netns_inode(ns.get()));
    CHECK(all[0].host_mac == first.host_mac);
}

TEST_CASE("a MAC address asked for is given, also later") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = test::new_netns();
    PodSpec spec = pod({"10.32.0.2/12"});
    spec.mac = MacAddress::parse("02:00:00:00:00:07");
    CHECK(attach_pod(*world.host, ns.get(), spec).mac == *spec.mac);
    spec.mac = MacAddress::parse("02:00:00:00:00:08");
    CHECK(attach_pod(*world.host, ns.get(), spec).mac == *spec.mac);
    CHECK(os::Netlink::open_in(ns.get()).require_link("eth0").mac == *spec.mac);
}

TEST_CASE("an interface of another making is not touched") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = test::new_netns();
    os::Netlink inside = os::Netlink::open_in(ns.get());
    inside.create_bridge({"eth0", {{2, 0, 0, 0, 0, 9}}, 1500});
    CHECK_THROWS_WITH_AS(attach_pod(*world.host, ns.get(), pod({"10.32.0.2/12"})),
                         doctest::Contains("already has an interface eth0"),
                         std::system_error);
    CHECK(inside.link("eth0"));
    CHECK(world.host->list().empty());
    CHECK_THROWS_AS(attach_pod(*world.host, world.ns.get(), pod({"10.32.0.2/12"})),
                    std::system_error);
}

TEST_CASE("pods are detached by namespace and interface") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = test::new_netns();
    const os::UniqueFd b = test::new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    attach_pod(*world.host, b.get(), pod({"10.32.0.3/12"}, "two"));
    CHECK(world.host->list().size() == 2);
    CHECK(world.host->detach_pod(os::netns_inode(a.get()), "eth0"));
    CHECK_FALSE(world.host->detach_pod(os::netns_inode(a.get()), "eth0"));
    CHECK_FALSE(os::Netlink::open_in(a.get()).link("eth0"));
    CHECK(world.host->detach_pod(os::netns_inode(b.get()), "eth0"));
    CHECK_FALSE(world.host->detach_pod(os::netns_inode(b.get()), "eth0"));
    CHECK(world.host->list().empty());
}

TEST_CASE("half an attachment is none") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = test::new_netns();
    os::Netlink inside = os::Netlink::open_in(ns.get());
    PodSpec spec = pod({"10.32.0.2/12"});
    spec.addresses.push_back({*IpAddress::parse("10.32.0.3"), 200});
    CHECK_THROWS_AS(attach_pod(*world.host, ns.get(), spec), std::system_error);
    CHECK_FALSE(inside.link("eth0"));
    CHECK(world.host->list().empty());
    spec.addresses.pop_back();
    attach_pod(*world.host, ns.get(), spec);
    spec.addresses = {*Prefix::parse("10.32.0.4/12"), {*IpAddress::parse("10.32.0.3"), 200}};
    CHECK_THROWS_AS(world.host->prepare_pod(ns.get(), spec), std::system_error);
    REQUIRE(world.host->list().size() == 1);
    CHECK(world.host->list()[0].addresses == pod({"10.32.0.2/12"}).addresses);
}

TEST_CASE("an attachment that is undone leaves what was there before") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = test::new_netns();
    const PreparedPod first = world.host->prepare_pod(ns.get(), pod({"10.32.0.2/12"}));
    CHECK(first.made);
    const PreparedPod again =
        world.host->prepare_pod(ns.get(), pod({"10.32.0.2/12", "10.32.0.3/12"}));
    CHECK_FALSE(again.made);
    CHECK(again.added == pod({"10.32.0.3/12"}).addresses);
    world.host->undo(ns.get(), again);
    REQUIRE(world.host->list().size() == 1);
    CHECK(world.host->list()[0].addresses == pod({"10.32.0.2/12"}).addresses);
    world.host->undo(ns.get(), first);
    CHECK(world.host->list().empty());
}

TEST_CASE("pods come along to another bridge and another MTU, and the old bridge goes") {
    World world;
    world.host->ensure_bridge();
    const Prefix exposed = *Prefix::parse("10.32.0.1/12");
    world.host->expose(exposed);
    const os::UniqueFd ns = test::new_netns();
    attach_pod(*world.host, ns.get(), pod({"10.32.0.2/12"}));
    HostSettings settings;
    settings.bridge = "other";
    settings.tap = "other-tap";
    settings.mtu = 1300;
    std::unique_ptr<Host> next;
    os::run_in_netns(world.ns.get(), [&] { next = std::make_unique<Host>(settings); });
    next->ensure_bridge();
    const os::Tap tap = next->ensure_tap(1);
    next->adopt_pods();
    const os::Link port =
        world.netlink.require_link(host_ifname(os::netns_inode(ns.get()), "eth0"));
    CHECK(port.master == world.netlink.require_link("other").index);
    CHECK(port.mtu == 1300);
    world.netlink.create_bridge({"theirs", {{2, 0, 0, 0, 0, 9}}, 1500});
    next->leave_old_bridges({exposed});
    CHECK_FALSE(world.netlink.link("weave"));
    CHECK(world.netlink.link("theirs"));
}

TEST_CASE("the bridge of another router that works is left alone, with its pods") {
    World world;
    world.host->ensure_bridge();
    const os::Tap tap = world.host->ensure_tap(1);
    const os::UniqueFd ns = test::new_netns();
    attach_pod(*world.host, ns.get(), pod({"10.32.0.2/12"}));
    HostSettings settings;
    settings.bridge = "other";
    settings.tap = "other-tap";
    std::unique_ptr<Host> next;
    os::run_in_netns(world.ns.get(), [&] { next = std::make_unique<Host>(settings); });
    next->ensure_bridge();
    next->adopt_pods();
    next->leave_old_bridges({});
    CHECK(next->list().empty());
    REQUIRE(world.host->list().size() == 1);
    CHECK(world.netlink.require_link(world.host->list()[0].host_ifname).master ==
          world.netlink.require_link("weave").index);
}

TEST_CASE("exposing and hiding are idempotent") {
    World world;
    world.host->ensure_bridge();
    const Prefix prefix = *Prefix::parse("10.32.0.1/12");
    CHECK(world.host->expose(prefix));
    CHECK_FALSE(world.host->expose(prefix));
    CHECK(world.host->exposed() == std::vector{prefix});
    CHECK(world.host->hide(prefix));
    CHECK_FALSE(world.host->hide(prefix));
}

TEST_CASE("a pod that was made without IPv6 gets it for an IPv6 address only") {
    World world;
    world.host->ensure_bridge();
    for (const bool wants_v6 : {false, true}) {
        const os::UniqueFd ns = test::new_netns();
        os::write_sysctl(ns.get(), "net/ipv6/conf/default/disable_ipv6", "1");
        const PodSpec spec =
            wants_v6 ? pod({"10.32.0.2/12", "fd00:5::2/64"}) : pod({"10.32.0.2/12"});
        CHECK(attach_pod(*world.host, ns.get(), spec).addresses == spec.addresses);
        CHECK(sysctl(ns, "net/ipv6/conf/eth0/disable_ipv6") == (wants_v6 ? "0" : "1"));
    }
}

TEST_CASE("a persistent tap that nobody holds is replaced") {
    World world;
    world.host->ensure_bridge();
    {
        os::Tap old;
        os::run_in_netns(world.ns.get(), [&] { old = os::open_tap({"weave-tap", 1}); });
        REQUIRE(::ioctl(old.queues[0].get(), TUNSETPERSIST, 1) == 0);
    }
    const unsigned old_index = world.netlink.require_link("weave-tap").index;
    const os::Tap tap = world.host->ensure_tap(2);
    CHECK(tap.queues.size() == 2);
    CHECK(world.netlink.require_link("weave-tap").index != old_index);
}

TEST_CASE("a tap that is held but down is not taken for a stale one") {
    World world;
    world.host->ensure_bridge();
    os::Tap held;
    os::run_in_netns(world.ns.get(), [&] { held = os::open_tap({"weave-tap", 1}); });
    const unsigned index = world.netlink.require_link("weave-tap").index;
    CHECK_THROWS_AS(world.host->ensure_tap(1), std::system_error);
    CHECK(world.netlink.require_link("weave-tap").index == index);
}

TEST_CASE("an interface that the pod renamed is known by the name it was made with") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = test::new_netns();
    attach_pod(*world.host, ns.get(), pod({"10.32.0.2/12"}));
    os::Netlink inside = os::Netlink::open_in(ns.get());
    inside.set_up(inside.require_link("eth0"), false);
    os::run_in_netns(ns.get(), [] {
        ifreq request{};
        std::strcpy(request.ifr_name, "eth0");
        std::strcpy(request.ifr_newname, "net7");
        const os::UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::ioctl(socket.get(), SIOCSIFNAME, &request) == 0);
    });
    const auto listed = world.host->list();
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].ifname == "eth0");
    REQUIRE(world.host->known().size() == 1);
    CHECK(world.host->known()[0].ifname == "eth0");
    CHECK(world.host->known()[0].netns_inode == listed[0].netns_inode);
    CHECK(world.host->known()[0].host_ifname == listed[0].host_ifname);
    CHECK(world.host->known()[0].host_mac == listed[0].host_mac);
    CHECK(listed[0].addresses == std::vector{*Prefix::parse("10.32.0.2/12")});
    CHECK(world.host->detach_pod(os::netns_inode(ns.get()), "eth0"));
}

TEST_CASE("a pod on the bridge gets the default route and the routes that are asked for") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd ns = new_netns();
    PodSpec spec = pod({"10.32.0.2/12", "fd00:5::2/64"});
    spec.mtu = 1280;
    spec.gateways = {*IpAddress::parse("10.32.9.1"), *IpAddress::parse("fd00:5::91")};
    spec.routes = {{*Prefix::parse("192.0.2.0/24"), {}},
                   {*Prefix::parse("198.51.100.0/24"), IpAddress::parse("10.32.0.9")}};
    CHECK(attach_pod(*world.host, ns.get(), spec).mtu == 1280);
    const auto routes = os::Netlink::open_in(ns.get()).routes();
    for (const auto& [destination, gateway] : {std::array{"0.0.0.0/0", "10.32.9.1"},
                                               std::array{"::/0", "fd00:5::91"},
                                               std::array{"192.0.2.0/24", "10.32.9.1"},
                                               std::array{"198.51.100.0/24", "10.32.0.9"}}) {
        CAPTURE(destination);
        CHECK(std::ranges::any_of(routes, [&](const os::Route& each) {
            return each.destination == Prefix::parse(destination) &&
                   each.gateway == IpAddress::parse(gateway);
        }));
    }
    spec.mtu = 1400;
    CHECK_THROWS_WITH_AS(world.host->prepare_pod(ns.get(), spec),
                         doctest::Contains("carries an MTU of 1376"),
                         std::system_error);
}
