// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/ipam_api.hpp"

#include "daemon/address_requests.hpp"
#include "daemon/holder.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using api::Reply;

nlohmann::json texts(const std::vector<Prefix>& prefixes) {
    nlohmann::json out = nlohmann::json::array();
    for (const Prefix& prefix : prefixes) {
        out.push_back(prefix.text());
    }
    return out;
}

/** 1 to 255 printable characters: it goes into files, logs and tables. */
std::string holder_param(const nlohmann::json& params) {
    constexpr std::size_t kMost = 255;
    auto name = params.value("holder", std::string{});
    const auto plain = [](char c) { return c > ' ' && c < 0x7f; };
    if (name.empty() || name.size() > kMost || !std::ranges::all_of(name, plain)) {
        throw std::invalid_argument(
            "a holder is a name of 1 to 255 printable ASCII characters without blanks");
    }
    return name;
}

/** The IP address, with or without a prefix length. */
IpAddress address_param(const nlohmann::json& params) {
    const auto text = params.value("address", std::string{});
    const auto address = IpAddress::parse(text.substr(0, text.find('/')));
    if (!address) {
        throw std::invalid_argument(
            fmt::format("'{}' is not an address: write it as 10.32.0.5", text));
    }
    return *address;
}

} // namespace

Reply IpamApi::handle(const api::Request& request) {
    using Handler = Reply (IpamApi::*)(const nlohmann::json&);
    static const std::map<std::string, Handler> handlers{
        {"ipam_allocate", &IpamApi::allocate},
        {"ipam_release", &IpamApi::release},
        {"ipam_check", &IpamApi::check},
        {"ipam_claim", &IpamApi::claim},
        {"ipam_lookup", &IpamApi::lookup},
        {"ipam_gc", &IpamApi::gc},
        {"ipam_status", &IpamApi::status},
        {"ipam_conflicts", &IpamApi::conflicts},
        {"rmpeer", &IpamApi::remove_peer},
    };
    const auto handler = handlers.find(request.method);
    if (handler == handlers.end()) {
        return Reply::error("unknown_method",
                            fmt::format("this weaved does not know the method '{}': use a weavectl "
                                        "of its version",
                                        request.method));
    }
    return (this->*handler->second)(request.params);
}

Reply IpamApi::allocate(const nlohmann::json& params) {
    const auto name = std::string{holder::kProgram} + holder_param(params);
    const auto netns = params.value("netns", std::uint64_t{0});
    const LocalAddresses::UseGrant use = [this, name, netns](const Grant& grant) {
        if (!local_.publish()) {
            return Reply::error("conflict", LocalAddresses::kTooMany);
        }
        programs_.keep(name, netns, grant.addresses);
        nlohmann::json gateways = nlohmann::json::array();
        for (const Prefix& prefix : grant.addresses) {
            const auto gateway = host_addresses_.gateways_of({prefix});
            gateways.push_back(gateway.empty() ? std::string{} : gateway.front().text());
        }
        return Reply::ok({{"addresses", texts(grant.addresses)}, {"gateways", gateways}});
    };
    return Reply::deferred(
        [=,
         this,
         requests = without_partners(address_requests(params), parts_.allocations.plan()),
         patience = patience_of(params)](const Reply::Send& send) {
            local_.obtain("ipam_allocate", name, requests, patience, use, send);
        });
}

/** What a program or a person holds; what pods and the host have is given back by detaching them.
 */
Reply IpamApi::release(const nlohmann::json& params) {
    nlohmann::json released = nlohmann::json::array();
    std::vector<std::string> names;
    if (params.contains("address")) {
        const IpAddress address = address_param(params);
        const std::string* const name = parts_.allocations.holder_of(address);
        if (name == nullptr) {
            return Reply::ok({{"released", released}});
        }
        if (!name->starts_with(holder::kProgram) && !name->starts_with(holder::kPerson)) {
            return Reply::error("conflict",
                                fmt::format("{} is in use by {}: detach or hide it",
                                            address.text(),
                                            holder::shown(*name)));
        }
        const auto place = parts_.allocations.plan().place_of(address);
        programs_.release_place(std::string{*name}, *place);
        released.push_back(address.text());
    } else {
        const std::string name = holder_param(params);
        names = {std::string{holder::kProgram} + name, std::string{holder::kPerson} + name};
    }
    for (const std::string& name : names) {
        for (const IpAddress& address : programs_.release(name)) {
            released.push_back(address.text());
        }
    }
    local_.publish();
    if (const std::string why = parts_.allocations.not_saved(); !why.empty()) {
        return Reply::error("internal", why); // who hears that repeats it
    }
    return Reply::ok({{"released", released}});
}

