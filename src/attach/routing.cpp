// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/routing.hpp"

#include "attach/links.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace weave::attach {
namespace {

using os::Link;
using os::Neighbour;
using os::Route;

/** Below what the kernel and people make, so that an exposed network goes before; IPv6's default.
 */
constexpr unsigned kMetric = 1024;

/** Where the mesh is, on the bridge. */
IpAddress router_hop(bool v6) {
    return v6 ? *IpAddress::parse("fe80::77:76ff:fe00:1") // of kRouterMac, RFC 4291 appendix A
              : IpAddress::v4({169, 254, 1, 2});
}

Prefix whole(const IpAddress& address) {
    return {address, static_cast<std::uint8_t>(address.bits())};
}

/** What makes two of them the same to us. */
auto key_of(const Route& it) {
    return std::tuple(it.destination, it.index, it.gateway, it.source, it.metric);
}

auto key_of(const Neighbour& it) {
    return std::tuple(it.index, it.address, it.proxy, it.mac);
}

template <class T> auto keys_of(const std::vector<T>& all) {
    std::set<decltype(key_of(all.front()))> out;
    for (const T& each : all) {
        out.insert(key_of(each));
    }
    return out;
}

} // namespace

IpAddress pod_gateway(bool v6) {
    return v6 ? *IpAddress::parse("fe80::1") : IpAddress::v4({169, 254, 1, 1});
}

Routing::Routing(os::Netlink& netlink, int netns_fd, const HostSettings& settings)
    : netlink_(netlink)
    , netns_fd_(netns_fd)
    , settings_(settings) {}

std::optional<IpAddress> Routing::source_for(const IpAddress& destination) const {
    const auto found = std::ranges::find(node_addresses_, destination.is_v4(), &IpAddress::is_v4);
    return found != node_addresses_.end() ? std::optional{*found} : std::nullopt;
}

bool Routing::in_range(const IpAddress& address) const {
    return std::ranges::any_of(settings_.ranges,
                               [&](const Prefix& range) { return range.contains(address); });
}

bool Routing::is_node_address(const os::LinkAddress& entry) const {
    return entry.protocol == os::kOwnProtocol || only_ours_.contains(entry.prefix.address);
}

void Routing::set_node_addresses(const Link& bridge,
                                 const std::vector<os::LinkAddress>& there,
                                 const std::vector<Prefix>& addresses) {
    node_addresses_.clear();
    Families families;
    for (const Prefix& prefix : addresses) {
        node_addresses_.push_back(prefix.address);
        families.add(prefix.address);
    }
    if (families.v4 || families.v6) {
        enable(bridge, families);
    }
    for (const os::LinkAddress& entry : there) {
        const bool wanted = std::ranges::count(node_addresses_, entry.prefix.address) != 0;
        if (entry.index == bridge.index && is_node_address(entry) && !wanted) {
            netlink_.delete_address(bridge, entry.prefix);
            only_ours_.erase(entry.prefix.address);
        }
    }
    for (const IpAddress& address : node_addresses_) {
        if (netlink_.add_address(bridge, whole(address), os::kOwnProtocol)) {
            only_ours_.insert(address);
        }
    }
}

/** The host forwards for pods and answers for them at once, and speaks IPv6 if it has to. */
void Routing::enable(const Link& bridge, Families wanted) {
    const std::string v4 = "net/ipv4/conf/" + bridge.name + '/';
    const std::string v6 = "net/ipv6/conf/" + bridge.name + '/';
    if (wanted.v4 && !enabled_.v4) {
        os::write_sysctl(netns_fd_, v4 + "forwarding", "1");
        try_sysctl(netns_fd_, v4 + "send_redirects", "0");
        // Else a proxy thinks for up to 0.8 s, so that the real owner can be faster: it is one.
        try_sysctl(netns_fd_, "net/ipv4/neigh/" + bridge.name + "/proxy_delay", "0");
        enabled_.v4 = true;
    }
    if (wanted.v6 && !enabled_.v6) {
        try_sysctl(netns_fd_, v6 + "accept_dad", "0");
        os::write_sysctl(netns_fd_, v6 + "disable_ipv6", "0");
        os::write_sysctl(netns_fd_, v6 + "forwarding", "1");
        // Linux 6.17; before, and for packets to other interfaces, all of the host must forward.
        try_sysctl(netns_fd_, v6 + "force_forwarding", "1");
        try_sysctl(netns_fd_, v6 + "proxy_ndp", "1");
        try_sysctl(netns_fd_, "net/ipv6/neigh/" + bridge.name + "/proxy_delay", "0");
        enabled_.v6 = true;
    }
}

