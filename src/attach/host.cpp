// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/host.hpp"

#include "attach/label.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include <sys/random.h>

namespace weave::attach {
namespace {

using os::Link;
using os::Netlink;
using os::throw_sentence;

/** FNV-1a with a final mix: names only, nothing here has to resist an attacker. */
std::uint64_t hash_text(ByteView bytes) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint8_t byte : bytes) {
        hash = (hash ^ byte) * 0x100000001b3;
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93;
    return hash ^ (hash >> 32);
}

MacAddress local_mac(std::uint64_t bits) {
    MacAddress mac;
    mac.octets[0] = 0x02;
    for (std::size_t i = 1; i < mac.octets.size(); ++i) {
        mac.octets[i] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
    return mac;
}

MacAddress random_mac() {
    std::uint64_t bits = 0;
    if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
        os::throw_errno("cannot get randomness for a MAC address");
    }
    return local_mac(bits);
}

/** The addresses a person gave, without those the kernel made up. */
std::vector<Prefix> given_addresses(const std::vector<os::LinkAddress>& all, unsigned index) {
    std::vector<Prefix> out;
    for (const auto& entry : all) {
        const bool made_up = entry.prefix.address.is_v6() && entry.prefix.address.is_link_local();
        if (entry.index == index && !made_up) {
            out.push_back(entry.prefix);
        }
    }
    return out;
}

/** For settings the network works without: a kernel without IPv6, or a read-only /proc/sys. */
bool try_sysctl(int netns_fd, const std::string& key, const std::string& value) {
    try {
        os::write_sysctl(netns_fd, key, value);
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

/** All of them or none. */
std::vector<Prefix>
add_addresses(Netlink& pod, const Link& inside, const std::vector<Prefix>& addresses) {
    std::vector<Prefix> added;
    try {
        for (const Prefix& prefix : addresses) {
            if (pod.add_address(inside, prefix)) {
                added.push_back(prefix);
            }
        }
    } catch (const std::system_error&) {
        for (const Prefix& prefix : added) {
            pod.delete_address(inside, prefix);
        }
        throw;
    }
    return added;
}

} // namespace

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
    , netlink_(Netlink::open()) {
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
    if (!exposes_v6()) {
        let_bridge_speak_v6(false);
    }
    converge_bridge(bridge());
}

/** A port of the bridge has no business speaking IP itself. */
void Host::quiet_port(const Link& link) {
    try_sysctl(netns_.get(), "net/ipv6/conf/" + link.name + "/disable_ipv6", "1");
}

os::Tap Host::ensure_tap(unsigned queues) {
    if (const auto old = netlink_.link(settings_.tap)) {
        if (old->kind != "tun") {
            throw_sentence(EEXIST,
                           "the interface " + settings_.tap + " exists and is not a TAP device");
        }
        // Only a persistent one outlives its process; while a process holds it, it has a carrier.
        if (!old->carrier) {
            netlink_.delete_link(*old);
        }
    }
    os::Tap tap;
    try {
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
    netlink_.set_up(tap, true);
}

Link Host::ensure_pod_link(int netns_fd, Netlink& pod, const PodSpec& spec) {
    const Label label{os::netns_inode(netns_fd), spec.ifname, spec.id};
    const std::string name = host_ifname(label.netns_inode, spec.ifname);
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
                              settings_.mtu,
                              spec.ifname,
                              spec.mac.value_or(random_mac()),
                              netns_fd});
        outside = netlink_.require_link(name);
    }
    if (const auto old = Label::parse(outside->alias);
        !old || (!spec.id.empty() && old->id != spec.id)) {
        netlink_.set_alias(*outside, label.text());
    }
    return *outside;
}

PreparedPod Host::configure_pod(int netns_fd, Netlink& pod, const PodSpec& spec) {
    Link inside = pod.require_link(spec.ifname);
    const std::string v4 = "net/ipv4/conf/" + spec.ifname + '/';
    const std::string v6 = "net/ipv6/conf/" + spec.ifname + '/';
    if (std::ranges::any_of(spec.addresses, [](const Prefix& p) { return p.address.is_v6(); })) {
        try_sysctl(netns_fd, v6 + "disable_ipv6", "0");
    }
    try_sysctl(netns_fd, v6 + "accept_ra", "0");
    // Neighbours that remember the address's last owner learn of the new one at once.
    try_sysctl(netns_fd, v4 + "arp_notify", "1");
    try_sysctl(netns_fd, v6 + "ndisc_notify", "1");
    pod.set_up(pod.require_link("lo"), true);
    if (inside.mtu != settings_.mtu) {
        pod.set_mtu(inside, settings_.mtu);
    }
    if (spec.mac && inside.mac != *spec.mac) {
        pod.set_mac(inside, *spec.mac);
        inside.mac = *spec.mac;
    }
    PreparedPod out;
    out.added = add_addresses(pod, inside, spec.addresses);
    out.pod = {spec.id,
               {},
               {},
               spec.ifname,
               inside.mac,
               given_addresses(pod.addresses(), inside.index),
               os::netns_inode(netns_fd)};
    return out;
}