/** What a pod holds is told as it was given, with the lengths that its interface got; of what
 * others hold the range's lengths are known. */
std::vector<Prefix> IpamApi::addresses_of(const std::string& holder) {
    const std::vector<Prefix> held = parts_.allocations.held_by(holder);
    const auto pods =
        holder.starts_with(holder::kPod) ? parts_.host.known() : std::vector<attach::Attachment>{};
    const auto pod = std::ranges::find_if(pods, [&](const attach::Attachment& each) {
        return holder::of_pod(each.id, each.netns_inode, each.ifname) == holder;
    });
    const auto given = pod != pods.end() ? parts_.state.given().find(pod->host_ifname)
                                         : parts_.state.given().end();
    if (given == parts_.state.given().end() || given->second.host_mac != pod->host_mac) {
        return held;
    }
    std::vector<Prefix> out = given->second.addresses;
    std::erase_if(out, [&](const Prefix& each) {
        const bool ours = parts_.allocations.plan().place_of(each.address).has_value();
        return ours && std::ranges::find(held, each.address, &Prefix::address) == held.end();
    });
    return out;
}

Reply IpamApi::check(const nlohmann::json& params) {
    const std::string name = holder_param(params);
    for (const std::string& holder : parts_.allocations.holders()) {
        if (holder::shown(holder) == name) {
            return Reply::ok({{"addresses", texts(addresses_of(holder))}});
        }
    }
    return Reply::error("not_found", fmt::format("{} holds no address on this node", name));
}

Reply IpamApi::claim(const nlohmann::json& params) {
    const IpAddress address = address_param(params);
    ipam::Request place{ipam::Request::Kind::place,
                        Prefix{address, static_cast<std::uint8_t>(address.bits())}};
    const LocalAddresses::UseGrant use = [this](const Grant& grant) {
        return local_.publish() ? Reply::ok({{"addresses", texts(grant.addresses)}})
                                : Reply::error("conflict", LocalAddresses::kTooMany);
    };
    return Reply::deferred([=,
                            this,
                            name = std::string{holder::kPerson} + holder_param(params),
                            patience = patience_of(params)](const Reply::Send& send) {
        local_.obtain("ipam_claim", name, {place}, patience, use, send);
    });
}

Reply IpamApi::lookup(const nlohmann::json& params) {
    if (!params.contains("address")) {
        return check(params);
    }
    const IpAddress address = address_param(params);
    const auto place = parts_.allocations.plan().place_of(address);
    if (!place) {
        return Reply::error("not_found",
                            fmt::format("{} is outside the range {}",
                                        address.text(),
                                        parts_.allocations.plan().range().text()));
    }
    const ipam::Claim& claim = parts_.allocations.allocator().ring().at(*place);
    nlohmann::json out{{"address", address.text()}, {"owner", nullptr}, {"holder", nullptr}};
    if (claim.stamp != ipam::Stamp{}) {
        out["owner"] = parts_.mesh.name_of(claim.owner);
    }
    if (const std::string* const name = parts_.allocations.holder_of(address)) {
        out["holder"] = holder::shown(*name);
        out["node"] = parts_.mesh.own_name();
    } else if (const auto user = parts_.owners.table()->owner(address);
               user != dataplane::kNoPeer) {
        const auto* peer = parts_.peers.table()->peer(user);
        out["node"] = peer != nullptr ? parts_.mesh.name_of(peer->node) : parts_.mesh.own_name();
    }
    return Reply::ok(out);
}