/** A routed pod is at the end of its link, one on the bridge at the end of that. */
void Routing::put_pod(Ways& ways,
                      const Link& bridge,
                      const Link& port,
                      const Attachment& pod,
                      Families active) const {
    const bool routed = pod.mode == Mode::routed;
    for (const Prefix& prefix : pod.addresses) {
        const IpAddress& address = prefix.address;
        if (!routed && (!active.has(address) || !in_range(address))) {
            continue;
        }
        Route route;
        route.destination = whole(address);
        route.index = routed ? port.index : bridge.index;
        route.source = source_for(address);
        route.metric = address.is_v6() ? kMetric : 0;
        route.protocol = os::kOwnProtocol;
        ways.routes.push_back(route);
        Neighbour neighbour;
        neighbour.index = route.index;
        neighbour.address = address;
        neighbour.mac = pod.mac;
        ways.neighbours.push_back(neighbour);
        if (routed) {
            neighbour.index = bridge.index;
            neighbour.mac = {};
            neighbour.proxy = true;
            ways.neighbours.push_back(neighbour);
        }
    }
}

void Routing::put_mesh(Ways& ways, const Link& bridge, Families active) const {
    for (const bool v6 : {false, true}) {
        if (active.has(router_hop(v6))) {
            Neighbour router;
            router.index = bridge.index;
            router.address = router_hop(v6);
            router.mac = kRouterMac;
            ways.neighbours.push_back(router);
        }
    }
    for (const Prefix& range : settings_.ranges) {
        if (active.has(range.address)) {
            Route route;
            route.destination = range.network();
            route.gateway = router_hop(range.address.is_v6());
            route.index = bridge.index;
            route.source = source_for(range.address);
            route.metric = kMetric;
            route.onlink = true;
            route.protocol = os::kOwnProtocol;
            ways.routes.push_back(route);
        }
    }
}

/** Returns the routes that were there already, or others in their place. */
std::vector<Route> Routing::add_ways(const Ways& ways) {
    std::vector<Route> refused;
    for (const Neighbour& neighbour : ways.neighbours) {
        netlink_.set_neighbour(neighbour);
    }
    for (const Route& route : ways.routes) {
        if (!netlink_.add_route(route)) {
            refused.push_back(route);
        }
    }
    return refused;
}

void Routing::add(const Link& bridge, const Link& port, const Attachment& pod) {
    Families families;
    for (const Prefix& prefix : pod.addresses) {
        families.add(prefix.address);
    }
    enable(bridge, families);
    Ways ways;
    put_mesh(ways, bridge, families);
    put_pod(ways, bridge, port, pod, families);
    const std::vector<Route> refused = add_ways(ways);
    const std::vector<Route> there = refused.empty() ? refused : netlink_.routes();
    for (const Route& route : refused) {
        const bool ours = std::ranges::any_of(there, [&](const Route& each) {
            return each.destination == route.destination && each.index == route.index;
        });
        if (!ours) {
            os::throw_sentence(EEXIST,
                               "the host has a route to " + route.destination.text() +
                                   " already, which leads elsewhere: remove it, or choose "
                                   "another address");
        }
    }
    active_ = true;
}

