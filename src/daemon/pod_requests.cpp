// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/pod_requests.hpp"

#include "api/status.hpp"
#include "daemon/address_requests.hpp"
#include "daemon/attachment_row.hpp"
#include "daemon/holder.hpp"
#include "daemon/tombstones.hpp"
#include "os/netns.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

/** A runtime that found no router while one was starting left a word on the disk. */
constexpr auto kReviewDeleted = std::chrono::seconds(5);

/** What an attach has to keep until its addresses are there. */
struct Attach {
    api::Descriptor netns;
    attach::PodSpec spec;
    std::string holder;
    std::vector<ipam::Request> requests;
    Duration patience{};
    /** Bridged: this host is the pod's gateway, and its default route leads there too. */
    bool gateway = false;
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

/** Where an address for the host has to be from so that these pods can send to it: of the network
 * that theirs are in. */
ipam::Request beside(const std::vector<ipam::Request>& pods, const ipam::Plan& plan) {
    for (const ipam::Request& each : pods) {
        if (each.kind == ipam::Request::Kind::any) {
            return each;
        }
        if (each.prefix->length < each.prefix->address.bits() &&
            plan.places_of(each.prefix->network())) {
            return {ipam::Request::Kind::any, each.prefix->network()};
        }
    }
    return {};
}

} // namespace

/** What speaks against a pod like that at that host end; nullopt when nothing does. */
std::optional<Reply> PodRequests::refuse_pod(const attach::PodSpec& spec, const std::string& own) {
    if (auto refusal = local_.refuse(spec.addresses, own)) {
        return refusal;
    }
    if (spec.mac &&
        (local_.pods().has_mac(*spec.mac, own) || parts_.owners.is_attached_elsewhere(*spec.mac))) {
        return Reply::error(
            "conflict",
            fmt::format("the MAC address {} is in use: choose another", spec.mac->text()));
    }
    const auto there = known_as(own);
    if (there && !spec.id.empty() && spec.id != *there) {
        return Reply::error("conflict",
                            fmt::format("interface '{}' in that namespace was attached {}: "
                                        "detach it first",
                                        spec.ifname,
                                        there->empty() ? "by hand" : "as " + *there));
    }
    return std::nullopt;
}

Reply PodRequests::attach(api::Request& request) {
    if (!request.fd) {
        return Reply::error("invalid",
                            "attach needs a network namespace's descriptor with the request");
    }
    auto task = std::make_shared<Attach>();
    attach::PodSpec& spec = task->spec;
    spec = pod_spec(request.params);
    const bool routed = spec.mode == attach::Mode::routed;
    task->requests =
        without_partners(pod_address_requests(request.params), parts_.allocations.plan());
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
    if (auto refusal = refuse_pod(spec, own)) {
        return std::move(*refusal);
    }
    spec.id = known_as(own).value_or(spec.id); // whoever adds to it does so for the same holder
    task->netns = std::move(request.fd);
    task->holder = holder::of_pod(spec.id, inode, spec.ifname);
    task->patience = patience_of(request.params);
    task->routes = !routed && request.params.value("routes", false);
    task->gateway = !routed && request.params.value("gateway", task->routes);
    const LocalAddresses::UseGrant use = [this, task, routed](const Grant& grant) {
        attach::PodSpec& pod = task->spec;
        pod.addresses = routed ? on_no_network(grant.addresses) : grant.addresses;
        pod.gateways =
            task->routes ? host_addresses_.gateways_of(pod.addresses) : std::vector<IpAddress>{};
        return attach_pod(std::move(task->netns),
                          pod,
                          task->gateway,
                          [this, holder = task->holder, fresh = grant.fresh] {
                              parts_.allocations.give_back(holder, fresh);
                          });
    };
    return Reply::deferred([this, task, use, routed](const Reply::Send& send) {
        preparing_.insert(task->holder);
        local_.expect(task->holder);
        const auto attach = [this, task, use, send](Reply host) {
            preparing_.erase(preparing_.find(task->holder));
            local_.expect_no_more(task->holder);
            if (unwanted_.erase(task->holder) > 0) {
                host = Reply::error("not_found", "the pod was deleted meanwhile");
            }
            if (!host.code.empty()) {
                send(std::move(host));
                return;
            }
            local_.obtain("attach", task->holder, task->requests, task->patience, use, send);
        };
        if (routed || task->gateway) {
            host_addresses_.ensure(
                routed, beside(task->requests, parts_.allocations.plan()), task->patience, attach);
        } else {
            attach(Reply::ok());
        }
    });
}

/** The id that an interface of ours was attached with; nullopt when there is none. */
std::optional<std::string> PodRequests::known_as(const std::string& host_ifname) {
    for (const attach::Attachment& pod : parts_.host.known()) {
        if (pod.host_ifname == host_ifname) {
            return pod.id;
        }
    }
    return std::nullopt;
}

/** All of it, or nothing is left. Whoever called gives the addresses back then, unless it fails
 * when all was answered for: `give_back` does it. */
