// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The control API and the HTTP pages of the Router.
#include "base/version.hpp"
#include "daemon/attachment_row.hpp"
#include "daemon/router.hpp"
#include "os/netns.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

std::vector<Prefix> parse_addresses(const nlohmann::json& params) {
    std::vector<Prefix> out;
    for (const nlohmann::json& entry : params.value("addresses", nlohmann::json::array())) {
        const auto text = entry.get<std::string>();
        const auto prefix = Prefix::parse(text);
        if (!prefix) {
            throw std::invalid_argument(fmt::format(
                "'{}' is not an address with a prefix length: write it as 10.32.0.5/12", text));
        }
        out.push_back(*prefix);
    }
    return out;
}

std::string in_use(const Prefix& prefix, const std::string& interface) {
    return fmt::format("{} is in use on this node by interface {}: choose another address",
                       prefix.address.text(),
                       interface);
}

bool holds(const std::vector<Prefix>& held, const IpAddress& address) {
    return std::any_of(
        held.begin(), held.end(), [&](const Prefix& each) { return each.address == address; });
}

/** A sentence when an interface of this node other than `own` has one of the addresses. */
std::string used_here(attach::Host& host,
                      const std::string& bridge,
                      const std::string& own,
                      const std::vector<Prefix>& addresses) {
    const std::vector<attach::Attachment> pods = host.list();
    const std::vector<Prefix> exposed = host.exposed();
    for (const Prefix& prefix : addresses) {
        if (own != bridge && holds(exposed, prefix.address)) {
            return in_use(prefix, bridge);
        }
        for (const attach::Attachment& pod : pods) {
            if (pod.host_ifname != own && holds(pod.addresses, prefix.address)) {
                return in_use(prefix, pod.host_ifname);
            }
        }
    }
    return {};
}

} // namespace

Reply Router::handle(api::Request& request) {
    const std::string& method = request.method;
    if (method == "version") {
        return Reply::ok({{"version", WEAVE_VERSION}});
    }
    if (method == "status") {
        return Reply::ok(report().status);
    }
    if (method == "connections") {
        return Reply::rows_of(report().connections);
    }
    if (method == "peers") {
        return Reply::rows_of(report().peers);
    }
    if (method == "targets") {
        return Reply::rows_of(report().targets);
    }
    if (method == "drops") {
        return Reply::rows_of(report().drops);
    }
    if (method == "attachments") {
        return Reply::rows_of(report().attachments);
    }
    if (method == "report") {
        return Reply::text(api::json_text(report()));
    }
    if (method == "connect") {
        return handle_connect(request);
    }
    if (method == "forget") {
        return handle_forget(request);
    }
    if (method == "attach") {
        return handle_attach(request);
    }
    if (method == "detach") {
        return handle_detach(request);
    }
    if (method == "expose" || method == "hide") {
        return handle_expose(request, method == "expose");
    }
    return Reply::error(
        "unknown_method",
        fmt::format("this weaved does not know the method '{}': use a weavectl of its version",
                    method));
}

Reply Router::handle_connect(const api::Request& request) {
    const auto peers = request.params.value("peers", std::vector<std::string>{});
    try {
        std::for_each(peers.begin(), peers.end(), check_peer);
    } catch (const ConfigError& error) {
        return Reply::error("invalid", error.what());
    }
    const unsigned added =
        mesh_->targets().connect(peers, request.params.value("replace", false), "connect");
    return Reply::ok({{"added", added}});
}

Reply Router::handle_forget(const api::Request& request) {
    const auto peers = request.params.value("peers", std::vector<std::string>{});
    const auto unknown = mesh_->targets().forget(peers);
    if (!unknown.empty()) {
        return Reply::error(
            "not_found",
            fmt::format("'{}' is not a target: see 'weavectl status targets'", unknown.front()));
    }
    return Reply::ok({{"forgotten", peers.size()}});
}

Reply Router::handle_attach(api::Request& request) {
    if (!request.fd) {
        return Reply::error("invalid",
                            "attach needs a network namespace's descriptor with the request");
    }
    attach::PodSpec spec;
    spec.ifname = request.params.value("ifname", std::string{"eth0"});
    spec.id = request.params.value("id", std::string{});
    spec.addresses = parse_addresses(request.params);
    if (const std::string bad = attach::check_pod(spec); !bad.empty()) {
        return Reply::error("invalid", bad);
    }
    if (const std::string taken = used_elsewhere(spec.addresses); !taken.empty()) {
        return Reply::error("conflict", taken);
    }
    const std::string own = attach::host_ifname(os::netns_inode(request.fd.get()), spec.ifname);
    if (const std::string taken = used_here(host_, options_.bridge, own, spec.addresses);
        !taken.empty()) {
        return Reply::error("conflict", taken);
    }
    const attach::Attachment pod = host_.prepare_pod(request.fd.get(), spec);
    publish_addresses();
    log::info("event=attached interface={} mac={}", pod.host_ifname, pod.mac.text());
    Reply reply = Reply::ok(row_of(pod));
    // Peers drop what comes from an address they have not heard of: the pod starts when they have.
    reply.after = mesh_->until_known(Clock::now());
    reply.finish = [this,
                    netns = std::make_shared<api::Descriptor>(std::move(request.fd)),
                    ifname = spec.ifname] { host_.start_pod(netns->get(), ifname); };
    return reply;
}

