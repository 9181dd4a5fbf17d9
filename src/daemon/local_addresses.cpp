// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/local_addresses.hpp"

#include "attach/host.hpp"
#include "daemon/address_plan.hpp"
#include "daemon/holder.hpp"

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

/** What fails after addresses were given gives them back. */
template <class Call> api::Reply or_give_back(Call call, const std::function<void()>& give_back) {
    api::Reply reply;
    try {
        reply = call();
    } catch (...) {
        give_back();
        throw;
    }
    if (!reply.code.empty()) {
        give_back();
    }
    return reply;
}

} // namespace

LocalAddresses::LocalAddresses(const NodeParts& parts, LocalEvents events)
    : parts_(parts)
    , events_(std::move(events))
    , pods_(parts_.host,
            parts_.state,
            {[this](const std::string& name) {
                 return ports_ ? ports_->mac(name) : std::optional<MacAddress>{};
             },
             [this](const MacAddress& mac) { return parts_.owners.is_others(mac); }})
    , learned_({[this](const MacAddress& mac) { return is_on_bridge(mac); },
                [this](const MacAddress& mac) {
                    return parts_.owners.is_elsewhere(mac, parts_.state.identity().id());
                }}) {}

void LocalAddresses::adopt() {
    for (const std::string& interface : parts_.host.adopt_pods()) {
        log::warning("event=pod_not_adapted interface={} remedy={}",
                     interface,
                     log::quoted("detach and attach the pod for the settings of this start"));
    }
    parts_.host.leave_old_bridges(parts_.state.exposed());
    for (const Prefix& prefix : parts_.state.exposed()) {
        parts_.host.expose(prefix);
    }
    pods_.adopt();
}

void LocalAddresses::guard(boost::asio::io_context& io) {
    attach::FirewallSettings settings;
    settings.table = parts_.options.bridge;
    settings.bridge = parts_.options.bridge;
    const Pods::List pods = pods_.list();
    settings.masquerade = masquerades(pods);
    settings.ranges = ranges_of(parts_.allocations.plan());
    ports_ = std::make_unique<PodPorts>(io, std::move(settings), pods);
}

void LocalAddresses::tick(TimePoint now) {
    ports_->review(now);
    publish_due_ |= learned_.review(now);
    look_again(now);
}