/** Whoever has an address and is none of "valid", of those whose names begin with "prefix". */
Reply IpamApi::gc(const nlohmann::json& params) {
    const auto prefix = params.value("prefix", std::string{});
    const auto valid = params.value("valid", std::vector<std::string>{});
    const bool dry = params.value("dry_run", false);
    if (!dry) {
        pods_.settle_deleted();
    }
    const std::set<std::string> live = local_.live_holders();
    nlohmann::json released = nlohmann::json::array();
    std::string failed;
    for (const std::string& each : parts_.allocations.holders()) {
        const std::string name = holder::shown(each);
        const bool collected = each.starts_with(holder::kPod) || each.starts_with(holder::kProgram);
        const bool gone =
            each.starts_with(holder::kPod) ? !live.contains(each) : programs_.is_gone(each);
        const bool stale = prefix.empty() ? gone
                                          : name.starts_with(prefix) &&
                                                std::ranges::find(valid, name) == valid.end();
        if (!collected || !stale) {
            continue;
        }
        released.push_back(
            {{"holder", name}, {"addresses", texts(parts_.allocations.held_by(each))}});
        if (dry) {
            continue;
        }
        try {
            pods_.detach_holder(each);
            programs_.release(each);
        } catch (const std::system_error& error) {
            failed = error.what(); // the others all the same
        }
    }
    if (!dry) {
        local_.publish();
        failed = failed.empty() ? parts_.allocations.not_saved() : failed;
    }
    if (!failed.empty()) {
        return Reply::error("internal", failed);
    }
    return Reply::ok({{"released", released}, {"dry_run", dry}});
}

Reply IpamApi::status(const nlohmann::json& /*params*/) {
    const ipam::Plan& plan = parts_.allocations.plan();
    nlohmann::json out = parts_.allocations.status();
    out["range"] = plan.range().text();
    out["range6"] = plan.range6() ? plan.range6()->text() : "off";
    out["default_subnet"] = plan.subnets().front().text();
    return Reply::ok(out);
}

Reply IpamApi::conflicts(const nlohmann::json& /*params*/) {
    std::vector<nlohmann::json> rows;
    for (const ipam::Conflict& each : parts_.allocations.allocator().conflicts()) {
        rows.push_back(
            {{"address", parts_.allocations.plan().address(each.index).text()},
             {"holder", holder::shown(each.holder)},
             {"other", parts_.mesh.name_of(each.other)},
             {"keeps", each.ours ? parts_.mesh.own_name() : parts_.mesh.name_of(each.other)},
             {"renumber", !each.ours}});
    }
    return Reply::rows(std::move(rows));
}

/** The operator knows that the node is gone for good; this node alone acts on it. */
Reply IpamApi::remove_peer(const nlohmann::json& params) {
    const auto wanted = params.value("node", std::string{});
    std::vector<NodeId> found;
    for (const ipam::Report::Owner& owner : parts_.allocations.allocator().report().owners) {
        if (parts_.mesh.name_of(owner.node) == wanted || owner.node.text() == wanted ||
            owner.node.fingerprint() == wanted) {
            found.push_back(owner.node);
        }
    }
    if (found.size() != 1) {
        return Reply::error("not_found",
                            fmt::format("'{}' is {} with addresses: see 'weavectl ipam "
                                        "status', and give the id",
                                        wanted,
                                        found.empty() ? "no node" : "more than one node"));
    }
    if (found.front() == parts_.state.identity().id()) {
        return Reply::error("invalid", "that is this node: stop it, and remove it on another one");
    }
    if (parts_.allocations.reaches(found.front())) {
        return Reply::error("conflict",
                            fmt::format("node {} is alive: stop it first, or its pods would share "
                                        "their addresses with others",
                                        wanted));
    }
    const std::size_t count = parts_.allocations.remove(found.front());
    log::warning("event=peer_removed node={} addresses={}", found.front().fingerprint(), count);
    return Reply::ok(
        {{"addresses", count},
         {"notice",
          fmt::format("{} addresses of node {} are this node's now; should it still run somewhere, "
                      "stop it: its pods' addresses may be given to others",
                      count,
                      wanted)}});
}

} // namespace weave::daemon
