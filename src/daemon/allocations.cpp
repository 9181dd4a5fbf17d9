// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/allocations.hpp"

#include "ipam/state.hpp"
#include "os/file.hpp"

#include <algorithm>
#include <random>

namespace weave::daemon {
namespace {

/** What others own comes again by records: it need not be on disk at once. */
constexpr auto kSaveSoon = std::chrono::seconds(1);

/** A node that lost its file is one that comes anew: it must not begin a range of its own before it
 * has met the others. */
ipam::ManagerSettings manager_settings(const AllocationSettings& settings) {
    ipam::ManagerSettings out;
    out.allocator.self = settings.self;
    out.allocator.range = settings.plan.range();
    out.allocator.default_subnet = settings.plan.default_subnet();
    out.allocator.rest = settings.rest;
    out.lease = settings.lease;
    out.forgot = settings.ran_before; // unless load() finds what it knew
    out.expects_others = settings.expects_others;
    out.boot = settings.boot;
    std::random_device random;
    out.origin = (std::uint64_t{random()} << 32U) | random();
    return out;
}

} // namespace

Allocations::Allocations(AllocationSettings settings, AllocationEvents events)
    : settings_(std::move(settings))
    , events_(std::move(events))
    , manager_(manager_settings(settings_), settings_.clock()) {
    load();
}

void Allocations::load() {
    const os::CheckedFile file = os::read_checked_file(settings_.file);
    if (file.state == os::CheckedFile::State::ok) {
        if (const auto state = ipam::decode_state(file.contents)) {
            restore(*state);
            return;
        }
    }
    if (file.state != os::CheckedFile::State::missing) {
        notices_.push_back(fmt::format(
            "{} was damaged and is kept as {}: this node keeps the addresses that its pods have, "
            "and gets its address space anew from the mesh",
            settings_.file,
            os::set_corrupt_aside(settings_.file)));
    } else if (settings_.ran_before) {
        notices_.push_back(fmt::format(
            "{} is gone although this node ran before: it keeps the addresses that its pods have, "
            "and gets its address space anew from the mesh",
            settings_.file));
    }
}

void Allocations::restore(const ipam::ManagerState& state) {
    const ipam::Restored restored = manager_.restore(state, settings_.clock());
    if (restored.outside > 0) {
        notices_.push_back(fmt::format(
            "{} addresses of pods are outside the range {}: they work on until they are detached",
            restored.outside,
            settings_.plan.range().text()));
    }
}

void Allocations::claim_in_use(const std::string& holder, const std::vector<Prefix>& addresses) {
    for (const Prefix& prefix : addresses) {
        if (const auto place = settings_.plan.place_of(prefix.address)) {
            manager_.claim(holder, *place, /*in_use=*/true, settings_.clock());
        }
    }
}

void Allocations::start() {
    started_ = true;
    settle();
}

void Allocations::obtain(const std::string& holder,
                         std::vector<ipam::Request> requests,
                         Duration patience,
                         Done done) {
    pending_.push_back({holder,
                        std::move(requests),
                        allocator().leases().held_by(holder),
                        settings_.clock() + patience,
                        std::move(done),
                        std::nullopt});
    settle();
}

std::vector<IpAddress> Allocations::release(const std::string& holder) {
    ipam::Released released = manager_.release_all(holder, settings_.clock());
    std::vector<IpAddress> out = std::move(released.outside);
    for (const ipam::Index place : released.indices) {
        out.push_back(settings_.plan.address(place));
    }
    settle();
    return out;
}

void Allocations::give_back(const std::string& holder, const std::vector<ipam::Index>& places) {
    for (const ipam::Index place : places) {
        manager_.release(holder, place, settings_.clock());
    }
    settle();
}

std::vector<std::string> Allocations::holders() const {
    std::set<std::string> names;
    for (const auto& [place, holder] : allocator().leases().holders()) {
        names.insert(holder);
    }
    return {names.begin(), names.end()};
}

std::vector<Prefix> Allocations::held_by(const std::string& holder) const {
    std::vector<Prefix> out;
    for (const ipam::Index place : allocator().leases().held_by(holder)) {
        const ipam::Run subnet = settings_.plan.default_subnet().contains(place)
                                     ? settings_.plan.default_subnet()
                                     : allocator().range();
        for (const Prefix& prefix : settings_.plan.addresses(place, subnet)) {
            out.push_back(prefix);
        }
    }
    return out;
}

const std::string* Allocations::holder_of(const IpAddress& address) const {
    const auto place = settings_.plan.place_of(address);
    return place ? allocator().leases().holder(*place) : nullptr;
}

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
            {"lease_seconds", duration_cast<seconds>(report.lease.left).count()},
            {"reclaim_after_seconds", duration_cast<seconds>(report.reclaim_after).count()},
            {"too_many", report.too_many},
            {"absent", absent}};
}

