// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/links.hpp"
#include "tests/unit/attach/world.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <set>
#include <system_error>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

PodSpec routed(std::vector<std::string> prefixes, std::string id = "one") {
    PodSpec spec = pod(std::move(prefixes), std::move(id));
    spec.mode = Mode::routed;
    return spec;
}

/** A world whose host has addresses for itself and a bridge with a carrier. */
struct RoutedWorld : World {
    os::Tap tap;

    RoutedWorld() {
        host->ensure_bridge();
        tap = host->ensure_tap(1);
        host->set_node_addresses({*Prefix::parse("10.32.9.1/12"), *Prefix::parse("fd00:5::91/64")});
    }

    /** The next frame to the mesh that `wanted` takes, within a second. */
    template <class Predicate> Bytes next_frame(Predicate wanted) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
        while (std::chrono::steady_clock::now() < end) {
            Bytes buffer(4096);
            pollfd poll{tap.queues[0].get(), POLLIN, 0};
            ::poll(&poll, 1, 50);
            const ssize_t got = ::read(tap.queues[0].get(), buffer.data(), buffer.size());
            if (got > os::kVnetHeaderSize) {
                Bytes frame(buffer.begin() + os::kVnetHeaderSize, buffer.begin() + got);
                if (wanted(frame)) {
                    return frame;
                }
            }
        }
        return {};
    }

    std::vector<os::Route> ours() { return netlink.routes(os::kOwnProtocol); }

    bool routes_to(const std::string& address) {
        const auto all = ours();
        return std::ranges::any_of(all, [&](const os::Route& each) {
            return each.destination.address == IpAddress::parse(address) && !each.gateway;
        });
    }

    bool answers_for(const std::string& address) {
        const auto all = netlink.neighbours(netlink.require_link("weave"));
        return std::ranges::any_of(all, [&](const os::Neighbour& each) {
            return each.proxy && each.address == IpAddress::parse(address);
        });
    }
};

MacAddress mac_at(const Bytes& frame, std::size_t at) {
    MacAddress out;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), 6, out.octets.begin());
    return out;
}

void send_to(const os::UdpSocket& from, const std::string& address) {
    std::uint8_t byte = 1;
    const iovec part{&byte, 1};
    CHECK(from.send({*IpAddress::parse(address), 5000}, {}, {&part, 1}) == 0);
}

/** All that passes an interface of a namespace. */
os::UniqueFd listen_to(const os::UniqueFd& ns, const std::string& ifname) {
    os::UniqueFd socket;
    os::run_in_netns(ns.get(), [&] {
        socket = os::UniqueFd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        sockaddr_ll name{};
        name.sll_family = AF_PACKET;
        name.sll_protocol = htons(ETH_P_ALL);
        name.sll_ifindex = static_cast<int>(::if_nametoindex(ifname.c_str()));
        REQUIRE(name.sll_ifindex != 0);
        REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    });
    return socket;
}

template <class Predicate> bool hears(const os::UniqueFd& socket, Predicate wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (std::chrono::steady_clock::now() < end) {
        pollfd poll{socket.get(), POLLIN, 0};
        ::poll(&poll, 1, 50);
        Bytes frame(2048);
        const ssize_t got = ::recv(socket.get(), frame.data(), frame.size(), 0);
        if (got > 0) {
            frame.resize(static_cast<std::size_t>(got));
            if (wanted(frame)) {
                return true;
            }
        }
    }
    return false;
}

bool has_at(const Bytes& frame, std::size_t at, const IpAddress& address) {
    const ByteView bytes = address.bytes();
    return frame.size() >= at + bytes.size() &&
           std::equal(bytes.begin(), bytes.end(), frame.begin() + static_cast<std::ptrdiff_t>(at));
}

