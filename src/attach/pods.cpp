// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The links of pods, whichever way they hang on the node.
#include "attach/host.hpp"
#include "attach/label.hpp"
#include "attach/links.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

namespace weave::attach {

using os::Link;
using os::Netlink;
using os::throw_sentence;

namespace {

Mode mode_of(const Label& label) {
    return label.router.empty() ? Mode::bridge : Mode::routed;
}

/** Where a routed pod's default routes lead. */
std::vector<IpAddress> gateways_of(const Attachment& pod) {
    std::vector<IpAddress> out;
    for (const bool v6 : {false, true}) {
        const auto of_family = [&](const Prefix& each) { return each.address.is_v6() == v6; };
        if (pod.mode == Mode::routed && std::ranges::any_of(pod.addresses, of_family)) {
            out.push_back(pod_gateway(v6));
        }
    }
    return out;
}

/** All but what only the pod's own namespace tells. */
Attachment attachment_of(const Link& port) {
    const Label label = *Label::parse(port.alias);
    Attachment out;
    out.id = label.id;
    out.host_ifname = port.name;
    out.host_mac = port.mac;
    out.ifname = label.ifname;
    out.netns_inode = label.netns_inode;
    out.mode = mode_of(label);
    out.mtu = port.mtu;
    return out;
}

/** A routed pod's addresses are alone on their link. */
std::vector<Prefix> lengths_for(const PodSpec& spec) {
    std::vector<Prefix> out = spec.addresses;
    for (Prefix& prefix : out) {
        if (spec.mode == Mode::routed) {
            prefix.length = static_cast<std::uint8_t>(prefix.address.bits());
        }
    }
    return out;
}

bool holds_v6(const std::vector<Prefix>& addresses) {
    return std::ranges::any_of(addresses, [](const Prefix& each) { return each.address.is_v6(); });
}

/** A link that is there and hangs otherwise on the node. */
void refuse_other_mode(const Link& port, const PodSpec& spec) {
    const auto label = Label::parse(port.alias);
    if (label && mode_of(*label) != spec.mode) {
        throw_sentence(EEXIST,
                       "the pod already has an interface " + spec.ifname + ", which is " +
                           (spec.mode == Mode::bridge ? "routed" : "on the bridge") +
                           ": detach it first, or ask for the mode that it has");
    }
}

} // namespace

/** Those that no other router of this host works with. */
std::vector<Link> Host::own_ports(const std::vector<Link>& links) const {
    const std::set<unsigned> others = bridges_of_others(links);
    std::set<std::string> names;
    for (const Link& link : links) {
        if (others.contains(link.index)) {
            names.insert(link.name);
        }
    }
    std::vector<Link> out;
    for (const Link& link : links) {
        if (is_port(link) && !others.contains(link.master) &&
            !names.contains(Label::parse(link.alias)->router)) {
            out.push_back(link);
        }
    }
    return out;
}

void Host::converge_label(const Link& port, const PodSpec& spec, std::uint64_t netns_inode) {
    Label label{netns_inode, spec.ifname, spec.id, {}, spec.mtu};
    if (spec.mode == Mode::routed) {
        label.router = settings_.bridge;
    }
    if (const auto old = Label::parse(port.alias)) {
        label.id = spec.id.empty() ? old->id : spec.id;
        label.mtu = spec.mtu == 0 ? old->mtu : spec.mtu;
    }
    if (label.text() != port.alias) {
        netlink_.set_alias(port, label.text());
    }
}

Link Host::ensure_pod_link(int netns_fd, Netlink& pod, const PodSpec& spec) {
    const std::uint64_t inode = os::netns_inode(netns_fd);
    const std::string name = host_ifname(inode, spec.ifname);
    const auto inside = pod.link(spec.ifname);
    auto outside = netlink_.link(name);
    const bool joined = outside && inside && outside->peer_index == inside->index;
    if (inside && !joined) {
        throw_sentence(EEXIST,
                       "the pod already has an interface " + spec.ifname +
                           " of another making: give another name with --ifname");
    }
    if (outside && !joined) {
        netlink_.delete_link(*outside); // its other end was renamed or moved: useless to anybody
        outside.reset();
    }
    if (!outside) {
        netlink_.create_veth({name,
                              random_mac(),
                              spec.mtu != 0 ? spec.mtu : settings_.mtu,
                              spec.ifname,
                              spec.mac.value_or(random_mac()),
                              netns_fd});
        outside = netlink_.require_link(name);
    }
    refuse_other_mode(*outside, spec);
    converge_label(*outside, spec, inode);
    return netlink_.require_link(name);
}

unsigned Host::mtu_of(const Link& port) const {
    const unsigned own = Label::parse(port.alias)->mtu;
    return own != 0 ? own : settings_.mtu;
}

PreparedPod Host::configure_pod(int netns_fd, Netlink& pod, const PodSpec& spec, const Link& port) {
    Link inside = pod.require_link(spec.ifname);
    const std::string v4 = "net/ipv4/conf/" + spec.ifname + '/';
    const std::string v6 = "net/ipv6/conf/" + spec.ifname + '/';
    // No other interface has an address that was given here: nothing to wait for.
    try_sysctl(netns_fd, v6 + "accept_dad", "0");
    if (holds_v6(spec.addresses)) {
        try_sysctl(netns_fd, v6 + "disable_ipv6", "0");
    }
    try_sysctl(netns_fd, v6 + "accept_ra", "0");
    // Neighbours that remember the address's last owner learn of the new one at once.
    try_sysctl(netns_fd, v4 + "arp_notify", "1");
    try_sysctl(netns_fd, v6 + "ndisc_notify", "1");
    pod.set_up(pod.require_link("lo"), true);
    if (inside.mtu != mtu_of(port)) {
        pod.set_mtu(inside, mtu_of(port));
    }
    if (spec.mac && inside.mac != *spec.mac) {
        pod.set_mac(inside, *spec.mac);
        inside.mac = *spec.mac;
    }
    PreparedPod out;
    out.added = add_addresses(pod, inside, lengths_for(spec));
    out.pod = attachment_of(port);
    out.pod.mac = inside.mac;
    out.pod.mtu = mtu_of(port);
    out.pod.addresses = given_addresses(pod.addresses(), inside.index);
    out.pod.gateways = gateways_of(out.pod);
    return out;
}

/** The kernel notices some time later that the pod's end is up, and drops what is sent until then.
 */
Link Host::await_port(const std::string& name) {
    Link port;
    await([&] {
        port = netlink_.require_link(name);
        return port.sends;
    });
    return port;
}

/** Its end in the pod, with all routes that are asked for; the kernel wants it up for that. */
void Host::start_pod(int netns_fd, const PodSpec& spec) {
    Netlink pod = Netlink::open_in(netns_fd);
    const Link inside = pod.require_link(spec.ifname);
    const bool routed = spec.mode == Mode::routed;
    pod.set_up(inside, true);
    const Link port = await_port(host_ifname(os::netns_inode(netns_fd), spec.ifname));
    if (routed) {
        start_routed(pod, inside, port.mac);
    } else {
        start_bridged(pod, inside, spec);
    }
    for (const PodRoute& wanted : spec.routes) {
        const bool v6 = wanted.destination.address.is_v6();
        os::Route route;
        route.destination = wanted.destination;
        route.gateway = wanted.gateway;
        route.index = inside.index;
        route.onlink = routed;
        const auto gateway = std::ranges::find(spec.gateways, v6, &IpAddress::is_v6);
        if (!route.gateway && routed) {
            route.gateway = pod_gateway(v6);
        } else if (!route.gateway && gateway != spec.gateways.end()) {
            route.gateway = *gateway;
        }
        pod.add_route(route);
    }
    await_addresses(pod, spec.addresses);
}

/** The host's end and the ways to the pod. */
void Host::connect_port(const Link& port, const PodSpec& spec) {
    if (port.mtu != mtu_of(port)) {
        netlink_.set_mtu(port, mtu_of(port));
    }
    if (spec.mode == Mode::routed) {
        join_host(port, holds_v6(spec.addresses) || holds_v6(routing_.addresses_at(port)));
    } else {
        join_bridge(port);
    }
}

void Host::check_request(int netns_fd, const PodSpec& spec) {
    if (const std::string why = check_pod(spec); !why.empty()) {
        throw_sentence(EINVAL, why);
    }
    if (os::netns_inode(netns_fd) == os::netns_inode(netns_.get())) {
        throw_sentence(EINVAL,
                       "the pod shares the host's network namespace; expose an address instead");
    }
    if (spec.mode == Mode::routed) {
        refuse_foreign(spec.addresses);
    } else if (spec.mtu > settings_.mtu) {
        throw_sentence(EINVAL,
                       "the bridge carries an MTU of " + std::to_string(settings_.mtu) + ", not " +
                           std::to_string(spec.mtu) +
                           ": ask for less, or start weaved with a greater --mtu");
    }
}

PreparedPod Host::prepare_pod(int netns_fd, const PodSpec& spec) {
    check_request(netns_fd, spec);
    const std::uint64_t inode = os::netns_inode(netns_fd);
    Netlink pod = Netlink::open_in(netns_fd);
    const auto old = netlink_.link(host_ifname(inode, spec.ifname));
    PreparedPod out;
    try {
        const Link port = ensure_pod_link(netns_fd, pod, spec);
        connect_port(port, spec);
        out = configure_pod(netns_fd, pod, spec, port);
        out.made = !old || old->index != port.index;
        if (spec.mode == Mode::routed) {
            Attachment given = out.pod;
            given.addresses = lengths_for(spec);
            routing_.add(bridge(), port, given);
        }
        return out;
    } catch (...) {
        const auto now = netlink_.link(host_ifname(inode, spec.ifname));
        if (now && (!old || old->index != now->index)) {
            detach_pod(inode, spec.ifname); // half an attachment is none
        } else if (!out.added.empty()) {
            undo(netns_fd, out);
        }
        throw;
    }
}

void Host::undo(int netns_fd, const PreparedPod& prepared) {
    if (prepared.made) {
        detach_pod(prepared.pod.netns_inode, prepared.pod.ifname);
        return;
    }
    Netlink pod = Netlink::open_in(netns_fd);
    const Link inside = pod.require_link(prepared.pod.ifname);
    for (const Prefix& prefix : prepared.added) {
        pod.delete_address(inside, prefix);
    }
    if (prepared.pod.mode == Mode::routed) {
        const Link port = netlink_.require_link(prepared.pod.host_ifname);
        routing_.remove(bridge(), port, prepared.added);
    }
}

/** Its routes go with the link. */
void Host::delete_port(const Link& port) {
    const bool routed = !Label::parse(port.alias)->router.empty();
    const auto addresses = routed ? routing_.addresses_at(port) : std::vector<Prefix>{};
    netlink_.delete_link(port);
    if (routed) {
        routing_.remove(bridge(), port, addresses);
    }
}

bool Host::detach_pod(std::uint64_t netns_inode, const std::string& ifname) {
    const auto port = netlink_.link(host_ifname(netns_inode, ifname));
    if (!port || !is_port(*port)) {
        return false;
    }
    delete_port(*port);
    return true;
}

std::vector<Link> Host::ports() {
    std::vector<Link> out;
    std::ranges::copy_if(inventory_.links(), std::back_inserter(out), is_port);
    return out;
}

bool Host::read_raw() {
    const std::vector<Link>& links = inventory_.links();
    const auto own = std::ranges::find(links, settings_.bridge, &Link::name);
    const unsigned own_index = own == links.end() ? 0 : own->index;
    return std::ranges::any_of(links, [&](const Link& link) {
        const bool port = is_port(link) || (own_index != 0 && link.master == own_index);
        if (!port || link.xdp || link.kind != "veth") {
            return port && link.xdp;
        }
        try {
            const Inventory::Inside& pod = inventory_.inside(link.peer_netns_id);
            const auto inside = std::ranges::find(pod.links, link.peer_index, &Link::index);
            return inside != pod.links.end() && inside->xdp;
        } catch (const std::system_error&) {
            return false; // the namespace went away while we looked
        }
    });
}

std::vector<Attachment> Host::list() {
    std::vector<Attachment> out;
    for (const Link& port : own_ports(inventory_.links())) {
        Attachment entry = attachment_of(port);
        try {
            const Inventory::Inside& pod = inventory_.inside(port.peer_netns_id);
            const auto inside = std::ranges::find(pod.links, port.peer_index, &Link::index);
            if (inside == pod.links.end()) {
                continue; // it moved while we looked
            }
            entry.mac = inside->mac;
            entry.mtu = inside->mtu;
            entry.addresses = given_addresses(pod.addresses, inside->index);
            entry.gateways = gateways_of(entry);
        } catch (const std::system_error&) {
            continue; // the namespace went away while we looked
        }
        out.push_back(std::move(entry));
    }
    return out;
}

std::vector<Attachment> Host::known() {
    std::vector<Attachment> out;
    for (const Link& port : own_ports(inventory_.links())) {
        out.push_back(attachment_of(port));
    }
    return out;
}

std::optional<Attachment> Host::find(const std::string& id, const std::string& ifname) {
    for (Attachment& found : known()) {
        if (id.empty() || found.id != id || found.ifname != ifname) {
            continue;
        }
        for (const Attachment& entry : list()) {
            if (entry.host_ifname == found.host_ifname) {
                found = entry;
            }
        }
        return found;
    }
    return std::nullopt;
}

} // namespace weave::attach