Reply Router::handle_detach(api::Request& request) {
    if (!request.fd) {
        return Reply::error("invalid",
                            "detach needs a network namespace's descriptor with the request");
    }
    const auto ifname = request.params.value("ifname", std::string{});
    const std::uint64_t inode = os::netns_inode(request.fd.get());
    std::vector<std::string> detached;
    if (ifname.empty()) {
        detached = host_.detach_all(inode);
    } else if (host_.detach_pod(inode, ifname)) {
        detached.push_back(ifname);
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

/** A sentence when another node owns one of the addresses. */
std::string Router::used_elsewhere(const std::vector<Prefix>& addresses) {
    for (const Prefix& prefix : addresses) {
        const auto owner = owners_.table()->owner(prefix.address);
        if (owner != dataplane::kNoPeer && owner != dataplane::kLocalPeer) {
            const auto* peer = snapshot_.peers->peer(owner);
            return fmt::format("{} is in use on node {}: choose another address",
                               prefix.address.text(),
                               peer != nullptr ? name_of(peer->node) : "unknown");
        }
    }
    return {};
}

Reply Router::handle_expose(const api::Request& request, bool expose) {
    const std::vector<Prefix> before = state_.exposed();
    const std::vector<Prefix> given = parse_addresses(request.params);
    std::vector<Prefix> after = before;
    for (const Prefix& prefix : given) {
        const bool was = std::erase(after, prefix) > 0;
        if (!expose && !was) {
            return Reply::error(
                "not_found",
                fmt::format("{} is not exposed: see 'weavectl status'", prefix.text()));
        }
        if (expose) {
            after.push_back(prefix);
        }
    }
    if (expose) {
        std::string taken = used_elsewhere(given);
        if (taken.empty()) {
            taken = used_here(host_, options_.bridge, options_.bridge, given);
        }
        if (!taken.empty()) {
            return Reply::error("conflict", taken);
        }
    }
    state_.save_exposed(after); // first: what cannot be kept is not acknowledged
    try {
        for (const Prefix& prefix : given) {
            expose ? host_.expose(prefix) : host_.hide(prefix);
        }
    } catch (...) {
        state_.save_exposed(before);
        throw;
    }
    publish_addresses();
    nlohmann::json exposed = nlohmann::json::array();
    for (const Prefix& prefix : after) {
        exposed.push_back(prefix.text());
    }
    return Reply::ok({{"exposed", exposed}});
}

/** Ready: pods attached now reach the rest of the mesh, as far as this node was told of one. */
api::HttpReply Router::ready_reply() {
    const auto connections = mesh_->connections(Clock::now());
    using State = mesh::ConnectionStatus::State;
    const auto connected = [](const auto& each) { return each.state == State::established; };
    const auto self = [](const auto& each) { return each.state == State::self; };
    // A list of targets that names this node alone, or nobody, is the first host's.
    if (std::any_of(connections.begin(), connections.end(), connected) ||
        (std::all_of(connections.begin(), connections.end(), self) &&
         mesh_->targets().resolved_all())) {
        return {200, "text/plain; charset=utf-8", "ok\n"};
    }
    return {503, "text/plain; charset=utf-8", "not ready: none of the targets is connected\n"};
}

api::HttpReply Router::handle_http(std::string_view target, bool wants_json, bool metrics_only) {
    if (target == "/healthz") {
        return {200, "text/plain; charset=utf-8", "ok\n"};
    }
    if (target == "/readyz") {
        return ready_reply();
    }
    if (target == "/metrics") {
        return {200, api::kPrometheusType, api::render_prometheus(report())};
    }
    if (!metrics_only && target == "/status") {
        const api::NodeReport all = report();
        if (wants_json) {
            return {200, "application/json", api::json_text(all.status)};
        }
        return {200, "text/plain; charset=utf-8", api::render_status(all.status)};
    }
    if (!metrics_only && target == "/report") {
        return {200, "application/json", api::json_text(report())};
    }
    return {404,
            "text/plain; charset=utf-8",
            metrics_only ? "pages here: /healthz /readyz /metrics\n"
                         : "pages here: /healthz /readyz /status /report /metrics\n"};
}

} // namespace weave::daemon
