// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The control API's requests that give interfaces and addresses to pods and to the host.
#include "daemon/address_requests.hpp"
#include "daemon/attachment_row.hpp"
#include "daemon/holder.hpp"
#include "daemon/router.hpp"
#include "daemon/tombstones.hpp"
#include "os/netns.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

/** What an attach has to keep until its addresses are there. */
struct Attach {
    api::Descriptor netns;
    attach::PodSpec spec;
    std::string holder;
    std::vector<ipam::Request> requests;
    Duration patience{};
    /** Bridged: the pod's default route leads to this host. */
    bool routes = false;
};

template <class Value>
Value parsed(const nlohmann::json& params,
             const char* name,
             std::optional<Value> (*parse)(std::string_view)) {
    const auto text = params.at(name).get<std::string>();
    const auto value = parse(text);
    if (!value) {
        throw std::invalid_argument(fmt::format(
            "'{}' is no {}", text, name == std::string_view{"mac"} ? "MAC address" : name));
    }
    return *value;
}

attach::PodSpec pod_spec(const nlohmann::json& params) {
    attach::PodSpec spec;
    spec.ifname = params.value("ifname", std::string{"eth0"});
    spec.id = params.value("id", std::string{});
    spec.mtu = params.value("mtu", 0U);
    if (params.contains("mac")) {
        spec.mac = parsed<MacAddress>(params, "mac", MacAddress::parse);
    }
    const auto mode = params.value("mode", std::string{attach::name_of(attach::Mode::bridge)});
    if (const auto known = attach::mode_of(mode)) {
        spec.mode = *known;
    } else {
        throw std::invalid_argument(
            fmt::format("'{}' is no mode: a pod is in mode 'bridge' or 'routed'", mode));
    }
    return spec;
}

/** A routed pod is on no network with others, nor is a host beside it. */
std::vector<Prefix> on_no_network(std::vector<Prefix> addresses) {
    for (Prefix& each : addresses) {
        each.length = static_cast<std::uint8_t>(each.address.bits());
    }
    return addresses;
}

/** Where an address for the host has to be from so that these pods can send to it: theirs. */
ipam::Request beside(const std::vector<ipam::Request>& pods) {
    const auto any = [](const ipam::Request& each) {
        return each.kind == ipam::Request::Kind::any;
    };
    const auto found = std::ranges::find_if(pods, any);
    return found == pods.end() ? ipam::Request{} : *found;
}

