// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What people are told: how the range stands, and why an address is refused.
#include "daemon/allocations.hpp"

namespace weave::daemon {
namespace {

std::string no_address_free(const std::string& subnet) {
    return fmt::format("no address is free in {}, neither here nor at a node that can be reached: "
                       "detach pods, or see 'weavectl ipam status'",
                       subnet);
}

} // namespace

nlohmann::json Allocations::status() const {
    const ipam::Report report = allocator().report();
    nlohmann::json nodes = nlohmann::json::array();
    for (const ipam::Report::Owner& owner : report.owners) {
        const bool self = owner.node == settings_.self;
        nodes.push_back({{"node", events_.name_of(owner.node)},
                         {"owned", owner.owned},
                         {"used", owner.used},
                         {"reachable", self || owner.reachable},
                         {"self", self}});
    }
    const std::string why = not_ready();
    return {{"nodes", nodes},
            {"free", report.free},
            {"held", report.held},
            {"resting", report.resting},
            {"taken over", report.taken_over},
            {"conflicts", allocator().conflicts().size()},
            {"members", members_status()},
            {"ready", why.empty()},
            {"reason", why}};
}

nlohmann::json Allocations::members_status() const {
    using std::chrono::duration_cast;
    using std::chrono::seconds;
    const ipam::MembersReport report = manager_.members().report(settings_.clock());
    nlohmann::json absent = nlohmann::json::array();
    for (const ipam::MembersReport::Absent& each : report.absent) {
        absent.push_back({{"node", events_.name_of(each.node)},
                          {"seconds", duration_cast<seconds>(each.time).count()}});
    }
    return {{"agreement", report.seq},
            {"members", report.members},
            {"seen", report.seen},
            {"member", report.member},
            {"lease_seconds", std::chrono::ceil<seconds>(report.lease.left).count()},
            {"reclaim_after_seconds", duration_cast<seconds>(report.reclaim_after).count()},
            {"too_many", report.too_many},
            {"absent", absent}};
}

NoAddress Allocations::refusal(const ipam::Answer& answer, const ipam::Request& request) const {
    const std::string wanted = request.prefix ? request.prefix->address.text() : std::string{};
    const std::string subnet =
        request.prefix ? request.prefix->text() : settings_.plan.subnets().front().text();
    switch (answer.outcome) {
    case ipam::Answer::Outcome::exhausted:
        if (request.kind != ipam::Request::Kind::any) {
            return {"unavailable",
                    fmt::format("{} belongs to node {}, which does not give it now, as addresses "
                                "rest when they were freed: try again in a minute, or choose "
                                "another address",
                                wanted,
                                events_.name_of(allocator().ring().at(answer.index).owner))};
        }
        return {"exhausted", no_address_free(subnet)};
    case ipam::Answer::Outcome::unreachable:
        if (answer.node == settings_.self) {
            return {"unavailable",
                    fmt::format("{} was taken from this node while it was away, and nobody has "
                                "taken it over yet: choose another address, or try again in a "
                                "minute",
                                wanted)};
        }
        return {"unavailable",
                fmt::format("{} belongs to node {}, which cannot be reached: choose another "
                            "address, or try again when it is back",
                            wanted,
                            events_.name_of(answer.node))};
    case ipam::Answer::Outcome::held: {
        const std::string* const holder = allocator().leases().holder(answer.index);
        return {"conflict",
                fmt::format("{} is held on this node by {}: choose another address",
                            wanted,
                            holder != nullptr ? holder->substr(2) : "another pod")};
    }
    case ipam::Answer::Outcome::used:
        return {"conflict",
                fmt::format("{} is in use on node {}: choose another address",
                            wanted,
                            events_.name_of(answer.node))};
    case ipam::Answer::Outcome::no_lease:
        return {"unavailable", not_ready()};
    case ipam::Answer::Outcome::outside:
    case ipam::Answer::Outcome::ok:
    case ipam::Answer::Outcome::wait:
        break;
    }
    return {"invalid",
            fmt::format("{} is not one of the addresses of {} that pods may have: choose another",
                        request.kind == ipam::Request::Kind::any ? subnet : wanted,
                        settings_.plan.range().text())};
}

NoAddress Allocations::late(const Pending& pending) const {
    if (const std::string why = not_ready(); !why.empty()) {
        return {"unavailable", why};
    }
    if (pending.asked && *pending.asked != NodeId{}) {
        return {"unavailable",
                fmt::format("node {} was asked for address space and has not answered: try again, "
                            "or see 'weavectl ipam status'",
                            events_.name_of(*pending.asked))};
    }
    return {
        "unavailable",
        "the address space is nobody's yet, as far as this node was told: try again in a minute, "
        "and see in 'weavectl status' that the peers are established"};
}

std::vector<std::string> Allocations::other_ranges() const {
    std::vector<std::string> out;
    for (const auto& [node, range] : manager_.other_ranges()) {
        if (reaches(node)) {
            out.push_back(fmt::format("node {} hands out addresses of {}, this one of {}, and each "
                                      "may give what the other gave: start all with the same "
                                      "--ipalloc-range",
                                      events_.name_of(node),
                                      range.text(),
                                      settings_.plan.range().text()));
        }
    }
    return out;
}

std::string Allocations::not_ready() const {
    if (!started_) {
        return "this node has just started: try again";
    }
    const ipam::Members& members = manager_.members();
    if (members.awaits_set()) {
        return "this node has lost what it knew of the address range, and waits until the others "
               "have agreed on that: try again in some seconds";
    }
    if (members.follows() && !members.may_allocate(settings_.clock())) {
        return lease_text();
    }
    return allocator().exhausted(settings_.plan.default_subnet())
               ? no_address_free(settings_.plan.subnets().front().text())
               : std::string{};
}

std::string Allocations::not_saved() const {
    return unsaved_ ? fmt::format("{} cannot be written ({}), so nothing is given or taken: make "
                                  "room or mend the disk",
                                  settings_.file,
                                  save_error_)
                    : std::string{};
}

/** Why this node may hand out nothing. */
std::string Allocations::lease_text() const {
    const ipam::Lease lease = manager_.members().report(settings_.clock()).lease;
    switch (lease.state) {
    case ipam::Lease::State::minority:
        return fmt::format("this node sees {} of {} members of the mesh, less than half of them, "
                           "and the others may take its space back: connect it, or remove nodes "
                           "that are gone for good with 'weavectl rmpeer'",
                           lease.seen,
                           lease.members);
    case ipam::Lease::State::removal:
        return fmt::format("the others take this node for gone, as node {} says: it joins them "
                           "again within a minute",
                           events_.name_of(lease.node));
    case ipam::Lease::State::unresolved:
    case ipam::Lease::State::no_set:
    case ipam::Lease::State::held:
        break;
    }
    return "this node has just met the others and learns what they agreed on: try again in some "
           "seconds";
}

} // namespace weave::daemon