Reply PodRequests::attach_pod(api::Descriptor netns,
                              const attach::PodSpec& spec,
                              bool gateway,
                              const std::function<void()>& give_back) {
    const attach::PreparedPod prepared = parts_.host.prepare_pod(netns.get(), spec);
    attach::Attachment pod = prepared.pod;
    const auto undo = [this, prepared](int netns_fd) {
        parts_.host.undo(netns_fd, prepared);
        local_.publish();
    };
    try {
        // First: what cannot be kept is not acknowledged, nor what could send under any name.
        local_.pods().remember(pod, spec.addresses);
        const Pods::List pods = local_.pods().list();
        local_.ports().converge(pods, parts_.host.ports());
        if (!MeshPlane::publishable(local_.own_addresses(pods))) {
            undo(netns.get());
            return Reply::error("conflict", LocalAddresses::kTooMany);
        }
        local_.pods().keep_given(pod);
        if (spec.mode == attach::Mode::routed || gateway) {
            forward_for(spec.addresses);
        }
        local_.publish();
    } catch (const std::system_error&) {
        undo(netns.get());
        throw;
    }
    log::info("event=attached interface={} mac={}", pod.host_ifname, pod.mac.text());
    // Of a port of the bridge the kernel is not asked for routes: it has those it was given.
    if (spec.mode == attach::Mode::bridge) {
        pod.gateways = gateway ? host_addresses_.gateways_of(spec.addresses) : spec.gateways;
    }
    Reply reply = Reply::ok(row_of(pod));
    // Peers drop what comes from an address they have not heard of: the pod starts when they have.
    reply.after = parts_.mesh.until_known(
        Clock::now(), [this](const NodeId& node) { return parts_.peers.rtt(node); });
    reply.finish =
        [this, kept = std::make_shared<api::Descriptor>(std::move(netns)), spec, undo, give_back] {
            try {
                parts_.host.start_pod(kept->get(), spec);
            } catch (const std::system_error&) {
                give_back();
                undo(kept->get());
                throw;
            }
        };
    return reply;
}

/** By the namespace, or by the name that the caller gave the pod: who detaches may have no
 * namespace any more. */
Reply PodRequests::detach(api::Request& request) {
    const auto ifname = request.params.value("ifname", std::string{});
    const auto id = request.params.value("id", std::string{});
    if (!request.fd && id.empty()) {
        return Reply::error("invalid",
                            "detach needs a network namespace's descriptor or a pod's id with the "
                            "request");
    }
    const std::uint64_t inode = request.fd ? os::netns_inode(request.fd.get()) : 0;
    cancel_waiting(request.fd ? std::string{} : id, inode, ifname);
    std::vector<std::string> detached;
    for (const attach::Attachment& pod : parts_.host.known()) {
        const bool same = (request.fd ? pod.netns_inode == inode : pod.id == id) &&
                          (ifname.empty() || pod.ifname == ifname);
        if (same && parts_.host.detach_pod(pod.netns_inode, pod.ifname)) {
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
    local_.publish();
    return Reply::ok({{"detached", detached}});
}

/** Nobody makes an interface of it later, when its addresses come. */
void PodRequests::cancel_waiting(const std::string& id,
                                 std::uint64_t inode,
                                 const std::string& ifname) {
    const std::string start = holder::of_pod(id, inode, ifname);
    const std::multiset<std::string> waiting = local_.expected();
    for (const std::string& each : waiting) {
        if (ifname.empty() ? each.starts_with(start) : each == start) {
            parts_.allocations.cancel(each);
            if (preparing_.contains(each)) {
                unwanted_.insert(each);
            }
        }
    }
}

void PodRequests::detach_holder(const std::string& holder) {
    for (const attach::Attachment& pod : parts_.host.known()) {
        if (holder::of_pod(pod.id, pod.netns_inode, pod.ifname) == holder) {
            parts_.host.detach_pod(pod.netns_inode, pod.ifname);
        }
    }
}

void PodRequests::tick(TimePoint now) {
    if (now >= next_tombstones_) {
        next_tombstones_ = now + kReviewDeleted;
        settle_deleted();
    }
}

void PodRequests::settle_deleted() {
    const auto settle = [this](const Tombstone& gone) {
        local_.look_soon();
        if (const auto pod = parts_.host.find(gone.id, gone.ifname)) {
            parts_.host.detach_pod(pod->netns_inode, pod->ifname);
        }
        for (const std::string_view kind : {holder::kPod, holder::kProgram}) {
            programs_.release(std::string{kind} + gone.holder);
        }
        log::info("event=tombstone_settled holder={}", log::quoted(gone.holder));
    };
    for (const std::string& why : settle_tombstones(parts_.options.state_dir, settle)) {
        if (rate_.allow("tombstone", Clock::now())) {
            log::warning("event=tombstone_not_settled reason={}", log::quoted(why));
        }
    }
}

} // namespace weave::daemon
