// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/host_end.hpp"

#include "os/netlink.hpp"

#include <algorithm>

namespace weave::cni {

namespace {

/** What weaved writes into the alias of its TAP (docs/files.md). */
constexpr const char* kTapAlias = "weave";

/** The host's interface in the result; nothing when it is not there. */
const Interface* find_host_interface(const Result& expected, const std::string& name) {
    const auto found =
        std::find_if(expected.interfaces.begin(), expected.interfaces.end(), [&](const auto& each) {
            return each.name == name && each.sandbox.empty();
        });
    return found == expected.interfaces.end() ? nullptr : &*found;
}

std::string find_bridge_mismatch(os::Netlink& netlink, const os::Link& link) {
    if (link.master == 0) {
        return "the interface " + link.name + " of the host is on no bridge";
    }
    const auto links = netlink.links();
    const bool ours = std::any_of(links.begin(), links.end(), [&](const os::Link& each) {
        return each.kind == "tun" && each.alias == kTapAlias && each.master == link.master;
    });
    return ours ? ""
                : "the interface " + link.name + " of the host is on a bridge that is not weaved's";
}

std::string
find_route_mismatch(os::Netlink& netlink, const os::Link& link, const std::vector<Ip>& addresses) {
    const auto routes = netlink.routes();
    for (const Ip& ip : addresses) {
        const IpAddress& address = ip.address.address;
        const Prefix whole{address, static_cast<std::uint8_t>(address.bits())};
        const bool found = std::any_of(routes.begin(), routes.end(), [&](const os::Route& each) {
            return each.destination == whole && each.index == link.index;
        });
        if (!found) {
            return "the host has no route to " + address.text() + " through " + link.name;
        }
    }
    return {};
}

} // namespace

std::string find_host_mismatch(const Result& expected,
                               const std::vector<Ip>& addresses,
                               const AttachmentRow& row) {
    const Interface* wanted = find_host_interface(expected, row.host_ifname);
    if (wanted == nullptr && !expected.interfaces.empty()) {
        return "the host's end is " + row.host_ifname + ", which the result of ADD does not have";
    }
    os::Netlink netlink = os::Netlink::open();
    const auto link = netlink.link(row.host_ifname);
    if (!link) {
        return "the interface " + row.host_ifname + " of the host is gone";
    }
    if (!link->up) {
        return "the interface " + link->name + " of the host is down";
    }
    const auto mac = wanted != nullptr ? MacAddress::parse(wanted->mac) : std::nullopt;
    if (mac && *mac != link->mac) {
        return "the interface " + link->name + " of the host has the MAC address " +
               link->mac.text() + ", not " + wanted->mac;
    }
    return row.mode == "routed" ? find_route_mismatch(netlink, *link, addresses)
                                : find_bridge_mismatch(netlink, *link);
}

} // namespace weave::cni