/** What fails after addresses were given gives them back. */
template <class Call> Reply or_give_back(Call call, const std::function<void()>& give_back) {
    Reply reply;
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

/** Answers when the addresses are there, with what `use` makes of them. */
void Router::with_addresses(const std::string& method,
                            const std::string& holder,
                            const std::vector<ipam::Request>& requests,
                            Duration patience,
                            const UseGrant& use,
                            const Reply::Send& send) {
    obtaining_.insert(holder);
    allocations_->obtain(holder, requests, patience, [=, this](Allocations::Obtained obtained) {
        obtaining_.erase(obtaining_.find(holder));
        if (const auto* refused = std::get_if<NoAddress>(&obtained)) {
            send(Reply::error(refused->code, refused->sentence));
            return;
        }
        const auto& grant = std::get<Grant>(obtained);
        send(api::reply_of([&] {
            return logged(method, [&] {
                return or_give_back([&] { return use(grant); },
                                    [&] { allocations_->give_back(holder, grant.fresh); });
            });
        }));
    });
}

Reply Router::handle_attach(api::Request& request) {
    if (!request.fd) {
        return Reply::error("invalid",
                            "attach needs a network namespace's descriptor with the request");
    }
    auto task = std::make_shared<Attach>();
    attach::PodSpec& spec = task->spec;
    spec = pod_spec(request.params);
    const bool routed = spec.mode == attach::Mode::routed;
    task->requests = pod_address_requests(request.params);
    spec.addresses = fixed_addresses(task->requests);
    if (routed) {
        spec.addresses = on_no_network(spec.addresses);
    }
    // A routed pod without an address is refused: this one is to get its own.
    const bool none_yet = routed && spec.addresses.empty() && !task->requests.empty();
    if (const std::string bad = none_yet ? std::string{} : attach::check_pod(spec); !bad.empty()) {
        return Reply::error("invalid", bad);
    }
    const std::uint64_t inode = os::netns_inode(request.fd.get());
    const std::string own = attach::host_ifname(inode, spec.ifname);
    if (auto refusal = refuse_addresses(spec.addresses, own)) {
        return std::move(*refusal);
    }
    task->netns = std::move(request.fd);
    task->holder = holder::of_pod(spec.id, inode, spec.ifname);
    task->patience = patience_of(request.params);
    task->routes = !routed && request.params.value("routes", false);
    const UseGrant use = [this, task, routed](const Grant& grant) {
        attach::PodSpec& pod = task->spec;
        pod.addresses = routed ? on_no_network(grant.addresses) : grant.addresses;
        pod.gateways = task->routes ? gateways_of(pod.addresses) : std::vector<IpAddress>{};
        return attach_pod(std::move(task->netns), pod);
    };
    return Reply::deferred([this, task, use, routed](const Reply::Send& send) {
        const auto attach = [this, task, use, send](Reply host) {
            if (!host.code.empty()) {
                send(std::move(host));
                return;
            }
            with_addresses("attach", task->holder, task->requests, task->patience, use, send);
        };
        if (routed || task->routes) {
            with_host_address(routed, beside(task->requests), task->patience, attach);
        } else {
            attach(Reply::ok());
        }
    });
}

/** What pods send to that are to get out of the mesh, or are not on its bridge: the host, under an
 * address of its own. `then` gets an error when there is none. */
void Router::with_host_address(bool routed,
                               const ipam::Request& near,
                               Duration patience,
                               const Reply::Send& then) {
    const auto subnet = near.prefix ? allocations_->plan().places_of(*near.prefix)
                                    : std::optional(allocations_->plan().default_subnet());
    const auto fits = [&](const Prefix& own) {
        const bool whole = own.length == own.address.bits();
        const auto place = allocations_->plan().place_of(own.address);
        return whole == routed && (routed || (place && subnet && subnet->contains(*place)));
    };
    if (std::ranges::any_of(state_.exposed(), fits)) {
        then(Reply::ok());
        return;
    }
    with_addresses(
        "expose",
        routed ? holder::kNode : holder::kHost,
        {routed ? ipam::Request{} : near},
        patience,
        [this, routed](const Grant& grant) {
            return expose_too(routed ? on_no_network(grant.addresses) : grant.addresses);
        },
        then);
}

Reply Router::attach_pod(api::Descriptor netns, const attach::PodSpec& spec) {
    attach::PreparedPod prepared = host_.prepare_pod(netns.get(), spec);
    try {
        remember_given(prepared.pod,
                       spec.addresses); // first: what cannot be kept is not acknowledged
        converge_ports(attachments());  // nor what could send under any name
    } catch (const std::system_error&) {
        host_.undo(netns.get(), prepared);
        throw;
    }
    attach::Attachment& pod = prepared.pod;
    keep_given(pod);
    if (spec.mode == attach::Mode::routed || !spec.gateways.empty()) {
        forward_for(spec.addresses);
    }
    publish_addresses();
    log::info("event=attached interface={} mac={}", pod.host_ifname, pod.mac.text());
    // Of a port of the bridge the kernel is not asked for routes: it has those it was given.
    attach::Attachment shown = pod;
    if (spec.mode == attach::Mode::bridge) {
        shown.gateways = spec.gateways;
    }
    Reply reply = Reply::ok(row_of(shown));
    // Peers drop what comes from an address they have not heard of: the pod starts when they have.
    reply.after =
        mesh_->until_known(Clock::now(), [this](const NodeId& node) { return peers_->rtt(node); });
    reply.finish = [this, kept = std::make_shared<api::Descriptor>(std::move(netns)), spec] {
        host_.start_pod(kept->get(), spec);
    };
    return reply;
}

/** By the namespace, or by the name that the caller gave the pod: who detaches may have no
 * namespace any more. */
Reply Router::handle_detach(api::Request& request) {
    const auto ifname = request.params.value("ifname", std::string{});
    const auto id = request.params.value("id", std::string{});
    if (!request.fd && id.empty()) {
        return Reply::error("invalid",
                            "detach needs a network namespace's descriptor or a pod's id with the "
                            "request");
    }
    const std::uint64_t inode = request.fd ? os::netns_inode(request.fd.get()) : 0;
    std::vector<std::string> detached;
    for (const attach::Attachment& pod : host_.known()) {
        const bool same = (request.fd ? pod.netns_inode == inode : pod.id == id) &&
                          (ifname.empty() || pod.ifname == ifname);
        if (same && host_.detach_pod(pod.netns_inode, pod.ifname)) {
            detached.push_back(pod.ifname);
        }
    }
    if (detached.empty()) {
        return Reply::error(
            "not_found",
            ifname.empty()
                ? "nothing of ours is in that namespace: see 'weavectl status attachments'"
                : fmt::format("no interface '{}' of ours is in that namespace: see 'weavectl "
                              "status attachments'",
                              ifname));
    }
    publish_addresses();
    return Reply::ok({{"detached", detached}});
}

/** Its interface too, whatever the allocator knows of it. */
void Router::detach_holder(const std::string& holder) {
    for (const attach::Attachment& pod : host_.known()) {
        if (holder::of_pod(pod.id, pod.netns_inode, pod.ifname) == holder) {
            host_.detach_pod(pod.netns_inode, pod.ifname);
        }
    }
}

/** What container runtimes deleted while this node did not run. */
void Router::settle_deleted() {
    const auto settle = [this](const Tombstone& gone) {
        if (const auto pod = host_.find(gone.id, gone.ifname)) {
            host_.detach_pod(pod->netns_inode, pod->ifname);
        }
        for (const std::string_view kind : {holder::kPod, holder::kProgram}) {
            allocations_->release(std::string{kind} + gone.holder);
        }
        log::info("event=tombstone_settled holder={}", log::quoted(gone.holder));
    };
    for (const std::string& why : settle_tombstones(options_.state_dir, settle)) {
        log::warning("event=tombstone_not_settled reason={}", log::quoted(why));
    }
}

Reply Router::handle_expose(const api::Request& request) {
    const std::vector<ipam::Request> requests = address_requests(request.params);
    const std::vector<Prefix> fixed = fixed_addresses(requests);
    for (const Prefix& prefix : fixed) {
        if (const std::string bad = attach::check_address(prefix); !bad.empty()) {
            return Reply::error("invalid", bad);
        }
    }
    if (auto refusal = refuse_addresses(fixed, options_.bridge)) {
        return std::move(*refusal);
    }
    const bool own = request.params.value("own", false);
    const UseGrant use = [this, own](const Grant& grant) {
        return expose_too(own ? on_no_network(grant.addresses) : grant.addresses);
    };
    return Reply::deferred([this, own, requests, use, patience = patience_of(request.params)](
                               const Reply::Send& send) {
        with_addresses(
            "expose", own ? holder::kNode : holder::kHost, requests, patience, use, send);
    });
}

/** These beside what the host has. */
Reply Router::expose_too(const std::vector<Prefix>& addresses) {
    std::vector<Prefix> after = state_.exposed();
    nlohmann::json granted = nlohmann::json::array();
    for (const Prefix& prefix : addresses) {
        std::erase(after, prefix);
        after.push_back(prefix);
        granted.push_back(prefix.text());
    }
    Reply reply = expose_exactly(after);
    reply.result["addresses"] = granted;
    return reply;
}

/** The host's addresses on the pods' network that these are in. */
std::vector<IpAddress> Router::gateways_of(const std::vector<Prefix>& addresses) {
    std::vector<IpAddress> out;
    for (const Prefix& prefix : addresses) {
        for (const Prefix& own : state_.exposed()) {
            const bool known = std::ranges::find(out, own.address) != out.end();
            if (!known && own.length < own.address.bits() && own.contains(prefix.address)) {
                out.push_back(own.address);
            }
        }
    }
    return out;
}

Reply Router::handle_hide(const api::Request& request) {
    std::vector<Prefix> after = state_.exposed();
    std::vector<Prefix> hidden = after;
    if (!request.params.value("addresses", nlohmann::json::array()).empty()) {
        hidden = fixed_addresses(address_requests(request.params));
    }
    for (const Prefix& prefix : hidden) {
        if (std::erase(after, prefix) == 0) {
            return Reply::error(
                "not_found",
                fmt::format("{} is not exposed: see 'weavectl status'", prefix.text()));
        }
    }
    Reply reply = expose_exactly(after);
    release_unexposed();
    return reply;
}

/** What the host had of the range and has no more. */
void Router::release_unexposed() {
    std::vector<ipam::Index> gone;
    const auto shown = [&](ipam::Index place) {
        return std::ranges::any_of(state_.exposed(), [&](const Prefix& prefix) {
            return allocations_->plan().place_of(prefix.address) == place;
        });
    };
    for (const char* const name : {holder::kHost, holder::kNode}) {
        for (const ipam::Index place : allocations_->allocator().leases().held_by(name)) {
            if (!shown(place)) {
                gone.push_back(place);
            }
        }
        allocations_->give_back(name, std::exchange(gone, {}));
    }
}

/** All of them or as before. */
Reply Router::expose_exactly(const std::vector<Prefix>& wanted) {
    const std::vector<Prefix> before = state_.exposed();
    const auto had = [&](const std::vector<Prefix>& list, const Prefix& prefix) {
        return std::ranges::find(list, prefix) != list.end();
    };
    state_.save_exposed(wanted); // first: what cannot be kept is not acknowledged
    std::vector<std::function<void()>> undo;
    try {
        for (const Prefix& prefix : wanted) {
            if (!had(before, prefix) && host_.expose(prefix)) {
                undo.emplace_back([this, prefix] { host_.hide(prefix); });
            }
        }
        for (const Prefix& prefix : before) {
            if (!had(wanted, prefix) && host_.hide(prefix)) {
                undo.emplace_back([this, prefix] { host_.expose(prefix); });
            }
        }
    } catch (const std::system_error&) {
        std::ranges::for_each(undo, [](const auto& step) { step(); });
        state_.save_exposed(before);
        throw;
    }
    publish_addresses();
    nlohmann::json exposed = nlohmann::json::array();
    for (const Prefix& prefix : wanted) {
        exposed.push_back(prefix.text());
    }
    return Reply::ok({{"exposed", exposed}});
}

} // namespace weave::daemon
