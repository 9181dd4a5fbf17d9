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

} // namespace

/** Failures that are not the caller's are logged as well, for who runs this node. */
Reply Router::handle(api::Request& request) {
    try {
        return answer(request);
    } catch (const std::system_error& error) {
        if (rate_.allow("request_failed", Clock::now())) {
            log::error("event=request_failed method={} reason={}",
                       log::quoted(request.method),
                       log::quoted(error.what()));
        }
        throw;
    }
}

Reply Router::answer(api::Request& request) {
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
        const bool replace = request.params.value("replace", false);
        return Reply::ok({{"added", mesh_->targets().connect(peers, replace, "connect")}});
    } catch (const ConfigError& error) {
        return Reply::error("invalid", error.what());
    }
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
    const std::string own = attach::host_ifname(os::netns_inode(request.fd.get()), spec.ifname);
    if (auto refusal = refuse_addresses(spec.addresses, own)) {
        return std::move(*refusal);
    }
    attach::PreparedPod prepared = host_.prepare_pod(request.fd.get(), spec);
    try {
        remember_given(prepared.pod,
                       spec.addresses); // first: what cannot be kept is not acknowledged
    } catch (const std::system_error&) {
        host_.undo(request.fd.get(), prepared);
        throw;
    }
    attach::Attachment& pod = prepared.pod;
    keep_given(pod);
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

Reply Router::handle_expose(const api::Request& request, bool expose) {
    const std::vector<Prefix> before = state_.exposed();
    const std::vector<Prefix> given = parse_addresses(request.params);
    std::vector<Prefix> after = before;
    for (const Prefix& prefix : given) {
        if (const std::string bad = attach::check_address(prefix); expose && !bad.empty()) {
            return Reply::error("invalid", bad);
        }
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
        if (auto refusal = refuse_addresses(given, options_.bridge)) {
            return std::move(*refusal);
        }
    }
    state_.save_exposed(after); // first: what cannot be kept is not acknowledged
    std::vector<Prefix> done;
    try {
        for (const Prefix& prefix : given) {
            if (expose ? host_.expose(prefix) : host_.hide(prefix)) {
                done.push_back(prefix);
            }
        }
    } catch (const std::system_error&) {
        for (const Prefix& prefix : done) {
            expose ? host_.hide(prefix) : host_.expose(prefix);
        }
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
    try {
        return page(target, wants_json, metrics_only);
    } catch (const std::exception& error) {
        if (rate_.allow("http", Clock::now())) {
            log::error("event=http_failed page={} reason={}",
                       log::quoted(std::string{target}),
                       log::quoted(error.what()));
        }
        throw;
    }
}

api::HttpReply Router::page(std::string_view target, bool wants_json, bool metrics_only) {
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