/** An ARP request of 10.32.0.2 for itself. */
bool is_gratuitous_arp(const Bytes& frame) {
    const IpAddress own = *IpAddress::parse("10.32.0.2");
    return frame.size() >= 42 && frame[12] == 8 && frame[13] == 6 && has_at(frame, 28, own) &&
           has_at(frame, 38, own);
}

/** A neighbour advertisement about fd00:5::2. */
bool is_advertisement(const Bytes& frame) {
    return frame.size() >= 78 && frame[12] == 0x86 && frame[13] == 0xdd && frame[54] == 136 &&
           has_at(frame, 62, *IpAddress::parse("fd00:5::2"));
}

} // namespace

TEST_CASE("routed pods talk to each other and to the host, on both families") {
    RoutedWorld world;
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    const Attachment one =
        attach_pod(*world.host, a.get(), routed({"10.32.0.2/12", "fd00:5::2/64"}));
    CHECK(one.mode == Mode::routed);
    CHECK(one.mtu == 1376);
    CHECK(one.addresses == pod({"10.32.0.2/32", "fd00:5::2/128"}).addresses);
    CHECK(one.gateways ==
          std::vector{*IpAddress::parse("169.254.1.1"), *IpAddress::parse("fe80::1")});
    attach_pod(*world.host, b.get(), routed({"10.32.0.3/12", "fd00:5::3/64"}, "two"));
    CHECK(world.netlink.require_link(one.host_ifname).master == 0);
    CHECK(reaches(udp_in(a, "10.32.0.2"), udp_in(b, "10.32.0.3")));
    CHECK(reaches(udp_in(b, "fd00:5::3"), udp_in(a, "fd00:5::2")));
    CHECK(reaches(udp_in(world.ns, "10.32.9.1"), udp_in(a, "10.32.0.2")));
    CHECK(reaches(udp_in(a, "10.32.0.2"), udp_in(world.ns, "10.32.9.1")));
    CHECK(reaches(udp_in(world.ns, "fd00:5::91"), udp_in(b, "fd00:5::3")));
    CHECK(reaches(udp_in(b, "fd00:5::3"), udp_in(world.ns, "fd00:5::91")));
    // Nothing had to be asked for.
    for (const auto* ns : {&a, &b}) {
        os::Netlink inside = os::Netlink::open_in(ns->get());
        for (const os::Neighbour& each : inside.neighbours(inside.require_link("eth0"))) {
            CHECK((each.permanent || each.address.is_multicast()));
        }
    }
    // A pod that forgets its gateway finds it again.
    os::Netlink forgetful = os::Netlink::open_in(a.get());
    for (const os::Neighbour& each : forgetful.neighbours(forgetful.require_link("eth0"))) {
        forgetful.delete_neighbour(each);
    }
    CHECK(reaches(udp_in(a, "10.32.0.2"), udp_in(b, "10.32.0.3")));
    CHECK(reaches(udp_in(a, "fd00:5::2"), udp_in(b, "fd00:5::3")));
    // Where the pod's packets come from is what the host itself answers with.
    const auto routes = world.ours();
    CHECK(std::ranges::all_of(routes, [](const os::Route& each) {
        return each.source ==
               IpAddress::parse(each.destination.address.is_v4() ? "10.32.9.1" : "fd00:5::91");
    }));
}

