// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/firewall.hpp"
#include "tests/unit/attach/firewall_world.hpp"

#include <doctest/doctest.h>

#include <string>
#include <system_error>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

/** Whom the server outside takes for the sender, of a pod's datagrams over both families. */
std::string seen_outside(const FirewallWorld& world, const TestPod& pod) {
    std::string out;
    for (const auto& [server, source] : {std::pair{"192.0.2.2", pod.rules.addresses[0]},
                                         {"2001:db8::2", pod.rules.addresses[1]}}) {
        const os::UdpSocket at = udp_in(world.outside, server);
        const auto from = sent_by(udp_in(pod.ns, source.text()), at.local(), at, kLong);
        out += (from ? from->address.text() : "nobody") + ' ';
    }
    return out;
}

} // namespace

TEST_CASE("what leaves the network has the host's address, of either kind of pod") {
    FirewallWorld world;
    const TestPod bridged = world.bridged(2);
    const TestPod routed = world.routed(30);
    CHECK(seen_outside(world, bridged) == "10.32.0.2 fd32::2 ");
    const auto firewall = world.firewall(world.settings());
    firewall->apply({bridged.rules, routed.rules});
    CHECK(seen_outside(world, bridged) == "192.0.2.1 2001:db8::1 ");
    CHECK(seen_outside(world, routed) == "192.0.2.1 2001:db8::1 ");
    CHECK(firewall->counters() == PortDrops{});
}

TEST_CASE("without masquerading pods keep their addresses") {
    FirewallWorld world;
    const TestPod pod = world.bridged(2);
    FirewallSettings settings = world.settings();
    settings.masquerade = false;
    const auto firewall = world.firewall(settings);
    firewall->apply({pod.rules});
    CHECK(seen_outside(world, pod) == "10.32.0.2 fd32::2 ");
    firewall->masquerade();
    CHECK(seen_outside(world, pod) == "192.0.2.1 2001:db8::1 ");
    firewall->masquerade(); // nothing new
    CHECK(firewall->intact());
}

TEST_CASE("between pods, and from outside, addresses stay as they are") {
    FirewallWorld world;
    const TestPod a = world.bridged(2);
    const TestPod b = world.bridged(3);
    const TestPod c = world.routed(30);
    world.firewall(world.settings())->apply({a.rules, b.rules, c.rules});
    for (const std::size_t family : {0U, 1U}) {
        const auto address = [&](const TestPod& pod) { return pod.rules.addresses[family].text(); };
        const os::UdpSocket in_a = udp_in(a.ns, address(a));
        const os::UdpSocket in_b = udp_in(b.ns, address(b));
        const os::UdpSocket in_c = udp_in(c.ns, address(c));
        CHECK(sent_by(in_a, in_b.local(), in_b, kLong) == in_a.local());
        // The two kinds meet through the host, to which the bridged one sends what is not on its
        // own link: no proxy is in this test.
        shell(a.ns,
              "ip route add " + address(c) + " via " + (family == 0 ? "10.32.0.1" : "fd32::1"));
        CHECK(sent_by(in_a, in_c.local(), in_c, kLong) == in_a.local());
        // A client outside is seen, and gets its answer from the pod's own address.
        const os::UdpSocket client =
            udp_in(world.outside, family == 0 ? "192.0.2.2" : "2001:db8::2");
        CHECK(sent_by(client, in_b.local(), in_b, kLong) == client.local());
        CHECK(sent_by(in_b, client.local(), client, kLong) == in_b.local());
        CHECK(sent_by(client, in_c.local(), in_c, kLong) == client.local());
        CHECK(sent_by(in_c, client.local(), client, kLong) == in_c.local());
    }
}

TEST_CASE("one port changes without the others, whether its link is there or not") {
    FirewallWorld world;
    const TestPod a = world.bridged(2);
    const TestPod b = world.bridged(3);
    const auto firewall = world.firewall(world.settings());
    firewall->apply({a.rules});
    const auto handles = [&] {
        return shell(world.ns, "nft -a list table bridge weave | grep chain");
    };
    const std::string before = handles();
    firewall->set_port(b.rules);
    PortRules gone{"wvffffffffff", a.rules.mac, {ip("10.32.0.9")}};
    firewall->set_port(gone);
    CHECK(firewall->intact());
    const std::string list = shell(world.ns, "nft list set bridge weave addresses4");
    CHECK(list.find('"' + b.rules.host_ifname + "\" . 10.32.0.3") != std::string::npos);
    CHECK(list.find("\"wvffffffffff\" . 10.32.0.9") != std::string::npos);

    // Another address in the place of the first one.
    PortRules changed = a.rules;
    changed.addresses = {ip("10.32.0.77"), ip("fd32::2")};
    firewall->set_port(changed);
    const os::UdpSocket in_a = udp_in(a.ns, "10.32.0.2");
    const os::UdpSocket in_b = udp_in(b.ns, "10.32.0.3");
    CHECK(!sent_by(in_a, in_b.local(), in_b, kShort));
    shell(a.ns, "ip address add 10.32.0.77/12 dev eth0");
    CHECK(sent_by(udp_in(a.ns, "10.32.0.77"), in_b.local(), in_b, kLong));

    world.host->detach_pod(os::netns_inode(a.ns.get()), "eth0");
    firewall->remove_port(a.rules.host_ifname);
    firewall->remove_port(a.rules.host_ifname);
    firewall->remove_port("wvffffffffff");
    CHECK(firewall->intact());
    const std::string left = shell(world.ns, "nft list ruleset");
    CHECK(left.find(a.rules.host_ifname) == std::string::npos);
    CHECK(left.find("wvffffffffff") == std::string::npos);
    CHECK(left.find(b.rules.host_ifname) != std::string::npos);
    CHECK(handles() == before);
}

