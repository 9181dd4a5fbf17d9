// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/overlap.hpp"
#include "tests/unit/attach/firewall_world.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

struct Overlap : FirewallWorld {
    [[nodiscard]] std::string found(const std::string& bridge = "weave") {
        return find_overlap(netlink, settings().ranges, bridge);
    }
};

} // namespace

TEST_CASE("others' routes and addresses in a range are named, of both families") {
    struct Case {
        const char* what;
        std::string route;
        const char* remedy;
    };

    Overlap world;
    CHECK(world.found().empty());
    for (const Case& one : {Case{"route", "10.40.0.0/16 dev up0", ""},
                            Case{"route", "10.0.0.0/8 via 192.0.2.2 dev up0", ""},
                            Case{"route", "blackhole 10.33.0.0/24", ""},
                            Case{"route", "unreachable 10.33.0.0/24", ""},
                            Case{"route", "prohibit 10.33.0.0/24", ""},
                            Case{"route", "throw 10.33.0.0/24", ""},
                            Case{"-6 route", "fd32::/96 via 2001:db8::2 dev up0", "6"},
                            Case{"-6 route", "fd00::/8 dev up0", "6"}}) {
        CAPTURE(one.route);
        shell(world.ns, "ip " + std::string{one.what} + " add " + one.route);
        const std::string range = *one.remedy != '\0' ? "fd32::/64" : "10.32.0.0/12";
        CHECK(world.found() == "the pod range " + range + " overlaps this host's route '" +
                                   one.route + "': choose another --ipalloc-range" + one.remedy +
                                   ", the same on every host");
        shell(world.ns, "ip " + std::string{one.what} + " delete " + one.route);
        CHECK(world.found().empty());
    }
    shell(world.ns, "ip link set lo up; ip address add 10.40.0.1/32 dev lo");
    CHECK(world.found() == "the pod range 10.32.0.0/12 contains this host's address 10.40.0.1 on "
                           "lo: choose another --ipalloc-range, the same on every host");
    shell(world.ns, "ip address delete 10.40.0.1/32 dev lo; ip address add fd32::9/128 dev lo");
    CHECK(world.found() == "the pod range fd32::/64 contains this host's address fd32::9 on lo: "
                           "choose another --ipalloc-range6, the same on every host");
}

TEST_CASE("default routes, their halves, other tables and other addresses are no overlap") {
    Overlap world;
    shell(world.ns,
          "ip route add default via 192.0.2.2; ip route add 0.0.0.0/1 via 192.0.2.2; "
          "ip -6 route add default via 2001:db8::2; ip -6 route add 8000::/1 via 2001:db8::2; "
          "ip route add 10.40.0.0/16 dev up0 table 77; ip route add 10.0.0.0/11 dev up0");
    CHECK(world.found().empty());
}

TEST_CASE("what an earlier run, pods and other plugins left is no overlap") {
    Overlap world;
    const TestPod pod = world.bridged(2); // on a bridge with addresses, and so routes, of the host
    CHECK(world.found().empty());
    CHECK(world.found("another").empty()); // by its mark
    // As of a routed pod, and of ptp with weave-ipam.
    shell(
        world.ns,
        "ip route add 10.32.0.77/32 dev up0 proto 119; ip -6 route add fd32::77 dev up0 proto 119; "
        "ip route add 10.32.0.78/32 dev up0; ip -6 route add fd32::78 dev up0; "
        "ip address add 10.32.0.79/32 dev up0");
    CHECK(world.found().empty());
    // A bridge of others, though, is one, if its name is not the one we were given.
    shell(world.ns, "ip link set weave alias theirs");
    CHECK(world.found("another").find("dev weave'") != std::string::npos);
    CHECK(world.found().empty());
}
