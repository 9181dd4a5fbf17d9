// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "calls.hpp"
#include "cni/attach_plugin.hpp"
#include "os/netlink.hpp"
#include "os/tap.hpp"
#include "tests/support/test_netns.hpp"

namespace weave::test {

inline constexpr const char* kBridge = "weave";

/** A container and a node. */
struct Scene {
    os::UniqueFd ns = new_netns();
    std::string netns = "/proc/self/fd/" + std::to_string(ns.get());
    cni::AttachPlugin plugin{kShort};
    Calls calls{plugin};
    FakeWeaved weaved{calls.socket()};
    os::Netlink pod = os::Netlink::open_in(ns.get());

    os::Tap tap = on_bridge();

    Scene() {
        calls.variables["CNI_NETNS"] = netns;
        weaved.made = [](int fd, const json& row) { make(fd, row); };
        weaved.removed = [](const json& row) {
            os::Netlink host = os::Netlink::open();
            if (const auto link = host.link(row.at("host_ifname").get<std::string>())) {
                host.delete_link(*link);
            }
        };
    }

    /** The router's, on its bridge, as weaved makes them. */
    static os::Tap on_bridge() {
        os::Netlink host = os::Netlink::open();
        if (const auto old = host.link(kBridge)) {
            host.delete_link(*old);
        }
        host.create_bridge({kBridge, MacAddress::parse("02:00:00:00:00:0b").value(), 1376});
        os::Tap out = os::open_tap({.name = "weave-tap"});
        host.set_master(host.require_link("weave-tap"), host.require_link(kBridge).index);
        host.set_alias(host.require_link("weave-tap"), "weave");
        return out;
    }

    [[nodiscard]] json check(const json& result) {
        return calls("CHECK", {{"prevResult", result}});
    }

    static void add_default(os::Netlink& inside, const char* ifname, const char* gateway) {
        os::Route route;
        route.destination = Prefix::parse("0.0.0.0/0").value();
        route.gateway = IpAddress::parse(gateway);
        route.index = inside.require_link(ifname).index;
        inside.add_route(route);
    }

    static void make(int fd, const json& row) {
        os::Netlink host = os::Netlink::open();
        os::Netlink inside = os::Netlink::open_in(fd);
        const std::string ifname = row.at("ifname");
        if (!inside.link(ifname)) {
            os::VethSpec spec;
            spec.name = row.at("host_ifname");
            spec.mac = MacAddress::parse(row.at("host_mac").get<std::string>()).value();
            spec.mtu = row.at("mtu");
            spec.peer_name = ifname;
            spec.peer_mac = MacAddress::parse(row.at("mac").get<std::string>()).value();
            spec.peer_netns_fd = fd;
            host.create_veth(spec);
            host.set_up(host.require_link(spec.name), true);
            if (row.at("mode") == "bridge") {
                host.set_master(host.require_link(spec.name), host.require_link(kBridge).index);
            }
            inside.set_up(inside.require_link(ifname), true);
        }
        for (const json& address : row.at("addresses")) {
            inside.add_address(inside.require_link(ifname),
                               Prefix::parse(address.get<std::string>()).value());
        }
        if (row.at("routes") == true && row.at("mode") == "bridge" && !row.at("gateways").empty()) {
            add_default(inside, ifname.c_str(), "10.32.0.1");
        }
    }

    [[nodiscard]] bool has_route(const char* to, const char* via) {
        for (const os::Route& route : pod.routes()) {
            if (route.destination == Prefix::parse(to).value() &&
                route.gateway == IpAddress::parse(via)) {
                return true;
            }
        }
        return false;
    }

    /** A plugin that hands out 10.1.0.2/16 and writes down how it is called. */
    json delegated(const std::string& more = {}) {
        calls.write_plugin("ipam",
                           "echo $CNI_COMMAND >>${0%/*}/verbs\n" + more +
                               R"(echo '{"ips":[{"version":"4","address":"10.1.0.2/16",)"
                               R"("gateway":"10.1.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],)"
                               R"("dns":{"domain":"ipam"}}')");
        return {{"ipam", {{"type", "ipam"}}}};
    }
};

} // namespace weave::test