std::size_t Allocations::remove(const NodeId& node) {
    const std::size_t taken = manager_.remove(node, settings_.clock());
    settle();
    return taken;
}

void Allocations::on_record(const wire::Record& record) {
    const TimePoint now = settings_.clock();
    if (record.kind == wire::kAllocationKind) {
        if (const auto said = wire::decode_allocation(record.tlvs())) {
            manager_.on_allocation(record.node, *said, now);
        }
    } else if (record.kind == wire::kMemberSetsKind) {
        if (const auto said = wire::decode_member_sets(record.tlvs())) {
            manager_.on_sets(record.node, *said);
        }
    } else if (record.kind == wire::kAddressesKind) {
        if (const auto said = wire::decode_addresses(record.tlvs())) {
            manager_.on_in_use(record.node, places_of(*said));
        }
    } else {
        return;
    }
    settle();
}

std::vector<ipam::Index> Allocations::places_of(const wire::Addresses& said) const {
    std::vector<ipam::Index> out;
    for (const Prefix& prefix : said.prefixes) {
        const auto place = settings_.plan.place_of(prefix.address);
        if (place && prefix.length == prefix.address.bits()) {
            out.push_back(*place);
        }
    }
    return out;
}

void Allocations::on_routes(const mesh::Routes& routes) {
    std::set<NodeId> now;
    for (const auto& [node, route] : routes) {
        now.insert(node);
        if (!reachable_.contains(node)) {
            manager_.on_reachable(node, true, settings_.clock());
        }
    }
    for (const NodeId& node : reachable_) {
        if (!now.contains(node)) {
            manager_.on_reachable(node, false, settings_.clock());
        }
    }
    reachable_ = std::move(now);
    settle();
}

void Allocations::tick() {
    const TimePoint now = settings_.clock();
    const auto late = [&](const Pending& each) { return each.until <= now; };
    if (unsaved_ || record_ || sets_ || (save_by_ && *save_by_ <= now) ||
        manager_.next_deadline() <= now || std::any_of(pending_.begin(), pending_.end(), late)) {
        settle();
    }
}

/** Requests' answers may ask for more, and records published come back. */
void Allocations::settle() {
    again_ = true;
    if (std::exchange(settling_, true)) {
        return;
    }
    while (std::exchange(again_, false)) {
        settle_once(settings_.clock());
    }
    settling_ = false;
}

void Allocations::settle_once(TimePoint now) {
    if (!started_) {
        return;
    }
    manager_.tick(now);
    std::list<std::pair<Pending, Obtained>> finished;
    for (auto pending = pending_.begin(); pending != pending_.end();) {
        if (auto result = attempt(*pending, now)) {
            finished.emplace_back(std::move(*pending), std::move(*result));
            pending = pending_.erase(pending);
        } else {
            ++pending;
        }
    }
    const auto changed = manager_.changed();
    unsaved_ = unsaved_ || changed.state;
    if (changed.others && !save_by_) {
        save_by_ = now + kSaveSoon;
    }
    record_ = record_ || changed.record;
    sets_ = sets_ || changed.sets;
    const bool saved = save(now);
    if (saved) {
        publish();
    }
    for (auto& [pending, result] : finished) {
        if (!saved && std::holds_alternative<Grant>(result)) {
            give_back(pending.holder, std::get<Grant>(result).fresh);
            result = NoAddress{"internal",
                               fmt::format("{} cannot be written, so no address is given: see the "
                                           "log of weaved",
                                           settings_.file)};
        }
        pending.done(std::move(result));
    }
}

/** The contents of sets first: whoever hears that one was accepted looks for them. */
void Allocations::publish() {
    if (std::exchange(sets_, false)) {
        events_.publish(wire::kMemberSetsKind, wire::encode_member_sets(manager_.sets()));
    }
    if (std::exchange(record_, false)) {
        events_.publish(wire::kAllocationKind, wire::encode_allocation(manager_.record()));
    }
}

/** False when the disk does not hold what is to be told. */
bool Allocations::save(TimePoint now) {
    if (!unsaved_ && (!save_by_ || now < *save_by_)) {
        return true;
    }
    try {
        os::write_checked_file(settings_.file, ipam::encode_state(manager_.state()), 0600);
        unsaved_ = false;
        save_by_.reset();
    } catch (const std::system_error& error) {
        save_by_ = now + kSaveSoon;
        if (rate_.allow("save", Clock::now())) {
            log::error("event=ipam_not_saved reason={}", log::quoted(error.what()));
        }
    }
    return !unsaved_;
}