void Host::start_pod(int netns_fd, const std::string& ifname) {
    Netlink pod = Netlink::open_in(netns_fd);
    const Link inside = pod.require_link(ifname);
    pod.set_up(inside, true);
    os::Route multicast;
    multicast.destination = *Prefix::parse("224.0.0.0/4");
    multicast.index = inside.index;
    pod.add_route(multicast);
}

PreparedPod Host::prepare_pod(int netns_fd, const PodSpec& spec) {
    if (const std::string why = check_pod(spec); !why.empty()) {
        throw_sentence(EINVAL, why);
    }
    const std::uint64_t inode = os::netns_inode(netns_fd);
    if (inode == os::netns_inode(netns_.get())) {
        throw_sentence(EINVAL,
                       "the pod shares the host's network namespace; expose an address instead");
    }
    Netlink pod = Netlink::open_in(netns_fd);
    const Link port_of = bridge();
    const auto old = netlink_.link(host_ifname(inode, spec.ifname));
    std::optional<Link> port;
    try {
        port = ensure_pod_link(netns_fd, pod, spec);
        quiet_port(*port);
        if (port->mtu != settings_.mtu) {
            netlink_.set_mtu(*port, settings_.mtu);
        }
        if (port->master != port_of.index) {
            netlink_.set_master(*port, port_of.index);
        }
        netlink_.set_up(*port, true);
        PreparedPod out = configure_pod(netns_fd, pod, spec);
        out.made = !old || old->index != port->index;
        out.pod.host_ifname = port->name;
        out.pod.host_mac = port->mac;
        if (const auto label = Label::parse(port->alias); label && out.pod.id.empty()) {
            out.pod.id = label->id;
        }
        return out;
    } catch (...) {
        const auto now = netlink_.link(host_ifname(inode, spec.ifname));
        if (now && (!old || old->index != now->index)) {
            detach_pod(inode, spec.ifname); // half an attachment is none
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
}

bool Host::detach_pod(std::uint64_t netns_inode, const std::string& ifname) {
    const auto port = netlink_.link(host_ifname(netns_inode, ifname));
    if (!port || port->kind != "veth") {
        return false;
    }
    netlink_.delete_link(*port);
    return true;
}

std::vector<std::string> Host::detach_all(std::uint64_t netns_inode) {
    std::vector<std::string> names;
    for (const Link& link : netlink_.links()) {
        if (is_port(link) && Label::parse(link.alias)->netns_inode == netns_inode) {
            netlink_.delete_link(link);
            names.push_back(Label::parse(link.alias)->ifname);
        }
    }
    return names;
}

std::vector<Link> Host::ports() {
    std::vector<Link> out = netlink_.links();
    std::erase_if(out, [](const Link& link) { return !is_port(link); });
    return out;
}

std::vector<Attachment> Host::list() {
    struct Inside {
        std::vector<Link> links;
        std::vector<os::LinkAddress> addresses;
    };

    std::map<int, Inside> pods;
    std::vector<Attachment> out;
    const std::vector<Link> links = netlink_.links();
    const std::set<unsigned> others = bridges_of_others(links);
    for (const Link& port : links) {
        if (!is_port(port) || others.contains(port.master)) {
            continue;
        }
        const Label label = *Label::parse(port.alias);
        Attachment entry{label.id, port.name, port.mac, label.ifname, {}, {}, label.netns_inode};
        try {
            auto [found, fresh] = pods.try_emplace(port.peer_netns_id);
            if (fresh) {
                found->second = {netlink_.links(port.peer_netns_id),
                                 netlink_.addresses(port.peer_netns_id)};
            }
            for (const Link& inside : found->second.links) {
                if (inside.index == port.peer_index) {
                    entry.mac = inside.mac;
                    entry.ifname = inside.name;
                    entry.addresses = given_addresses(found->second.addresses, inside.index);
                }
            }
        } catch (const std::system_error&) {
            pods.erase(port.peer_netns_id);
            continue; // the namespace went away while we looked
        }
        out.push_back(std::move(entry));
    }
    return out;
}

/** The host speaks IPv6 on the bridge only while it has an address there: else its neighbour
 * discovery would go to every node of the mesh. */
void Host::let_bridge_speak_v6(bool speak) {
    try_sysctl(
        netns_.get(), "net/ipv6/conf/" + settings_.bridge + "/disable_ipv6", speak ? "0" : "1");
}

bool Host::exposes_v6() {
    const std::vector<Prefix> all = exposed();
    return std::ranges::any_of(all, [](const Prefix& each) { return each.address.is_v6(); });
}

bool Host::expose(const Prefix& prefix) {
    if (prefix.address.is_v6()) {
        let_bridge_speak_v6(true);
    }
    return netlink_.add_address(bridge(), prefix);
}

bool Host::hide(const Prefix& prefix) {
    const bool was = netlink_.delete_address(bridge(), prefix);
    let_bridge_speak_v6(exposes_v6());
    return was;
}

std::vector<Prefix> Host::exposed() {
    return given_addresses(netlink_.addresses(), bridge().index);
}

std::set<IpAddress> Host::addresses_elsewhere() {
    std::set<IpAddress> out;
    const unsigned index = bridge().index;
    for (const os::LinkAddress& entry : netlink_.addresses()) {
        if (entry.index != index) {
            out.insert(entry.prefix.address);
        }
    }
    return out;
}

} // namespace weave::attach