TEST_CASE("what is elsewhere goes to the mesh under the router's MAC, and no neighbour is kept") {
    RoutedWorld world;
    const os::UniqueFd ns = new_netns();
    attach_pod(*world.host, ns.get(), routed({"10.32.0.2/12", "fd00:5::2/64"}));
    world.host->converge_routes(world.host->list());
    const MacAddress own = world.netlink.require_link("weave").mac;
    NodeId node;
    node.octets[3] = 7;
    REQUIRE(own == bridge_mac(node));
    const os::UdpSocket from_pod4 = udp_in(ns, "10.32.0.2");
    const os::UdpSocket from_pod6 = udp_in(ns, "fd00:5::2");
    const os::UdpSocket from_host4 = udp_in(world.ns, "10.32.9.1");
    for (const auto& [from, to] : {std::pair{&from_pod4, "10.40.1.1"},
                                   std::pair{&from_pod6, "fd00:5::77"},
                                   std::pair{&from_host4, "10.40.1.2"}}) {
        CAPTURE(to);
        const IpAddress address = *IpAddress::parse(to);
        send_to(*from, to);
        const Bytes frame = world.next_frame(
            [&](const Bytes& each) { return has_at(each, address.is_v4() ? 30 : 38, address); });
        REQUIRE(!frame.empty());
        CHECK(mac_at(frame, 0) == kRouterMac);
        CHECK(mac_at(frame, 6) == own);
    }
    for (const os::Neighbour& each :
         world.netlink.neighbours(world.netlink.require_link("weave"))) {
        CAPTURE(each.address.text());
        CHECK((each.proxy || each.address.is_link_local() || each.address.is_multicast()));
    }
}

TEST_CASE("frames to the router's MAC reach no pod on the bridge") {
    RoutedWorld world;
    const os::UniqueFd bridged = new_netns();
    attach_pod(*world.host, bridged.get(), pod({"10.32.0.3/12"}, "two"));
    const os::UniqueFd ear = listen_to(bridged, "eth0");
    // Not even after one of them claimed it.
    os::Netlink inside = os::Netlink::open_in(bridged.get());
    inside.set_mac(inside.require_link("eth0"), kRouterMac);
    send_to(udp_in(bridged, "10.32.0.3"), "10.32.0.99");
    world.host->converge_routes({});
    send_to(udp_in(world.ns, "10.32.9.1"), "10.40.1.1");
    CHECK(!world
               .next_frame([](const Bytes& each) {
                   return has_at(each, 30, *IpAddress::parse("10.40.1.1"));
               })
               .empty());
    CHECK_FALSE(hears(
        ear, [](const Bytes& each) { return has_at(each, 30, *IpAddress::parse("10.40.1.1")); }));
}

TEST_CASE("a pod on the bridge and a routed one of the same host reach each other, and the host") {
    RoutedWorld world;
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), routed({"10.32.0.2/12", "fd00:5::2/64"}));
    attach_pod(*world.host, b.get(), pod({"10.32.0.3/12", "fd00:5::3/64"}, "two"));
    world.host->converge_routes(world.host->list());
    CHECK(reaches(udp_in(b, "10.32.0.3"), udp_in(a, "10.32.0.2")));
    CHECK(reaches(udp_in(a, "10.32.0.2"), udp_in(b, "10.32.0.3")));
    CHECK(reaches(udp_in(b, "fd00:5::3"), udp_in(a, "fd00:5::2")));
    CHECK(reaches(udp_in(a, "fd00:5::2"), udp_in(b, "fd00:5::3")));
    CHECK(reaches(udp_in(world.ns, "10.32.9.1"), udp_in(b, "10.32.0.3")));
    CHECK(reaches(udp_in(b, "fd00:5::3"), udp_in(world.ns, "fd00:5::91")));
    CHECK(world.answers_for("10.32.0.2"));
    CHECK(world.answers_for("fd00:5::2"));
    CHECK_FALSE(world.answers_for("10.32.0.3"));
}