/** nullopt while it waits for space. */
std::optional<Allocations::Obtained> Allocations::attempt(Pending& pending, TimePoint now) {
    Grant grant;
    for (const ipam::Request& request : pending.requests) {
        const ipam::Answer answer = ask(pending, request, now);
        if (answer.outcome == ipam::Answer::Outcome::ok) {
            for (const Prefix& prefix : granted(request, answer.index)) {
                grant.addresses.push_back(prefix);
            }
        } else if (answer.outcome == ipam::Answer::Outcome::outside &&
                   request.kind == ipam::Request::Kind::fixed) {
            grant.addresses.push_back(*request.prefix); // not of the range: nobody's to give
        } else if (answer.outcome == ipam::Answer::Outcome::wait && now < pending.until) {
            pending.asked = answer.node;
            return std::nullopt;
        } else {
            for (const ipam::Index place : fresh(pending)) {
                manager_.release(pending.holder, place, now);
            }
            give_up(request);
            const bool waited = answer.outcome == ipam::Answer::Outcome::wait;
            return waited ? late(pending) : refusal(answer, request);
        }
    }
    grant.fresh = fresh(pending);
    return grant;
}

/** Others may have what is kept for this one; who else waits for the same asks again. */
void Allocations::give_up(const ipam::Request& request) {
    if (request.kind == ipam::Request::Kind::any) {
        const auto within = request.prefix ? settings_.plan.places_of(*request.prefix)
                                           : std::optional(settings_.plan.default_subnet());
        if (within) {
            manager_.give_up(*within);
        }
    } else if (const auto place = settings_.plan.place_of(request.prefix->address)) {
        manager_.give_up({*place, *place + 1});
    }
}

ipam::Answer Allocations::ask(const Pending& pending, const ipam::Request& request, TimePoint now) {
    const ipam::Plan& plan = settings_.plan;
    if (request.kind == ipam::Request::Kind::any) {
        const auto within =
            request.prefix ? plan.places_of(*request.prefix) : std::optional(plan.default_subnet());
        return within ? manager_.allocate(pending.holder, *within, now) : ipam::Answer{};
    }
    const auto place = plan.place_of(request.prefix->address);
    return place ? manager_.claim(pending.holder, *place, /*in_use=*/false, now) : ipam::Answer{};
}

std::vector<Prefix> Allocations::granted(const ipam::Request& request, ipam::Index place) const {
    const ipam::Plan& plan = settings_.plan;
    switch (request.kind) {
    case ipam::Request::Kind::fixed:
        return {*request.prefix};
    case ipam::Request::Kind::any:
        if (request.prefix) {
            return plan.addresses(place, *plan.places_of(*request.prefix));
        }
        break;
    case ipam::Request::Kind::place:
        break;
    }
    return plan.addresses(
        place, plan.default_subnet().contains(place) ? plan.default_subnet() : allocator().range());
}

std::vector<ipam::Index> Allocations::fresh(const Pending& pending) const {
    std::vector<ipam::Index> out = allocator().leases().held_by(pending.holder);
    std::erase_if(out, [&](ipam::Index place) {
        return std::ranges::find(pending.before, place) != pending.before.end();
    });
    return out;
}

NoAddress Allocations::refusal(const ipam::Answer& answer, const ipam::Request& request) const {
    const std::string wanted = request.prefix ? request.prefix->address.text() : std::string{};
    const std::string subnet =
        request.prefix ? request.prefix->text() : settings_.plan.subnets().front().text();
    switch (answer.outcome) {
    case ipam::Answer::Outcome::exhausted:
        return {"exhausted",
                fmt::format("no address is free in {}, neither here nor at a node that can be "
                            "reached: detach pods, or see 'weavectl ipam status'",
                            subnet)};
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
    if (pending.asked && *pending.asked != NodeId{}) {
        return {"unavailable",
                fmt::format("node {} was asked for address space and has not answered: try again, "
                            "or see 'weavectl ipam status'",
                            events_.name_of(*pending.asked))};
    }
    return {"unavailable",
            "no node of the mesh has told yet whose the address space is: try again when 'weavectl "
            "status' shows the peers as established"};
}

std::string Allocations::not_ready() const {
    if (!started_) {
        return "this node has just started: try again";
    }
    const ipam::Members& members = manager_.members();
    return members.follows() && !members.may_allocate(settings_.clock()) ? lease_text()
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
