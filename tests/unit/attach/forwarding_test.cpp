// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/forwarding.hpp"
#include "tests/unit/attach/firewall_world.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

using Changes = std::vector<std::string>;

} // namespace

TEST_CASE("a host that becomes a router goes on listening to router advertisements") {
    const os::UniqueFd ns = new_netns();
    shell(ns, "ip link add up0 type veth peer name up1; ip link add weave type bridge");
    shell(ns, "ip link add wv01 type veth peer name other");
    shell(ns, "ip link set weave alias weave; ip link set wv01 alias 'weave|1|eth0|'");
    shell(ns, "echo 0 >/proc/sys/net/ipv6/conf/up1/accept_ra");
    // Each family for itself, and once only.
    CHECK(enable_forwarding(ns.get(), false, false).empty());
    CHECK(enable_forwarding(ns.get(), true, false) == Changes{"net/ipv4/ip_forward: 0 -> 1"});
    CHECK(enable_forwarding(ns.get(), true, false).empty());
    Changes changes = enable_forwarding(ns.get(), true, true);
    REQUIRE(!changes.empty());
    CHECK(changes.back() == "net/ipv6/conf/all/forwarding: 0 -> 1"); // after all accept_ra
    changes.pop_back();
    std::ranges::sort(changes);
    CHECK(changes ==
          Changes{"net/ipv6/conf/other/accept_ra: 1 -> 2", "net/ipv6/conf/up0/accept_ra: 1 -> 2"});
    const auto value = [&](const std::string& name) {
        return os::read_sysctl(ns.get(), "net/ipv6/conf/" + name + "/accept_ra");
    };
    CHECK(value("up0") == "2");
    CHECK(value("up1") == "0");
    CHECK(value("weave") == "1");
    CHECK(value("wv01") == "1");
    CHECK(value("default") == "1");
    CHECK(os::read_sysctl(ns.get(), "net/ipv6/conf/up0/forwarding") == "1");
    CHECK(enable_forwarding(ns.get(), true, true).empty());
}

TEST_CASE("where the host is a router already nothing is changed") {
    const os::UniqueFd ns = new_netns();
    shell(
        ns,
        "ip link add up0 type veth peer name up1; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
    CHECK(enable_forwarding(ns.get(), false, true).empty());
    CHECK(os::read_sysctl(ns.get(), "net/ipv6/conf/up0/accept_ra") == "1");
}
