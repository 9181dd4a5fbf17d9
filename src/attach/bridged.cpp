// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Pods on the bridge: one flat network, multicast included.
#include "attach/host.hpp"
#include "attach/links.hpp"

namespace weave::attach {

using os::Link;
using os::Netlink;

/** A port of the bridge has no business speaking IP itself. */
void Host::quiet_port(const Link& link) {
    try_sysctl(netns_.get(), "net/ipv6/conf/" + link.name + "/disable_ipv6", "1");
}

void Host::join_bridge(const Link& port) {
    const Link port_of = bridge();
    quiet_port(port);
    if (port.master != port_of.index) {
        netlink_.set_master(port, port_of.index);
    }
    netlink_.set_up(port, true);
}

/** What a bridged pod's interface can do once it is up. */
void Host::start_bridged(Netlink& pod, const Link& inside, const PodSpec& spec) {
    if (!inside.up) {
        // What it announced when it came up, the bridge, which learns of that later, let nobody
        // hear. An address that is set is announced (NETDEV_CHANGEADDR), also the same one.
        pod.set_mac(inside, inside.mac);
    }
    os::Route route;
    route.destination = *Prefix::parse("224.0.0.0/4");
    route.index = inside.index;
    pod.add_route(route);
    for (const IpAddress& gateway : spec.gateways) {
        route.destination = {gateway.is_v6() ? IpAddress::v6({}) : IpAddress::v4({}), 0};
        route.gateway = gateway;
        pod.add_route(route);
    }
}

} // namespace weave::attach
