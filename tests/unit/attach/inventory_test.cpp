// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/attach/world.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string>
#include <thread>

#include <unistd.h>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

/** What a host that has just been made reads from the kernel. */
bool is_what_a_new_one_reads(World& world) {
    const auto text = [](const Attachment& each) {
        std::string out = each.host_ifname + ' ' + each.id + ' ' + each.ifname + ' ' +
                          each.mac.text() + ' ' + std::to_string(each.mtu);
        for (const Prefix& prefix : each.addresses) {
            out += ' ' + prefix.text();
        }
        return out;
    };
    std::set<std::string> known, fresh;
    std::ranges::transform(world.host->list(), std::inserter(known, known.end()), text);
    std::ranges::transform(world.make()->list(), std::inserter(fresh, fresh.end()), text);
    CHECK(known == fresh);
    return known == fresh;
}

} // namespace

TEST_CASE("what a pod changes inside itself is known at once") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    attach_pod(*world.host, b.get(), pod({"10.32.0.3/12", "fd00:5::3/64"}, "two"));
    REQUIRE(world.host->list().size() == 2);
    os::Netlink inside = os::Netlink::open_in(b.get());
    const os::Link link = inside.require_link("eth0");
    const auto of_b = [&] {
        const auto all = world.host->list();
        const auto found = std::ranges::find(all, "two", &Attachment::id);
        return found == all.end() ? Attachment{} : *found;
    };
    inside.set_mac(link, *MacAddress::parse("02:00:00:00:00:07"));
    CHECK(of_b().mac.text() == "02:00:00:00:00:07");
    inside.add_address(link, *Prefix::parse("10.32.0.9/12"));
    CHECK(of_b().addresses.size() == 3);
    inside.delete_address(link, *Prefix::parse("fd00:5::3/64"));
    CHECK(of_b().addresses == pod({"10.32.0.3/12", "10.32.0.9/12"}).addresses);
    inside.set_mtu(link, 1300);
    CHECK(of_b().mtu == 1300);
    CHECK(is_what_a_new_one_reads(world));
}

TEST_CASE("what others do to pods' links is known at once") {
    World world;
    world.host->ensure_bridge();
    os::UniqueFd a = new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    CHECK(world.host->list().size() == 1);
    const auto other = world.make();
    const os::UniqueFd b = new_netns();
    attach_pod(*other, b.get(), pod({"10.32.0.3/12"}, "two"));
    CHECK(world.host->list().size() == 2);
    CHECK(is_what_a_new_one_reads(world));
    const auto gone = [&] { return world.host->list().size() == 1; };
    a = {}; // the namespace goes, and its links a little later
    for (int tries = 0; tries < 500 && !gone(); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(gone());
    // Its number in our namespace is free for the next one.
    const os::UniqueFd c = new_netns();
    attach_pod(*other, c.get(), pod({"10.32.0.4/12"}, "three"));
    CHECK(world.host->list().size() == 2);
    CHECK(is_what_a_new_one_reads(world));
    CHECK(other->detach_pod(os::netns_inode(c.get()), "eth0"));
    CHECK(gone());
    world.netlink.set_mtu(world.netlink.require_link(world.host->list()[0].host_ifname), 1280);
    CHECK(world.host->ports()[0].mtu == 1280);
}

TEST_CASE("a pod's interface that moves on to another namespace is followed") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    CHECK(world.host->list()[0].addresses.size() == 1);
    const std::string to = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(b.get());
    os::run_in_netns(a.get(),
                     [&] { REQUIRE(std::system(("ip link set eth0 netns " + to).c_str()) == 0); });
    os::Netlink inside = os::Netlink::open_in(b.get());
    inside.add_address(inside.require_link("eth0"), *Prefix::parse("10.32.0.2/12"));
    CHECK(world.host->list()[0].addresses.size() == 1);
    CHECK(is_what_a_new_one_reads(world));
}

TEST_CASE("addresses of the host are known at once") {
    World world;
    world.host->ensure_bridge();
    CHECK(world.host->exposed().empty());
    const os::Link bridge = world.netlink.require_link("weave");
    world.netlink.add_address(bridge, *Prefix::parse("10.32.0.1/12"));
    CHECK(world.host->exposed() == pod({"10.32.0.1/12"}).addresses);
    world.netlink.delete_address(bridge, *Prefix::parse("10.32.0.1/12"));
    CHECK(world.host->exposed().empty());
}
