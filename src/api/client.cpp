// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/client_connection.hpp"
#include "api/status.hpp"

#include <weave/client.hpp>

namespace weave {

Client::Client()
    : impl_(std::make_unique<Impl>()) {}

Client::~Client() = default;
Client::Client(Client&& other) noexcept = default;
Client& Client::operator=(Client&& other) noexcept = default;

Client Client::connect(const std::string& socket_path, std::error_code& error) {
    Client client;
    error = client.impl_->open(socket_path);
    return client;
}

Client Client::connect(const std::string& socket_path) {
    std::error_code error;
    Client client = connect(socket_path, error);
    if (error) {
        throw Error(error, client.last_error());
    }
    return client;
}

void Client::set_timeout(unsigned milliseconds) {
    impl_->timeout_ms = milliseconds;
}

const std::string& Client::last_error() const noexcept {
    return impl_->last_error;
}

std::string Client::last_result() const {
    return impl_->last_result.is_null() ? "" : impl_->last_result.dump();
}

NodeStatus Client::status(std::error_code& error) {
    return ask<NodeStatus>(*impl_, "status", error);
}

NodeStatus Client::status() {
    return throwing(*this, [&](std::error_code& error) { return status(error); });
}

std::vector<ConnectionRow> Client::connections(std::error_code& error) {
    return ask<std::vector<ConnectionRow>>(*impl_, "connections", error);
}

std::vector<ConnectionRow> Client::connections() {
    return throwing(*this, [&](std::error_code& error) { return connections(error); });
}

std::vector<PeerRow> Client::peers(std::error_code& error) {
    return ask<std::vector<PeerRow>>(*impl_, "peers", error);
}

std::vector<PeerRow> Client::peers() {
    return throwing(*this, [&](std::error_code& error) { return peers(error); });
}

std::vector<TargetRow> Client::targets(std::error_code& error) {
    return ask<std::vector<TargetRow>>(*impl_, "targets", error);
}

std::vector<TargetRow> Client::targets() {
    return throwing(*this, [&](std::error_code& error) { return targets(error); });
}

std::vector<DropRow> Client::drops(std::error_code& error) {
    return ask<std::vector<DropRow>>(*impl_, "drops", error);
}

std::vector<DropRow> Client::drops() {
    return throwing(*this, [&](std::error_code& error) { return drops(error); });
}

std::vector<AttachmentRow> Client::attachments(std::error_code& error) {
    return ask<std::vector<AttachmentRow>>(*impl_, "attachments", error);
}

std::vector<AttachmentRow> Client::attachments() {
    return throwing(*this, [&](std::error_code& error) { return attachments(error); });
}

void Client::connect_peers(const std::vector<std::string>& peers,
                           bool replace,
                           std::error_code& error) {
    impl_->call("connect", {{"peers", peers}, {"replace", replace}}, -1, error);
}

void Client::connect_peers(const std::vector<std::string>& peers, bool replace) {
    throwing(*this, [&](std::error_code& error) { connect_peers(peers, replace, error); });
}

void Client::forget(const std::vector<std::string>& peers, std::error_code& error) {
    impl_->call("forget", {{"peers", peers}}, -1, error);
}

void Client::forget(const std::vector<std::string>& peers) {
    throwing(*this, [&](std::error_code& error) { forget(peers, error); });
}

void Client::expose(const std::vector<std::string>& addresses, std::error_code& error) {
    impl_->call("expose", {{"addresses", addresses}}, -1, error);
}

void Client::expose(const std::vector<std::string>& addresses) {
    throwing(*this, [&](std::error_code& error) { expose(addresses, error); });
}

void Client::hide(const std::vector<std::string>& addresses, std::error_code& error) {
    impl_->call("hide", {{"addresses", addresses}}, -1, error);
}

void Client::hide(const std::vector<std::string>& addresses) {
    throwing(*this, [&](std::error_code& error) { hide(addresses, error); });
}

namespace {

struct TextChunk {
    std::string text;
};

void from_json(const json& in, TextChunk& out) {
    in.at("text").get_to(out.text);
}

struct Version {
    std::string version;
};

void from_json(const json& in, Version& out) {
    in.at("version").get_to(out.version);
}

} // namespace

std::string
Client::call(const std::string& method, const std::string& params, std::error_code& error) {
    const json parsed = json::parse(params, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object()) {
        impl_->last_error = "the parameters of \"" + method + "\" are not a JSON object";
        error = Errc::invalid;
        return {};
    }
    const json answer = impl_->call(method.c_str(), parsed, -1, error);
    return error ? std::string{} : answer.dump();
}

std::string Client::call(const std::string& method, const std::string& params) {
    return throwing(*this, [&](std::error_code& error) { return call(method, params, error); });
}

std::string Client::report(std::error_code& error) {
    std::string out;
    for (const auto& chunk : ask<std::vector<TextChunk>>(*impl_, "report", error)) {
        out += chunk.text;
    }
    return out;
}

std::string Client::report() {
    return throwing(*this, [&](std::error_code& error) { return report(error); });
}

std::string Client::version(std::error_code& error) {
    return ask<Version>(*impl_, "version", error).version;
}

std::string Client::version() {
    return throwing(*this, [&](std::error_code& error) { return version(error); });
}

} // namespace weave
