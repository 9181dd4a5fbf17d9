// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The addresses of this node's pods and of the host on their network: which are announced, and
// which are refused.
#include "daemon/holder.hpp"
#include "daemon/router.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

constexpr auto kLookAgain = std::chrono::seconds(1);

std::string in_use(const Prefix& prefix, const std::string& where) {
    return fmt::format("{} is in use on {}: choose another address", prefix.address.text(), where);
}

bool holds(const std::vector<Prefix>& held, const IpAddress& address) {
    return std::ranges::find(held, address, &Prefix::address) != held.end();
}

std::uint8_t all_bits(const IpAddress& address) {
    return static_cast<std::uint8_t>(address.bits());
}

} // namespace

void Router::look_again(TimePoint now) {
    if (now < next_look_ || !(publish_due_ || pods_.incomplete())) {
        return;
    }
    publish_due_ = true;
    try {
        publish_addresses();
        publish_due_ = false;
    } catch (const std::system_error& error) {
        if (rate_.allow("look_again", now)) {
            log::error("event=attachments_not_read reason={}", log::quoted(error.what()));
        }
    }
    if (publish_due_ || pods_.incomplete()) {
        next_look_ = now + kLookAgain;
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
void Router::converge_routes(const Pods::List& pods) {
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
wire::Addresses Router::own_addresses(const Pods::List& pods) {
    wire::Addresses own;
    for (const attach::Attachment& pod : pods) {
        if (pod.mac == MacAddress{}) {
            continue; // it could not be looked into yet
        }
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
    add_reserved(own);
    return own;
}

/** What programs and people hold: of one family, as the other's stands for the same place. */
void Router::add_reserved(wire::Addresses& own) {
    for (const auto& [place, holder] : allocations_->allocator().leases().holders()) {
        if (holder.starts_with(holder::kProgram) || holder.starts_with(holder::kPerson)) {
            own.reserved.push_back(allocations_->plan().address(place));
        }
    }
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

/** Something can leave the mesh through this host: it has an address that pods may take for their
 * gateway, or is the gateway of some. */
bool Router::masquerades(const Pods::List& pods) {
    const auto is_routed = [](const attach::Attachment& pod) {
        return pod.mode == attach::Mode::routed;
    };
    return !options_.no_masquerade && (!state_.exposed().empty() || !host_.exposed().empty() ||
                                       std::ranges::any_of(pods, is_routed));
}

/** Tells the mesh and the lanes what is attached, exposed and held here now; false when the mesh
 * cannot be told, as it is too much for a record. */
bool Router::publish_addresses() {
    const Pods::List pods = pods_.list();
    converge_routes(pods);
    try {
        ports_->converge(pods, host_.ports());
        if (masquerades(pods)) {
            ports_->masquerade();
        }
    } catch (const std::system_error& error) {
        if (rate_.allow("ports_failed", Clock::now())) {
            log::error("event=port_rules_failed reason={}", log::quoted(error.what()));
        }
    }
    const wire::Addresses own = own_addresses(pods);
    if (!mesh_->set_own_addresses(own)) {
        release_what_is_gone();
        return false; // what peers do not know of must not be believed to work here
    }
    owners_.set_local(own);
    publish_soon();
    release_what_is_gone();
    if (const bool any = !own.macs.empty() || !own.learned.empty();
        std::exchange(bridge_pods_, any) != any) {
        publish_topology();
    }
    return true;
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
    for (const attach::Attachment& pod : pods_.list()) {
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
    const Pods::List pods = pods_.list();
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
        return api::Reply::error("conflict", kTooMany);
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
                              const Pods::List& pods) {
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