TEST_CASE("what does not fit is refused in words, and nothing changes") {
    FirewallWorld world;
    FirewallSettings settings = world.settings();
    settings.bridge = "we\"ave";
    CHECK_THROWS_WITH_AS(
        world.firewall(settings), doctest::Contains("'we\"ave' is none"), std::system_error);
    const auto firewall = world.firewall(world.settings());
    for (const std::string name : {"wv\" }", "eth0"}) {
        CHECK_THROWS_WITH_AS(firewall->set_port({name, {}, {}}),
                             doctest::Contains("no host end of a pod's link"),
                             std::system_error);
    }
    CHECK(shell(world.ns, "nft list ruleset").empty());
}

TEST_CASE("a flushed ruleset is back at once, and our own changes are no reason") {
    FirewallWorld world;
    const TestPod pod = world.bridged(2);
    const auto firewall = world.firewall(world.settings());
    firewall->apply({pod.rules});
    CHECK(after_changes(*firewall).empty());
    firewall->set_port(pod.rules);
    firewall->set_port(world.bridged(3).rules);
    CHECK(after_changes(*firewall).empty());

    shell(world.ns, "nft flush ruleset");
    CHECK(!firewall->intact());
    const auto restored = after_changes(*firewall);
    REQUIRE(restored.size() == 1);
    CHECK(restored[0].find("they are back") != std::string::npos);
    CHECK(firewall->intact());
    CHECK(seen_outside(world, pod) == "192.0.2.1 2001:db8::1 ");
    CHECK(after_changes(*firewall).empty()); // what we did ourselves
    pollfd poll{firewall->native_handle(), POLLIN, 0};
    CHECK(::poll(&poll, 1, 0) == 0);
}

TEST_CASE("a part of our tables that others take is back, and other tables are their own affair") {
    FirewallWorld world;
    const TestPod pod = world.bridged(2);
    shell(world.ns, "nft add table ip theirs; nft add chain ip theirs one");
    const auto firewall = world.firewall(world.settings());
    firewall->apply({pod.rules});
    (void)after_changes(*firewall);
    for (const std::string damage : {"nft flush chain inet weave postrouting",
                                     "nft delete table arp weave",
                                     "nft flush set bridge weave macs",
                                     "nft insert rule bridge weave pod accept"}) {
        CAPTURE(damage);
        shell(world.ns, damage);
        CHECK(after_changes(*firewall).size() == 1);
        CHECK(firewall->intact());
        CHECK(after_changes(*firewall).empty());
    }
    shell(world.ns, "nft flush table ip theirs; nft add chain ip theirs two");
    CHECK(after_changes(*firewall).empty());
    const std::string theirs = shell(world.ns, "nft list table ip theirs");
    CHECK(theirs.find("chain one") != std::string::npos);
    CHECK(theirs.find("chain two") != std::string::npos);
}

TEST_CASE("the tables outlive us, counters go on, and remove takes everything") {
    FirewallWorld world;
    const TestPod pod = world.bridged(2);
    shell(world.ns, "nft add table inet theirs");
    auto firewall = world.firewall(world.settings());
    firewall->apply({pod.rules});
    shell(pod.ns, "ip link set eth0 address 02:00:00:00:00:66; ping -c 1 -W 1 10.32.0.1 || true");
    const std::uint64_t dropped = firewall->counters()[0].packets;
    CHECK(dropped > 0);
    firewall.reset();
    CHECK(shell(world.ns, "nft list table bridge weave").find("spoofed_mac") != std::string::npos);
    firewall = world.firewall(world.settings());
    CHECK(firewall->counters()[0].packets >= dropped);
    firewall->apply({pod.rules});
    CHECK(firewall->counters()[0].packets >= dropped);
    shell(world.ns, "nft flush ruleset");
    CHECK(firewall->check().size() == 1);
    CHECK(firewall->counters()[0].packets >= dropped);

    shell(world.ns, "nft add table inet theirs");
    firewall->remove();
    CHECK(shell(world.ns, "nft list tables") == "table inet theirs\n");
    CHECK(firewall->check().empty()); // removed is removed
    firewall->remove();
}

TEST_CASE("two routers on one host have tables of their own") {
    FirewallWorld world;
    const TestPod pod = world.bridged(2);
    FirewallSettings second = world.settings();
    second.table = "weave2";
    const auto a = world.firewall(world.settings());
    const auto b = world.firewall(second);
    a->apply({pod.rules});
    b->apply({});
    CHECK(a->intact());
    b->remove();
    CHECK(a->intact());
}