TEST_CASE("a pod that is there has its addresses known to neighbours at once, in both modes") {
    for (const Mode mode : {Mode::bridge, Mode::routed}) {
        CAPTURE(name_of(mode));
        RoutedWorld world;
        const os::UniqueFd other = new_netns();
        attach_pod(*world.host, other.get(), pod({"10.32.0.3/12"}, "two"));
        const os::UniqueFd ns = new_netns();
        PodSpec spec = pod({"10.32.0.2/12", "fd00:5::2/64"});
        spec.mode = mode;
        const PreparedPod prepared = world.host->prepare_pod(ns.get(), spec);
        const bool routed_pod = mode == Mode::routed;
        const os::UniqueFd ear = listen_to(routed_pod ? world.ns : other,
                                           routed_pod ? prepared.pod.host_ifname : "eth0");
        world.host->start_pod(ns.get(), spec);
        // No duplicate address detection: a socket can be bound at once.
        CHECK_NOTHROW(udp_in(ns, "fd00:5::2"));
        std::set<std::string> heard;
        hears(ear, [&](const Bytes& frame) {
            if (is_gratuitous_arp(frame)) {
                heard.insert("arp");
            }
            if (is_advertisement(frame)) {
                heard.insert("advertisement");
            }
            return heard.size() == 2;
        });
        CHECK(heard == std::set<std::string>{"arp", "advertisement"});
    }
}

TEST_CASE("attaching a routed pod again changes nothing, and adds what is missing") {
    RoutedWorld world;
    const os::UniqueFd ns = new_netns();
    const Attachment first = attach_pod(*world.host, ns.get(), routed({"10.32.0.2/12"}));
    const auto before = world.ours();
    const Attachment same = attach_pod(*world.host, ns.get(), routed({"10.32.0.2/12"}));
    CHECK(same.host_mac == first.host_mac);
    CHECK(world.ours().size() == before.size());
    const Attachment more = attach_pod(*world.host, ns.get(), routed({"fd00:5::2/64"}, ""));
    CHECK(more.id == "one");
    CHECK(more.addresses.size() == 2);
    const Attachment four = attach_pod(*world.host, ns.get(), routed({"10.32.0.2/12"}));
    CHECK(reaches(udp_in(ns, "fd00:5::2"), udp_in(world.ns, "fd00:5::91")));
    CHECK_THROWS_WITH_AS(world.host->prepare_pod(ns.get(), pod({"10.32.0.2/12"})),
                         doctest::Contains("which is routed"),
                         std::system_error);
    CHECK(world.host->list().size() == 1);
}

TEST_CASE("half a routed attachment is none, and an undone one leaves what was there") {
    RoutedWorld world;
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), routed({"10.32.0.2/12"}));
    CHECK_THROWS_WITH_AS(world.host->prepare_pod(b.get(), routed({"10.32.0.3/12", "10.32.0.2/12"})),
                         doctest::Contains("has a route to 10.32.0.2/32 already"),
                         std::system_error);
    CHECK_FALSE(os::Netlink::open_in(b.get()).link("eth0"));
    CHECK_FALSE(world.routes_to("10.32.0.3"));
    CHECK_FALSE(world.answers_for("10.32.0.3"));
    CHECK(world.routes_to("10.32.0.2"));
    const PreparedPod again =
        world.host->prepare_pod(a.get(), routed({"10.32.0.2/12", "fd00:5::2/64"}));
    CHECK(world.routes_to("fd00:5::2"));
    world.host->undo(a.get(), again);
    CHECK_FALSE(world.routes_to("fd00:5::2"));
    CHECK_FALSE(world.answers_for("fd00:5::2"));
    CHECK(world.routes_to("10.32.0.2"));
    CHECK_THROWS_WITH_AS(world.host->prepare_pod(b.get(), routed({"10.99.0.2/16"})),
                         doctest::Contains("of the mesh's range"),
                         std::system_error);
    CHECK_THROWS_WITH_AS(world.host->prepare_pod(b.get(), routed({})),
                         doctest::Contains("needs an address"),
                         std::system_error);
}

