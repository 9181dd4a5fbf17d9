// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The addresses of this node's pods and of the host on their network: which are announced, and
// which are refused.
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

std::vector<attach::Attachment> Router::attachments() {
    std::vector<attach::Attachment> pods = host_.list();
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

wire::Addresses Router::own_addresses() {
    wire::Addresses own;
    for (const attach::Attachment& pod : attachments()) {
        own.macs.push_back(pod.mac);
        for (const Prefix& prefix : pod.addresses) {
            own.prefixes.push_back({prefix.address, all_bits(prefix.address)});
        }
    }
    exposed_ = host_.exposed();
    if (!exposed_.empty()) {
        own.macs.push_back(attach::bridge_mac(state_.identity().id()));
        for (const Prefix& prefix : exposed_) {
            own.prefixes.push_back({prefix.address, all_bits(prefix.address)});
        }
    }
    return own;
}

/** Reads what is attached and exposed here from the kernel and tells the mesh and the lanes. */
void Router::publish_addresses() {
    const wire::Addresses own = own_addresses();
    if (!mesh_->set_own_addresses(own)) {
        return; // what peers do not know of must not be believed to work here
    }
    owners_.set_local(own);
    publish_soon();
    if (const bool pods = !own.macs.empty(); std::exchange(bridge_pods_, pods) != pods) {
        publish_topology();
    }
}

/** What speaks against giving these addresses to an interface of this node, the bridge or a pod's
 * host end; nullopt when nothing does. */
std::optional<api::Reply> Router::refuse_addresses(const std::vector<Prefix>& addresses,
                                                   const std::string& interface) {
    for (const std::string& taken :
         {used_by_a_host(addresses), used_elsewhere(addresses), used_here(addresses, interface)}) {
        if (!taken.empty()) {
            return api::Reply::error("conflict", taken);
        }
    }
    wire::Addresses own = own_addresses();
    own.macs.emplace_back(); // a pod that is new brings one more
    for (const Prefix& prefix : addresses) {
        own.prefixes.push_back({prefix.address, all_bits(prefix.address)});
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
std::string Router::used_here(const std::vector<Prefix>& addresses, const std::string& interface) {
    const std::vector<attach::Attachment> pods = attachments();
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
