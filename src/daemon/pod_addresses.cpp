// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The addresses of this node's pods and of the host on their network: which are announced, and
// which are refused.
#include "daemon/holder.hpp"
#include "daemon/router.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

std::string in_use(const Prefix& prefix, const std::string& where) {
    return fmt::format("{} is in use on {}: choose another address", prefix.address.text(), where);
}

bool holds(const std::vector<Prefix>& held, const IpAddress& address) {
    return std::any_of(
        held.begin(), held.end(), [&](const Prefix& each) { return each.address == address; });
}

std::uint8_t all_bits(const IpAddress& address) {
    return static_cast<std::uint8_t>(address.bits());
}

} // namespace

/** What the pod's interface has beyond what it was given is the pod's own making: announced, it
 * would be any address the pod likes. */
void Router::keep_given(attach::Attachment& pod) {
    const auto entry = state_.given().find(pod.host_ifname);
    const bool known = entry != state_.given().end() && entry->second.host_mac == pod.host_mac;
    std::erase_if(pod.addresses, [&](const Prefix& each) {
        return !known || !holds(entry->second.addresses, each.address);
    });
}

Router::Attachments Router::attachments() {
    Attachments pods = host_.list();
    for (attach::Attachment& pod : pods) {
        keep_given(pod);
    }
    return pods;
}

/** On disk before it is acknowledged. Links that are gone are left out. */
void Router::remember_given(const attach::Attachment& pod, const std::vector<Prefix>& addresses) {
    std::map<std::string, GivenAddresses> after;
    for (const os::Link& port : host_.ports()) {
        const auto entry = state_.given().find(port.name);
        if (entry != state_.given().end() && entry->second.host_mac == port.mac) {
            after.insert(*entry);
        }
    }
    GivenAddresses& given = after[pod.host_ifname];
    given.host_mac = pod.host_mac;
    for (const Prefix& prefix : addresses) {
        if (!holds(given.addresses, prefix.address)) {
            given.addresses.push_back(prefix);
        }
    }
    state_.save_given(std::move(after));
}

/** Pods that run and of which nothing is known, because the file was lost: what they have now is
 * taken for what they were given, or they would be cut off. */
void Router::adopt_given() {
    if (!state_.given().empty()) {
        return;
    }
    for (const attach::Attachment& pod : host_.list()) {
        log::warning("event=addresses_adopted interface={}", pod.host_ifname);
        remember_given(pod, pod.addresses);
    }
}

/** What this host has for itself on the pod network: exposed with its whole length, an address
 * belongs to no network whose hosts would be on the link. */
std::vector<Prefix> Router::node_addresses() {
    std::vector<Prefix> out = state_.exposed();
    std::erase_if(out, [](const Prefix& each) { return each.length != all_bits(each.address); });
    return out;
}

/** The kernel's ways to all that have an address here. */
void Router::converge_routes(const Attachments& pods) {
    try {
        host_.set_node_addresses(node_addresses());
        host_.converge_routes(pods);
    } catch (const std::system_error& error) {
        if (rate_.allow("routes_failed", Clock::now())) {
            log::error("event=routes_failed reason={}", log::quoted(error.what()));
        }
    }
}

/** An address that the host routes to, or has for itself, is told without a MAC: on the bridge it
 * is the host that answers for it, and what comes to the router's MAC goes to the host. */
wire::Addresses Router::own_addresses(const Attachments& pods) {
    wire::Addresses own;
    for (const attach::Attachment& pod : pods) {
        own.macs.push_back(pod.mac);
        const bool bridged = pod.mode == attach::Mode::bridge;
        for (const Prefix& prefix : pod.addresses) {
            own.add({prefix.address, all_bits(prefix.address)}, bridged ? pod.mac : MacAddress{});
        }
    }
    exposed_ = host_.exposed();
    // The host sends for its routed pods, and takes what comes for them to the router's MAC.
    if (host_.routes()) {
        own.router_mac = attach::kRouterMac;
    }
    if (!exposed_.empty() || host_.routes()) {
        const MacAddress bridge = attach::bridge_mac(state_.identity().id());
        own.macs.push_back(bridge);
        for (const Prefix& prefix : exposed_) {
            const bool whole = prefix.length == all_bits(prefix.address);
            own.add({prefix.address, all_bits(prefix.address)}, whole ? MacAddress{} : bridge);
        }
    }
    add_learned(own);
    return own;
}

void Router::add_learned(wire::Addresses& own) {
    for (const MacAddress& mac : own.macs) {
        learned_.forget(mac); // a pod that gave itself another one
    }
    own.learned.assign(learned_.all().begin(), learned_.all().end());
}

/** Whether something here that is not the mesh speaks from that MAC, as far as the bridge knows. */
bool Router::is_on_bridge(const MacAddress& mac) {
    try {
        const auto bridge = netlink_.link(options_.bridge);
        const auto tap = netlink_.link(options_.tap);
        const auto port = bridge ? netlink_.learned_port(*bridge, mac) : std::nullopt;
        return port && tap && *port != tap->index;
    } catch (const std::system_error& error) {
        if (rate_.allow("learned", Clock::now())) {
            log::warning("event=bridge_not_asked reason={}", log::quoted(error.what()));
        }
        return false;
    }
}