TEST_CASE("a routed pod is found by its id and detached without its namespace") {
    RoutedWorld world;
    const os::UniqueFd ns = new_netns();
    const std::string id = "cni/net/" + std::string(192, 'f');
    REQUIRE(id.size() == 200);
    PodSpec spec = routed({"10.32.0.2/12", "fd00:5::2/64"}, id);
    spec.ifname = "a-name-of-15-ch";
    spec.mtu = 65535;
    attach_pod(*world.host, ns.get(), spec);
    CHECK_FALSE(world.host->find(id, "eth0"));
    CHECK_FALSE(world.host->find("", spec.ifname));
    const auto found = world.make()->find(id, spec.ifname);
    REQUIRE(found);
    CHECK(found->mode == Mode::routed);
    CHECK(found->mtu == 65535);
    CHECK(found->id == id);
    CHECK(world.host->detach_pod(found->netns_inode, found->ifname));
    CHECK_FALSE(world.host->find(id, spec.ifname));
    CHECK_FALSE(world.routes_to("10.32.0.2"));
    CHECK_FALSE(world.answers_for("10.32.0.2"));
    CHECK_FALSE(world.answers_for("fd00:5::2"));
}

TEST_CASE("a namespace that goes takes all ways to its pods with it") {
    RoutedWorld world;
    os::UniqueFd a = new_netns();
    os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), routed({"10.32.0.2/12", "fd00:5::2/64"}));
    attach_pod(*world.host, b.get(), pod({"10.32.0.3/12"}, "two"));
    world.host->converge_routes(world.host->list());
    CHECK(world.routes_to("10.32.0.3"));
    a = os::UniqueFd{};
    b = os::UniqueFd{};
    for (int tries = 0; tries < 200 && !world.host->ports().empty(); ++tries) {
        ::usleep(10000); // the kernel takes namespaces down behind our back
    }
    REQUIRE(world.host->ports().empty());
    CHECK_FALSE(world.routes_to("10.32.0.2"));
    world.host->converge_routes(world.host->list());
    CHECK_FALSE(world.routes_to("10.32.0.3"));
    CHECK_FALSE(world.answers_for("10.32.0.2"));
    CHECK_FALSE(world.answers_for("fd00:5::2"));
}

TEST_CASE("routes are made again, follow the host's address, and are none of what pods invent") {
    RoutedWorld world;
    const os::UniqueFd ns = new_netns();
    const Attachment one = attach_pod(*world.host, ns.get(), routed({"10.32.0.2/12"}));
    const os::Link port = world.netlink.require_link(one.host_ifname);
    world.netlink.set_up(port, false); // takes the routes
    CHECK_FALSE(world.routes_to("10.32.0.2"));
    world.netlink.set_up(port, true);
    os::Netlink inside = os::Netlink::open_in(ns.get());
    inside.add_address(inside.require_link("eth0"), *Prefix::parse("10.32.0.66/32"));
    const auto next = world.make();
    next->set_node_addresses({*Prefix::parse("10.32.9.2/12")});
    next->converge_routes({one});
    CHECK(reaches(udp_in(world.ns, "10.32.9.2"), udp_in(ns, "10.32.0.2")));
    CHECK_FALSE(world.routes_to("10.32.0.66"));
    const auto routes = world.ours();
    CHECK(routes.size() == 2);
    CHECK(std::ranges::all_of(routes, [](const os::Route& each) {
        return each.source == IpAddress::parse("10.32.9.2");
    }));
    CHECK(next->exposed().empty());
    CHECK(next->routes());
    next->set_node_addresses({});
    next->converge_routes({});
    CHECK_FALSE(next->routes());
    CHECK(world.ours().empty());
}

TEST_CASE("an address that is exposed may be the host's own as well, and an exposed network goes "
          "before") {
    RoutedWorld world;
    CHECK(world.host->exposed().empty());
    const std::vector exposed{*Prefix::parse("10.32.8.1/32"), *Prefix::parse("10.32.8.2/12")};
    for (const Prefix& each : exposed) {
        CHECK(world.host->expose(each));
    }
    world.host->set_node_addresses({exposed[0]});
    world.host->converge_routes({});
    CHECK(world.host->exposed() == exposed);
    world.host->set_node_addresses({});
    CHECK(world.host->exposed() == exposed);
}

