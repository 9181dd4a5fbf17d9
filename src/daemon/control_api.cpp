// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The control API and the HTTP pages of the Router.
#include "base/version.hpp"
#include "daemon/router.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

} // namespace

Reply Router::handle(api::Request& request) {
    return requests_.watch(request.method, [&] { return answer(request); });
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
        return pod_requests_->attach(request);
    }
    if (method == "detach") {
        return pod_requests_->detach(request);
    }
    if (method == "expose") {
        return host_addresses_->expose(request);
    }
    if (method == "hide") {
        return host_addresses_->hide(request);
    }
    if (method == "ready") {
        const std::string reason = allocations_->not_ready();
        return Reply::ok({{"ready", reason.empty()}, {"reason", reason}});
    }
    if (method.starts_with("ipam_") || method == "rmpeer") {
        return ipam_api_->handle(request);
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