void LocalAddresses::look_again(TimePoint now) {
    if (now < next_look_ || !(publish_due_ || pods_.incomplete())) {
        return;
    }
    publish_due_ = true;
    try {
        publish();
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
std::vector<Prefix> LocalAddresses::node_addresses() {
    std::vector<Prefix> out = parts_.state.exposed();
    std::erase_if(out, [](const Prefix& each) { return each.length != all_bits(each.address); });
    return out;
}

/** The kernel's ways to all that have an address here. */
void LocalAddresses::converge_routes(const Pods::List& pods) {
    try {
        parts_.host.set_node_addresses(node_addresses());
        parts_.host.converge_routes(pods);
    } catch (const std::system_error& error) {
        if (rate_.allow("routes_failed", Clock::now())) {
            log::error("event=routes_failed reason={}", log::quoted(error.what()));
        }
    }
}

void LocalAddresses::converge_ports(const Pods::List& pods) {
    try {
        ports_->converge(pods, parts_.host.ports());
        if (masquerades(pods)) {
            ports_->masquerade();
        }
    } catch (const std::system_error& error) {
        if (rate_.allow("ports_failed", Clock::now())) {
            log::error("event=port_rules_failed reason={}", log::quoted(error.what()));
        }
    }
}

/** An address that the host routes to, or has for itself, is told without a MAC: on the bridge it
 * is the host that answers for it, and what comes to the router's MAC goes to the host. */
wire::Addresses LocalAddresses::own_addresses(const Pods::List& pods) {
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
    exposed_ = parts_.host.exposed();
    // The host sends for its routed pods, and takes what comes for them to the router's MAC.
    if (parts_.host.routes()) {
        own.router_mac = attach::kRouterMac;
    }
    if (!exposed_.empty() || parts_.host.routes()) {
        const MacAddress bridge = attach::bridge_mac(parts_.state.identity().id());
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
void LocalAddresses::add_reserved(wire::Addresses& own) {
    for (const auto& [place, holder] : parts_.allocations.allocator().leases().holders()) {
        if (holder.starts_with(holder::kProgram) || holder.starts_with(holder::kPerson)) {
            own.reserved.push_back(parts_.allocations.plan().address(place));
        }
    }
}

void LocalAddresses::add_learned(wire::Addresses& own) {
    for (const MacAddress& mac : own.macs) {
        learned_.forget(mac); // a pod that gave itself another one
    }
    own.learned.assign(learned_.all().begin(), learned_.all().end());
}

/** Whether something here that is not the mesh speaks from that MAC, as far as the bridge knows. */
bool LocalAddresses::is_on_bridge(const MacAddress& mac) {
    try {
        const auto bridge = netlink_.link(parts_.options.bridge);
        const auto tap = netlink_.link(parts_.options.tap);
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
bool LocalAddresses::masquerades(const Pods::List& pods) {
    const auto is_routed = [](const attach::Attachment& pod) {
        return pod.mode == attach::Mode::routed;
    };
    return !parts_.options.no_masquerade &&
           (!parts_.state.exposed().empty() || !parts_.host.exposed().empty() ||
            std::ranges::any_of(pods, is_routed));
}

bool LocalAddresses::publish() {
    const Pods::List pods = pods_.list();
    converge_routes(pods);
    converge_ports(pods);
    const wire::Addresses own = own_addresses(pods);
    if (!parts_.mesh.set_own_addresses(own)) {
        release_what_is_gone();
        return false; // what peers do not know of must not be believed to work here
    }
    parts_.owners.set_local(own);
    events_.on_changed();
    release_what_is_gone();
    if (const bool any = !own.macs.empty() || !own.learned.empty();
        std::exchange(bridge_pods_, any) != any) {
        events_.on_bridge_pods();
    }
    return true;
}

std::set<std::string> LocalAddresses::live_holders() {
    std::set<std::string> live(expected_.begin(), expected_.end());
    for (const attach::Attachment& pod : parts_.host.known()) {
        live.insert(holder::of_pod(pod.id, pod.netns_inode, pod.ifname));
    }
    return live;
}

void LocalAddresses::claim_what_runs() {
    for (const attach::Attachment& pod : pods_.list()) {
        parts_.allocations.claim_in_use(holder::of_pod(pod.id, pod.netns_inode, pod.ifname),
                                        pod.addresses);
    }
    parts_.allocations.claim_in_use(holder::kHost, parts_.state.exposed());
}

/** A pod that ended without a word, while this router ran or before, gives its addresses back. */
void LocalAddresses::release_what_is_gone() {
    const std::set<std::string> live = live_holders();
    for (const std::string& each : parts_.allocations.holders()) {
        if (each.starts_with(holder::kPod) && !live.contains(each)) {
            log::info("event=addresses_released holder={}", log::quoted(holder::shown(each)));
            parts_.allocations.release(each);
        }
    }
}

void LocalAddresses::obtain(const std::string& method,
                            const std::string& holder,
                            const std::vector<ipam::Request>& requests,
                            Duration patience,
                            const UseGrant& use,
                            const api::Reply::Send& send) {
    expect(holder);
    parts_.allocations.obtain(
        holder, requests, patience, [=, this](Allocations::Obtained obtained) {
            expect_no_more(holder);
            if (const auto* refused = std::get_if<NoAddress>(&obtained)) {
                send(api::Reply::error(refused->code, refused->sentence));
                return;
            }
            const auto& grant = std::get<Grant>(obtained);
            send(api::reply_of([&] {
                return parts_.requests.watch(method, [&] {
                    return or_give_back([&] { return use(grant); },
                                        [&] { parts_.allocations.give_back(holder, grant.fresh); });
                });
            }));
        });
}

std::optional<api::Reply> LocalAddresses::refuse(const std::vector<Prefix>& addresses,
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
std::string LocalAddresses::used_by_a_host(const std::vector<Prefix>& addresses) {
    const std::set<IpAddress> own = parts_.host.addresses_elsewhere();
    for (const Prefix& prefix : addresses) {
        if (own.contains(prefix.address)) {
            return in_use(prefix, "this host, outside the pod network");
        }
        for (const mesh::NodeInfo& node : parts_.mesh.mesh().nodes()) {
            const auto is_it = [&](const Endpoint& each) { return each.address == prefix.address; };
            if (std::any_of(node.endpoints.begin(), node.endpoints.end(), is_it)) {
                return in_use(prefix, "the host of node " + node.shown_name);
            }
        }
    }
    return {};
}

/** A sentence when another node owns one of the addresses. */
std::string LocalAddresses::used_elsewhere(const std::vector<Prefix>& addresses) {
    for (const Prefix& prefix : addresses) {
        const auto owner = parts_.owners.table()->owner(prefix.address);
        if (owner != dataplane::kNoPeer && owner != dataplane::kLocalPeer) {
            const auto* peer = parts_.peers.table()->peer(owner);
            return in_use(
                prefix, "node " + (peer != nullptr ? parts_.mesh.name_of(peer->node) : "unknown"));
        }
    }
    return {};
}

/** A sentence when an interface of this node other than that one has one of the addresses. */
std::string LocalAddresses::used_here(const std::vector<Prefix>& addresses,
                                      const std::string& interface,
                                      const Pods::List& pods) {
    const std::vector<Prefix> exposed = parts_.host.exposed();
    for (const Prefix& prefix : addresses) {
        if (interface != parts_.options.bridge && holds(exposed, prefix.address)) {
            return in_use(prefix, "this node by interface " + parts_.options.bridge);
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
