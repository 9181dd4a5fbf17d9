// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/host.hpp"

#include "attach/label.hpp"
#include "attach/links.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

namespace weave::attach {

using os::Link;
using os::Netlink;
using os::throw_sentence;

MacAddress bridge_mac(const NodeId& node) {
    return local_mac(hash_text(node.octets));
}

MacAddress answer_mac(const NodeId& node) {
    return local_mac(~hash_text(node.octets));
}

std::string host_ifname(std::uint64_t netns_inode, const std::string& ifname) {
    const std::uint64_t hash = hash_text(as_bytes(std::to_string(netns_inode) + '|' + ifname));
    std::array<std::uint8_t, 5> octets;
    for (std::size_t i = 0; i < octets.size(); ++i) {
        octets[i] = static_cast<std::uint8_t>(hash >> (8 * i));
    }
    return std::string{kPortPrefix} + to_hex(octets);
}

Host::Host(HostSettings settings)
    : settings_(std::move(settings))
    , netns_(os::current_netns())
    , netlink_(Netlink::open())
    , inventory_(netlink_)
    , routing_(netlink_, netns_.get(), settings_) {
    for (const std::string& name : {settings_.bridge, settings_.tap}) {
        if (const std::string why = check_ifname(name); !why.empty()) {
            throw_sentence(EINVAL, why);
        }
    }
}

Link Host::bridge() {
    Link link = netlink_.require_link(settings_.bridge);
    if (link.kind != "bridge") {
        throw_sentence(EEXIST, "the interface " + settings_.bridge + " exists and is not a bridge");
    }
    return link;
}

void Host::converge_bridge(const Link& link) {
    netlink_.configure_bridge(link);
    if (const MacAddress mac = bridge_mac(settings_.node); link.mac != mac) {
        netlink_.set_mac(link, mac);
    }
    if (link.mtu != settings_.mtu) {
        netlink_.set_mtu(link, settings_.mtu);
    }
    // Pods are not to configure the host: no router advertisements from the network.
    try_sysctl(netns_.get(), "net/ipv6/conf/" + link.name + "/accept_ra", "0");
    netlink_.set_up(link, true);
}

void Host::ensure_bridge() {
    if (!netlink_.link(settings_.bridge)) {
        netlink_.create_bridge({settings_.bridge, bridge_mac(settings_.node), settings_.mtu});
        made_bridge_ = true;
        netlink_.set_alias(bridge(), kOwnAlias);
    }
    if (!needs_v6()) {
        let_bridge_speak_v6(false);
    }
    converge_bridge(bridge());
}

/** While a process holds one it has a carrier: one that ends now is waited for, as of a device with
 * several queues the kernel would give this process some more. Without, it is a persistent one. */
void Host::remove_idle_tap(Link tap) {
    if (tap.kind != "tun") {
        throw_sentence(EEXIST,
                       "the interface " + settings_.tap + " exists and is not a TAP device");
    }
    bool there = true;
    await([&] {
        const auto now = netlink_.link(settings_.tap);
        there = now.has_value();
        tap = now.value_or(tap);
        return !there || !tap.carrier;
    });
    if (there && tap.carrier) {
        throw_sentence(EBUSY,
                       "cannot open TAP device " + settings_.tap + ": another process holds it");
    }
    if (there) {
        netlink_.delete_link(tap);
    }
}

os::Tap Host::ensure_tap(unsigned queues) {
    os::Tap tap;
    try {
        if (const auto old = netlink_.link(settings_.tap)) {
            remove_idle_tap(*old);
        }
        os::run_in_netns(netns_.get(), [&] { tap = os::open_tap({settings_.tap, queues}); });
    } catch (...) {
        if (std::exchange(made_bridge_, false)) {
            netlink_.delete_link(bridge()); // a start that fails leaves nothing behind
        }
        throw;
    }
    adopt_tap();
    return tap;
}

void Host::adopt_tap() {
    const Link tap = netlink_.require_link(settings_.tap);
    const Link port_of = bridge();
    quiet_port(tap);
    if (tap.mtu != settings_.mtu) {
        netlink_.set_mtu(tap, settings_.mtu);
    }
    if (tap.master != port_of.index) {
        netlink_.set_master(tap, port_of.index);
    }
    if (tap.alias != kOwnAlias) {
        netlink_.set_alias(tap, kOwnAlias);
    }
    // Else what goes to the mesh by address would be flooded to every pod on the bridge.
    netlink_.pin_mac(tap, kRouterMac);
    netlink_.set_up(tap, true);
}

/** The host speaks IPv6 on the bridge only while it has an address or a route there: else its
 * neighbour discovery would go to every node of the mesh. */
void Host::let_bridge_speak_v6(bool speak) {
    try_sysctl(
        netns_.get(), "net/ipv6/conf/" + settings_.bridge + "/disable_ipv6", speak ? "0" : "1");
}

bool Host::needs_v6() {
    const Link link = bridge();
    const std::vector<Prefix> all = given_addresses(inventory_.addresses(), link.index);
    return std::ranges::any_of(all, [](const Prefix& each) { return each.address.is_v6(); }) ||
           routing_.needs_v6(link);
}

bool Host::expose(const Prefix& prefix) {
    if (prefix.address.is_v6()) {
        let_bridge_speak_v6(true);
    }
    const bool added = netlink_.add_address(bridge(), prefix);
    await_addresses(netlink_, {prefix});
    return added;
}

bool Host::hide(const Prefix& prefix) {
    const bool was = netlink_.delete_address(bridge(), prefix);
    let_bridge_speak_v6(needs_v6());
    return was;
}

std::vector<Prefix> Host::exposed() {
    std::vector<os::LinkAddress> all = inventory_.addresses();
    std::erase_if(all, [&](const auto& each) { return routing_.is_node_address(each); });
    return given_addresses(all, bridge().index);
}

void Host::set_node_addresses(const std::vector<Prefix>& addresses) {
    routing_.set_node_addresses(bridge(), inventory_.addresses(), addresses);
}

void Host::converge_routes(const std::vector<Attachment>& pods) {
    routing_.converge(bridge(), own_ports(inventory_.links()), pods);
}

std::set<IpAddress> Host::addresses_elsewhere() {
    std::set<IpAddress> out;
    const unsigned index = bridge().index;
    for (const os::LinkAddress& entry : inventory_.addresses()) {
        if (entry.index != index) {
            out.insert(entry.prefix.address);
        }
    }
    return out;
}

} // namespace weave::attach
