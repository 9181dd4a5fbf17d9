// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The host on the pods' network: what it has there, by request and for its pods.
#include "daemon/address_requests.hpp"
#include "daemon/holder.hpp"
#include "daemon/router.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

} // namespace

/** What pods send to that are to get out of the mesh, or are not on its bridge: the host, under an
 * address of its own. `then` gets an error when there is none. */
void Router::with_host_address(bool routed,
                               const ipam::Request& near,
                               Duration patience,
                               const Reply::Send& then) {
    const std::vector<Prefix> subnets =
        near.prefix ? std::vector{near.prefix->network()} : allocations_->plan().subnets();
    // Pods reach it on the link, and it them.
    const auto fits = [&](const Prefix& own) {
        return std::ranges::any_of(subnets, [&](const Prefix& subnet) {
            return subnet.contains(own.address) && own.length <= subnet.length;
        });
    };
    if (routed ? has_own_address() : std::ranges::any_of(state_.exposed(), fits)) {
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

/** For itself, in each family that pods have. */
bool Router::has_own_address() const {
    const auto has = [&](bool v6) {
        return std::ranges::any_of(state_.exposed(), [&](const Prefix& own) {
            return own.address.is_v6() == v6 && own.length == own.address.bits();
        });
    };
    return (allocations_->plan().range().address.is_v6() || has(false)) &&
           (!allocations_->plan().range6() || has(true));
}

Reply Router::handle_expose(const api::Request& request) {
    const std::vector<ipam::Request> requests =
        without_partners(address_requests(request.params), allocations_->plan());
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
            const bool shared = own.contains(prefix.address) && prefix.contains(own.address);
            if (!known && own.length < own.address.bits() && shared) {
                out.push_back(own.address);
            }
        }
    }
    return out;
}

/** Whatever of it is exposed. */
Reply Router::handle_hide(const api::Request& request) {
    std::vector<Prefix> after = state_.exposed();
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
    if (after == state_.exposed()) {
        return Reply::error("not_found",
                            fmt::format("{} is not exposed: see 'weavectl status'", missing));
    }
    Reply reply = expose_exactly(after);
    release_unexposed();
    return reply;
}

/** An address as it was exposed, or one of the range with its partner of the other family. */
bool Router::is_same(const ipam::Request& asked, const Prefix& own) const {
    if (asked.kind == ipam::Request::Kind::fixed) {
        return own == *asked.prefix;
    }
    const auto place = allocations_->plan().place_of(asked.prefix->address);
    return place ? allocations_->plan().place_of(own.address) == place
                 : own.address == asked.prefix->address;
}

/** What the host had of the range, or of an earlier one, and has no more. */
void Router::release_unexposed() {
    const std::vector<ipam::Outside> outside = allocations_->allocator().outside();
    for (const ipam::Outside& lease : outside) {
        const bool ours = lease.holder == holder::kHost || lease.holder == holder::kNode;
        if (ours && std::ranges::find(state_.exposed(), lease.address, &Prefix::address) ==
                        state_.exposed().end()) {
            allocations_->release_outside(lease.holder, lease.address);
        }
    }
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
