// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Pods on links of their own: the host is their gateway, at the other end.
#include "attach/host.hpp"
#include "attach/links.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>

namespace weave::attach {

using os::Link;
using os::Netlink;
using os::Route;

/** What no range contains would be routed to the pod here and to nobody elsewhere. */
void Host::refuse_foreign(const std::vector<Prefix>& addresses) {
    for (const Prefix& prefix : addresses) {
        const auto contains = [&](const Prefix& range) { return range.contains(prefix.address); };
        if (std::ranges::any_of(settings_.ranges, contains)) {
            continue;
        }
        std::string ranges;
        for (const Prefix& range : settings_.ranges) {
            ranges += (ranges.empty() ? "" : " and ") + range.text();
        }
        os::throw_sentence(EINVAL,
                           prefix.address.text() +
                               " cannot be routed to a pod: choose an address "
                               "of the mesh's range, " +
                               ranges);
    }
}

/** The pod's end talks to this one alone, whatever it sends. */
void Host::join_host(const Link& port, bool v6) {
    const std::string in_v4 = "net/ipv4/conf/" + port.name + '/';
    const std::string in_v6 = "net/ipv6/conf/" + port.name + '/';
    os::write_sysctl(netns_.get(), in_v4 + "forwarding", "1");
    // What does not come from the pod's own address goes nowhere.
    try_sysctl(netns_.get(), in_v4 + "rp_filter", "1");
    try_sysctl(netns_.get(), in_v4 + "accept_redirects", "0");
    try_sysctl(netns_.get(), in_v4 + "send_redirects", "0");
    if (v6) {
        try_sysctl(netns_.get(), in_v6 + "addr_gen_mode", "1"); // no address of its own making
        try_sysctl(netns_.get(), in_v6 + "accept_ra", "0");
        try_sysctl(netns_.get(), in_v6 + "accept_redirects", "0");
        os::write_sysctl(netns_.get(), in_v6 + "disable_ipv6", "0");
        os::write_sysctl(netns_.get(), in_v6 + "forwarding", "1");
        try_sysctl(netns_.get(), in_v6 + "force_forwarding", "1"); // Linux 6.17
    } else {
        quiet_port(port);
    }
    netlink_.set_up(port, true);
    netlink_.add_address(port, {pod_gateway(false), 32});
    if (v6) {
        netlink_.add_address(port, {pod_gateway(true), 64});
    }
}

/** The host is known for good, so that nothing waits for ARP, and is the way to everything. Where
 * another interface is that already, this one is the way to the mesh. */
void Host::start_routed(Netlink& pod, const Link& inside, const MacAddress& host_mac) {
    const std::vector<Prefix> addresses = given_addresses(pod.addresses(), inside.index);
    for (const bool v6 : {false, true}) {
        const auto of_family = [&](const Prefix& each) { return each.address.is_v6() == v6; };
        if (std::ranges::none_of(addresses, of_family)) {
            continue;
        }
        const IpAddress gateway = pod_gateway(v6);
        os::Neighbour host;
        host.index = inside.index;
        host.address = gateway;
        host.mac = host_mac;
        pod.set_neighbour(host);
        Route route;
        route.index = inside.index;
        if (!v6) {
            route.destination = {gateway, 32};
            pod.add_route(route);
        }
        route.gateway = gateway;
        route.destination = {v6 ? IpAddress::v6({}) : IpAddress::v4({}), 0};
        const std::vector<Route> all = pod.routes();
        const bool other = std::ranges::any_of(all, [&](const Route& each) {
            return each.destination == route.destination && each.index != inside.index &&
                   each.table == route.table;
        });
        if (!other) {
            pod.add_route(route);
            continue;
        }
        for (const Prefix& range : settings_.ranges) {
            route.destination = range.network();
            if (of_family(range)) {
                pod.add_route(route);
            }
        }
    }
}

} // namespace weave::attach
