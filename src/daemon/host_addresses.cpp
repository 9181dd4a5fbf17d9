// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/host_addresses.hpp"

#include "daemon/address_requests.hpp"
#include "daemon/holder.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

} // namespace

void HostAddresses::ensure(bool routed,
                           const ipam::Request& near,
                           Duration patience,
                           const Reply::Send& then) {
    const std::vector<Prefix> subnets =
        near.prefix ? std::vector{near.prefix->network()} : parts_.allocations.plan().subnets();
    // Pods reach it on the link, and it them.
    const auto fits = [&](const Prefix& own) {
        return std::ranges::any_of(subnets, [&](const Prefix& subnet) {
            return subnet.contains(own.address) && own.length <= subnet.length;
        });
    };
    if (routed ? has_own_address() : std::ranges::any_of(parts_.state.exposed(), fits)) {
        then(Reply::ok());
        return;
    }
    local_.obtain(
        "expose",
        routed ? holder::kNode : holder::kHost,
        {routed ? ipam::Request{} : near},
        patience,
        [this, routed](const Grant& grant) {
            return expose_too(routed ? on_no_network(grant.addresses) : grant.addresses);
        },
        then);
}

/** For itself, in each family that pods have. */
bool HostAddresses::has_own_address() const {
    const auto has = [&](bool v6) {
        return std::ranges::any_of(parts_.state.exposed(), [&](const Prefix& own) {
            return own.address.is_v6() == v6 && own.length == own.address.bits();
        });
    };
    return (parts_.allocations.plan().range().address.is_v6() || has(false)) &&
           (!parts_.allocations.plan().range6() || has(true));
}

Reply HostAddresses::expose(const api::Request& request) {
    const std::vector<ipam::Request> requests =
        without_partners(address_requests(request.params), parts_.allocations.plan());
    const std::vector<Prefix> fixed = fixed_addresses(requests);
    for (const Prefix& prefix : fixed) {
        if (const std::string bad = attach::check_address(prefix); !bad.empty()) {
            return Reply::error("invalid", bad);
        }
    }
    if (auto refusal = local_.refuse(fixed, parts_.options.bridge)) {
        return std::move(*refusal);
    }
    const bool own = request.params.value("own", false);
    const LocalAddresses::UseGrant use = [this, own](const Grant& grant) {
        return expose_too(own ? on_no_network(grant.addresses) : grant.addresses);
    };
    return Reply::deferred([this, own, requests, use, patience = patience_of(request.params)](
                               const Reply::Send& send) {
        local_.obtain("expose", own ? holder::kNode : holder::kHost, requests, patience, use, send);
    });
}

/** These beside what the host has. */
Reply HostAddresses::expose_too(const std::vector<Prefix>& addresses) {
    std::vector<Prefix> after = parts_.state.exposed();
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

std::vector<IpAddress> HostAddresses::gateways_of(const std::vector<Prefix>& addresses) const {
    std::vector<IpAddress> out;
    for (const Prefix& prefix : addresses) {
        for (const Prefix& own : parts_.state.exposed()) {
            const bool known = std::ranges::find(out, own.address) != out.end();
            const bool shared = own.contains(prefix.address) && prefix.contains(own.address);
            if (!known && own.length < own.address.bits() && shared) {
                out.push_back(own.address);
            }
        }
    }
    return out;
}

/** Whatever of it is exposed. */
Reply HostAddresses::hide(const api::Request& request) {
    std::vector<Prefix> after = parts_.state.exposed();
    const nlohmann::json texts = request.params.value("addresses", nlohmann::json::array());
    std::string missing = texts.empty() && after.empty() ? "nothing" : "";
    if (texts.empty()) {
        after.clear();
    } else {
        for (const ipam::Request& each : address_requests(request.params)) {
            if (each.kind == ipam::Request::Kind::any) {
                return Reply::error("invalid",
                                    "hide takes addresses that 'weavectl status' shows as exposed, "
                                    "such as 10.32.0.5/12 or ip:10.32.0.5");
            }
            const auto same = [&](const Prefix& own) { return is_same(each, own); };
            missing = std::erase_if(after, same) == 0 ? each.prefix->text() : missing;
        }
    }
    if (after == parts_.state.exposed()) {
        return Reply::error("not_found",
                            fmt::format("{} is not exposed: see 'weavectl status'", missing));
    }
    Reply reply = expose_exactly(after);
    release_unexposed();
    return reply;
}

/** An address as it was exposed, or one of the range with its partner of the other family. */
bool HostAddresses::is_same(const ipam::Request& asked, const Prefix& own) const {
    if (asked.kind == ipam::Request::Kind::fixed) {
        return own == *asked.prefix;
    }
    const auto place = parts_.allocations.plan().place_of(asked.prefix->address);
    return place ? parts_.allocations.plan().place_of(own.address) == place
                 : own.address == asked.prefix->address;
}

/** What the host had of the range, or of an earlier one, and has no more. */
void HostAddresses::release_unexposed() {
    const std::vector<ipam::Outside> outside = parts_.allocations.allocator().outside();
    for (const ipam::Outside& lease : outside) {
        const bool ours = lease.holder == holder::kHost || lease.holder == holder::kNode;
        if (ours && std::ranges::find(parts_.state.exposed(), lease.address, &Prefix::address) ==
                        parts_.state.exposed().end()) {
            parts_.allocations.release_outside(lease.holder, lease.address);
        }
    }
    std::vector<ipam::Index> gone;
    const auto shown = [&](ipam::Index place) {
        return std::ranges::any_of(parts_.state.exposed(), [&](const Prefix& prefix) {
            return parts_.allocations.plan().place_of(prefix.address) == place;
        });
    };
    for (const char* const name : {holder::kHost, holder::kNode}) {
        for (const ipam::Index place : parts_.allocations.allocator().leases().held_by(name)) {
            if (!shown(place)) {
                gone.push_back(place);
            }
        }
        parts_.allocations.give_back(name, std::exchange(gone, {}));
    }
}

/** All of them or as before. */
Reply HostAddresses::expose_exactly(const std::vector<Prefix>& wanted) {
    const std::vector<Prefix> before = parts_.state.exposed();
    const auto had = [&](const std::vector<Prefix>& list, const Prefix& prefix) {
        return std::ranges::find(list, prefix) != list.end();
    };
    parts_.state.save_exposed(wanted); // first: what cannot be kept is not acknowledged
    std::vector<std::function<void()>> undo;
    try {
        for (const Prefix& prefix : wanted) {
            if (!had(before, prefix) && parts_.host.expose(prefix)) {
                undo.emplace_back([this, prefix] { parts_.host.hide(prefix); });
            }
        }
        for (const Prefix& prefix : before) {
            if (!had(wanted, prefix) && parts_.host.hide(prefix)) {
                undo.emplace_back([this, prefix] { parts_.host.expose(prefix); });
            }
        }
    } catch (const std::system_error&) {
        std::ranges::for_each(undo, [](const auto& step) { step(); });
        parts_.state.save_exposed(before);
        throw;
    }
    local_.publish();
    nlohmann::json exposed = nlohmann::json::array();
    for (const Prefix& prefix : wanted) {
        exposed.push_back(prefix.text());
    }
    return Reply::ok({{"exposed", exposed}});
}

} // namespace weave::daemon