/** Tells the mesh and the lanes what is attached and exposed here now. */
void Router::publish_addresses() {
    const Attachments pods = attachments();
    converge_routes(pods);
    try {
        converge_ports(pods);
    } catch (const std::system_error& error) {
        if (rate_.allow("ports_failed", Clock::now())) {
            log::error("event=port_rules_failed reason={}", log::quoted(error.what()));
        }
    }
    const wire::Addresses own = own_addresses(pods);
    if (!mesh_->set_own_addresses(own)) {
        return; // what peers do not know of must not be believed to work here
    }
    owners_.set_local(own);
    publish_soon();
    release_what_is_gone();
    if (const bool any = !own.macs.empty() || !own.learned.empty();
        std::exchange(bridge_pods_, any) != any) {
        publish_topology();
    }
}

/** Whose interface exists, or is being made. */
std::set<std::string> Router::live_holders() {
    std::set<std::string> live(obtaining_.begin(), obtaining_.end());
    for (const attach::Attachment& pod : host_.known()) {
        live.insert(holder::of_pod(pod.id, pod.netns_inode, pod.ifname));
    }
    return live;
}

/** Before the first allocation: what pods and the host have is in use, whatever was written down.
 */
void Router::claim_what_runs() {
    for (const attach::Attachment& pod : attachments()) {
        allocations_->claim_in_use(holder::of_pod(pod.id, pod.netns_inode, pod.ifname),
                                   pod.addresses);
    }
    allocations_->claim_in_use(holder::kHost, state_.exposed());
}

/** A pod that ended without a word, while this router ran or before, gives its addresses back. */
void Router::release_what_is_gone() {
    const std::set<std::string> live = live_holders();
    for (const std::string& each : allocations_->holders()) {
        if (each.starts_with(holder::kPod) && !live.contains(each)) {
            log::info("event=addresses_released holder={}", log::quoted(holder::shown(each)));
            allocations_->release(each);
        }
    }
}

/** What speaks against giving these addresses to an interface of this node, the bridge or a pod's
 * host end; nullopt when nothing does. */
std::optional<api::Reply> Router::refuse_addresses(const std::vector<Prefix>& addresses,
                                                   const std::string& interface) {
    const Attachments pods = attachments();
    for (const std::string& taken : {used_by_a_host(addresses),
                                     used_elsewhere(addresses),
                                     used_here(addresses, interface, pods)}) {
        if (!taken.empty()) {
            return api::Reply::error("conflict", taken);
        }
    }
    wire::Addresses own = own_addresses(pods);
    const MacAddress some{{2}};
    own.macs.push_back(some); // a pod that is new brings one more
    for (const Prefix& prefix : addresses) {
        own.add({prefix.address, all_bits(prefix.address)}, some);
    }
    if (!MeshPlane::publishable(own)) {
        return api::Reply::error(
            "conflict", "this node would announce more addresses than fit one record: detach some");
    }
    return std::nullopt;
}

/** A sentence when a host of the mesh has one of the addresses outside the pod network. */
std::string Router::used_by_a_host(const std::vector<Prefix>& addresses) {
    const std::set<IpAddress> own = host_.addresses_elsewhere();
    for (const Prefix& prefix : addresses) {
        if (own.contains(prefix.address)) {
            return in_use(prefix, "this host, outside the pod network");
        }
        for (const mesh::NodeInfo& node : mesh_->mesh().nodes()) {
            const auto is_it = [&](const Endpoint& each) { return each.address == prefix.address; };
            if (std::any_of(node.endpoints.begin(), node.endpoints.end(), is_it)) {
                return in_use(prefix, "the host of node " + node.shown_name);
            }
        }
    }
    return {};
}

/** A sentence when another node owns one of the addresses. */
std::string Router::used_elsewhere(const std::vector<Prefix>& addresses) {
    for (const Prefix& prefix : addresses) {
        const auto owner = owners_.table()->owner(prefix.address);
        if (owner != dataplane::kNoPeer && owner != dataplane::kLocalPeer) {
            const auto* peer = snapshot_.peers->peer(owner);
            return in_use(prefix, "node " + (peer != nullptr ? name_of(peer->node) : "unknown"));
        }
    }
    return {};
}

/** A sentence when an interface of this node other than that one has one of the addresses. */
std::string Router::used_here(const std::vector<Prefix>& addresses,
                              const std::string& interface,
                              const Attachments& pods) {
    const std::vector<Prefix> exposed = host_.exposed();
    for (const Prefix& prefix : addresses) {
        if (interface != options_.bridge && holds(exposed, prefix.address)) {
            return in_use(prefix, "this node by interface " + options_.bridge);
        }
        for (const attach::Attachment& pod : pods) {
            if (pod.host_ifname != interface && holds(pod.addresses, prefix.address)) {
                return in_use(prefix, "this node by interface " + pod.host_ifname);
            }
        }
    }
    return {};
}

} // namespace weave::daemon
