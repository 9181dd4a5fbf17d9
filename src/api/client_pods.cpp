// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The calls of Client about pods and their addresses.
#include "api/client_connection.hpp"
#include "api/status.hpp"

#include <weave/client.hpp>

namespace weave {

namespace {

/** A parameter that is left out when it is empty: the daemon has a default of its own. */
template <class T> void put(json& params, const char* name, const T& value) {
    if (value != T{}) {
        params[name] = value;
    }
}

struct Released {
    std::vector<std::string> addresses;
};

void from_json(const json& in, Released& out) {
    in.at("released").get_to(out.addresses);
}

struct Collected {
    std::vector<ReleasedRow> rows;
};

void from_json(const json& in, Collected& out) {
    in.at("released").get_to(out.rows);
}

} // namespace

AttachmentRow Client::attach(int netns, const AttachRequest& request, std::error_code& error) {
    json params{{"ifname", request.ifname}};
    put(params, "id", request.id);
    put(params, "addresses", request.addresses);
    put(params, "mac", request.mac);
    put(params, "mtu", request.mtu);
    put(params, "mode", request.mode);
    put(params, "wait_ms", request.wait_ms);
    if (request.routes) {
        params["routes"] = *request.routes;
    }
    if (request.gateway) {
        params["gateway"] = *request.gateway;
    }
    return ask<AttachmentRow>(*impl_, "attach", error, params, netns);
}

AttachmentRow Client::attach(int netns, const AttachRequest& request) {
    return throwing(*this, [&](std::error_code& error) { return attach(netns, request, error); });
}

AttachmentRow Client::attach(int netns,
                             const std::string& ifname,
                             const std::vector<std::string>& addresses,
                             std::error_code& error) {
    return ask<AttachmentRow>(
        *impl_, "attach", error, {{"ifname", ifname}, {"addresses", addresses}}, netns);
}

AttachmentRow
Client::attach(int netns, const std::string& ifname, const std::vector<std::string>& addresses) {
    return throwing(
        *this, [&](std::error_code& error) { return attach(netns, ifname, addresses, error); });
}

void Client::detach(int netns, const std::string& ifname, std::error_code& error) {
    impl_->call("detach", {{"ifname", ifname}}, netns, error);
}

void Client::detach(int netns, const std::string& ifname) {
    throwing(*this, [&](std::error_code& error) { detach(netns, ifname, error); });
}

void Client::detach_id(const std::string& id, const std::string& ifname, std::error_code& error) {
    impl_->call("detach", {{"id", id}, {"ifname", ifname}}, -1, error);
}

void Client::detach_id(const std::string& id, const std::string& ifname) {
    throwing(*this, [&](std::error_code& error) { detach_id(id, ifname, error); });
}

Readiness Client::ready(std::error_code& error) {
    return ask<Readiness>(*impl_, "ready", error);
}

Readiness Client::ready() {
    return throwing(*this, [&](std::error_code& error) { return ready(error); });
}

Allocation Client::ipam_allocate(const AllocateRequest& request, std::error_code& error) {
    json params{{"holder", request.holder}};
    put(params, "addresses", request.addresses);
    put(params, "wait_ms", request.wait_ms);
    put(params, "netns", request.netns);
    return ask<Allocation>(*impl_, "ipam_allocate", error, params);
}

Allocation Client::ipam_allocate(const AllocateRequest& request) {
    return throwing(*this, [&](std::error_code& error) { return ipam_allocate(request, error); });
}

std::vector<std::string> Client::ipam_release(const std::string& holder, std::error_code& error) {
    return ask<Released>(*impl_, "ipam_release", error, {{"holder", holder}}).addresses;
}

std::vector<std::string> Client::ipam_release(const std::string& holder) {
    return throwing(*this, [&](std::error_code& error) { return ipam_release(holder, error); });
}

std::vector<std::string> Client::ipam_check(const std::string& holder, std::error_code& error) {
    return ask<Allocation>(*impl_, "ipam_check", error, {{"holder", holder}}).addresses;
}

std::vector<std::string> Client::ipam_check(const std::string& holder) {
    return throwing(*this, [&](std::error_code& error) { return ipam_check(holder, error); });
}

std::vector<ReleasedRow> Client::ipam_collect(const CollectRequest& request,
                                              std::error_code& error) {
    return ask<Collected>(
               *impl_,
               "ipam_gc",
               error,
               {{"prefix", request.prefix}, {"valid", request.valid}, {"dry_run", request.dry_run}})
        .rows;
}

std::vector<ReleasedRow> Client::ipam_collect(const CollectRequest& request) {
    return throwing(*this, [&](std::error_code& error) { return ipam_collect(request, error); });
}

} // namespace weave