TEST_CASE("routed pods come along to another start, with the MTU that is theirs") {
    RoutedWorld world;
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), routed({"10.32.0.2/12"}));
    PodSpec small = routed({"10.32.0.3/12"}, "two");
    small.mtu = 1280;
    CHECK(attach_pod(*world.host, b.get(), small).mtu == 1280);
    world.tap = {}; // that router is gone
    HostSettings settings;
    settings.bridge = "other";
    settings.tap = "other-tap";
    settings.mtu = 1300;
    settings.ranges = {*Prefix::parse("10.32.0.0/12")};
    std::unique_ptr<Host> next;
    os::run_in_netns(world.ns.get(), [&] { next = std::make_unique<Host>(settings); });
    next->ensure_bridge();
    const os::Tap tap = next->ensure_tap(1);
    next->adopt_pods(); // it cannot get at their ends: no process and no mount shows these
    next->leave_old_bridges({});
    next->set_node_addresses({*Prefix::parse("10.32.9.1/12")});
    next->converge_routes(next->list());
    CHECK_FALSE(world.netlink.link("weave"));
    std::map<std::string, unsigned> mtus;
    for (const Attachment& each : next->list()) {
        const os::Link port = world.netlink.require_link(each.host_ifname);
        CHECK(each.mode == Mode::routed);
        CHECK(port.master == 0);
        mtus[each.id] = port.mtu;
    }
    CHECK(mtus == std::map<std::string, unsigned>{{"one", 1300}, {"two", 1280}});
    CHECK(reaches(udp_in(a, "10.32.0.2"), udp_in(b, "10.32.0.3")));
    // And stay there while that router works.
    const auto third = world.make();
    third->ensure_bridge();
    CHECK(third->list().empty());
    third->adopt_pods();
    CHECK(next->list().size() == 2);
}

TEST_CASE("where another interface is the default route, a routed one is the way to the mesh") {
    RoutedWorld world;
    const os::UniqueFd ns = new_netns();
    os::Netlink inside = os::Netlink::open_in(ns.get());
    inside.create_veth({"net0", local_mac(1), 1500, "net1", local_mac(2), -1});
    const os::Link other = inside.require_link("net0");
    inside.set_up(other, true);
    os::Route route;
    route.destination = *Prefix::parse("0.0.0.0/0");
    route.index = other.index;
    inside.add_route(route);
    PodSpec spec = routed({"10.32.0.2/12"});
    spec.routes = {{*Prefix::parse("192.0.2.0/24"), {}}};
    attach_pod(*world.host, ns.get(), spec);
    CHECK(reaches(udp_in(ns, "10.32.0.2"), udp_in(world.ns, "10.32.9.1")));
    const unsigned own = inside.require_link("eth0").index;
    const auto routes = inside.routes();
    const auto through = [&](const char* destination) {
        return std::ranges::any_of(routes, [&](const os::Route& each) {
            return each.destination == Prefix::parse(destination) && each.index == own &&
                   each.gateway == IpAddress::parse("169.254.1.1");
        });
    };
    CHECK(through("10.32.0.0/12"));
    CHECK(through("192.0.2.0/24"));
    CHECK_FALSE(through("0.0.0.0/0"));
}

TEST_CASE("what a routed pod sends from an address that is not its own goes nowhere") {
    RoutedWorld world;
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), routed({"10.32.0.2/12"}));
    attach_pod(*world.host, b.get(), routed({"10.32.0.3/12"}, "two"));
    os::Netlink inside = os::Netlink::open_in(a.get());
    inside.add_address(inside.require_link("eth0"), *Prefix::parse("10.32.0.66/32"));
    const os::UdpSocket receiver = udp_in(b, "10.32.0.3");
    send_to(udp_in(a, "10.32.0.66"), "10.32.0.3");
    pollfd poll{receiver.fd(), POLLIN, 0};
    CHECK(::poll(&poll, 1, 300) == 0);
    CHECK(reaches(udp_in(a, "10.32.0.2"), receiver));
}