void Routing::remove(const Link& bridge, const Link& port, const std::vector<Prefix>& addresses) {
    Attachment part;
    part.mode = Mode::routed;
    part.addresses = addresses;
    Ways ways;
    put_pod(ways, bridge, port, part, {});
    for (const Route& route : ways.routes) {
        netlink_.delete_route(route);
    }
    for (const Neighbour& neighbour : ways.neighbours) {
        netlink_.delete_neighbour(neighbour);
    }
}

std::vector<Prefix> Routing::addresses_at(const Link& port) {
    std::vector<Prefix> out;
    for (const Route& route : netlink_.routes(os::kOwnProtocol)) {
        if (route.index == port.index) {
            out.push_back(route.destination);
        }
    }
    return out;
}

void Routing::converge(const Link& bridge,
                       const std::vector<Link>& ports,
                       const std::vector<Attachment>& pods) {
    Families active;
    for (const IpAddress& address : node_addresses_) {
        active.add(address);
    }
    for (const Attachment& pod : pods) {
        for (const Prefix& prefix : pod.addresses) {
            if (pod.mode == Mode::routed) {
                active.add(prefix.address);
            }
        }
    }
    active_ = active.v4 || active.v6;
    enable(bridge, active);
    std::map<std::string, Link> by_name;
    std::set<unsigned> ours{bridge.index};
    for (const Link& port : ports) {
        by_name.emplace(port.name, port);
        ours.insert(port.index);
    }
    Ways wanted;
    put_mesh(wanted, bridge, active);
    for (const Attachment& pod : pods) {
        if (const auto port = by_name.find(pod.host_ifname); port != by_name.end()) {
            put_pod(wanted, bridge, port->second, pod, active);
        }
    }
    converge_ways(bridge, ours, wanted);
}

void Routing::converge_ways(const Link& bridge,
                            const std::set<unsigned>& ours,
                            const Ways& wanted) {
    std::vector<Route> there = netlink_.routes(os::kOwnProtocol);
    std::erase_if(there, [&](const Route& each) { return !ours.contains(each.index); });
    const auto wanted_keys = keys_of(wanted.routes);
    for (const Route& each : there) {
        if (!wanted_keys.contains(key_of(each))) {
            netlink_.delete_route(each);
        }
    }
    const auto there_keys = keys_of(there);
    Ways missing;
    std::set<unsigned> renewed; // a port that was set down lost its neighbours with its routes
    for (const Route& each : wanted.routes) {
        if (!there_keys.contains(key_of(each))) {
            missing.routes.push_back(each);
            renewed.insert(each.index);
        }
    }
    std::map<unsigned, MacAddress> told;
    for (const Neighbour& each : wanted.neighbours) {
        const auto before = told_.find(each.index);
        const bool other = !each.proxy && (before == told_.end() || before->second != each.mac);
        if (each.index != bridge.index && (other || renewed.contains(each.index))) {
            missing.neighbours.push_back(each);
        }
        if (!each.proxy) {
            told.emplace(each.index, each.mac);
        }
    }
    converge_neighbours(bridge, wanted.neighbours);
    add_ways(missing);
    told_ = std::move(told);
}

/** On the bridge, where they outlive the pods. */
void Routing::converge_neighbours(const Link& bridge, const std::vector<Neighbour>& wanted) {
    std::vector<Neighbour> there = netlink_.neighbours(bridge);
    std::erase_if(there, [](const Neighbour& each) { return each.protocol != os::kOwnProtocol; });
    const auto wanted_keys = keys_of(wanted);
    for (const Neighbour& each : there) {
        if (!wanted_keys.contains(key_of(each))) {
            netlink_.delete_neighbour(each);
        }
    }
    const auto there_keys = keys_of(there);
    for (const Neighbour& each : wanted) {
        if (each.index == bridge.index && !there_keys.contains(key_of(each))) {
            netlink_.set_neighbour(each);
        }
    }
}

bool Routing::needs_v6(const Link& bridge) {
    const std::vector<Route> ours = netlink_.routes(os::kOwnProtocol);
    return std::ranges::any_of(ours, [&](const Route& each) {
        return each.index == bridge.index && each.destination.address.is_v6();
    });
}

} // namespace weave::attach
