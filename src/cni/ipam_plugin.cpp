// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/ipam_plugin.hpp"

#include "cni/decode.hpp"
#include "cni/errors.hpp"
#include "cni/steps.hpp"
#include "cni/weaved_verbs.hpp"
#include "os/fd.hpp"
#include "os/netns.hpp"

#include <weave/error.hpp>

#include <fcntl.h>

namespace weave::cni {

namespace {

/** The result of an IPAM plugin has no interfaces, and addresses that point at none. */
Result allocated_result(const Call& call, const Allocation& allocation) {
    Result out;
    for (std::size_t i = 0; i < allocation.addresses.size(); ++i) {
        Ip ip{as_prefix(allocation.addresses[i], "weaved's address"), {}, {}};
        for (const IpAddress& gateway : call.config.ipam.gateways) {
            if (!ip.gateway && gateway.is_v4() == ip.address.address.is_v4()) {
                ip.gateway = gateway;
            }
        }
        if (!ip.gateway && i < allocation.gateways.size()) {
            ip.gateway = IpAddress::parse(allocation.gateways[i]);
        }
        out.ips.push_back(ip);
    }
    out.routes = call.config.ipam.routes.value_or(std::vector<Route>{});
    return out;
}

/** Zero when it cannot be looked at: then only DEL and GC give the addresses back. */
std::uint64_t inode_of(const std::string& netns) {
    const os::UniqueFd fd{::open(netns.c_str(), O_RDONLY | O_CLOEXEC)};
    return fd ? os::netns_inode(fd.get()) : 0;
}

} // namespace

Result IpamPlugin::add(const Call& call) {
    check_length(call.name());
    Weaved weaved(call.config.socket, patience_.daemon);
    settle_before_add(call, weaved);
    AllocateRequest request;
    request.holder = call.name().holder();
    request.addresses = call.config.addresses;
    request.netns = inode_of(call.environment.netns);
    std::error_code error;
    const Allocation allocation = weaved.ask(error, [&](Client& client, std::error_code& failed) {
        return client.ipam_allocate(request, failed);
    });
    if (error) {
        // The main plugin calls DEL after this failure, which releases what may have been taken.
        weaved.fail(error);
    }
    settle_others(call, weaved);
    return allocated_result(call, allocation);
}

void IpamPlugin::del(const Call& call) {
    Weaved weaved(call.config.socket, {});
    remove_or_bury(call, weaved);
}

void IpamPlugin::check(const Call& call) {
    Weaved weaved(call.config.socket, {});
    require_held(call, call.config.previous->ips, weaved);
}

void IpamPlugin::status(const Call& call) {
    Weaved weaved(call.config.socket, {});
    require_ready(weaved);
}

void IpamPlugin::gc(const Call& call, const std::vector<Attachment>& valid) {
    Weaved weaved(call.config.socket, {});
    Steps steps;
    steps.run([&] { collect(call, valid, weaved); });
    steps.run([&] { settle_others(call, weaved); });
    steps.finish();
}

} // namespace weave::cni
