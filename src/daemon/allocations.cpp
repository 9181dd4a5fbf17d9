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
/** For how long an address that is in use elsewhere may become free: whoever moves a pod releases
 * its address on one node and asks for it on another, and may be there before the record is. */
constexpr auto kToldWithin = std::chrono::seconds(1);

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
    const TimePoint now = settings_.clock();
    pending_.push_back({holder,
                        std::move(requests),
                        allocator().leases().held_by(holder),
                        now + std::min<Duration>(patience, kToldWithin),
                        now + patience,
                        std::move(done),
                        std::nullopt});
    settle();
}

void Allocations::cancel(const std::string& holder) {
    const TimePoint now = settings_.clock();
    for (Pending& each : pending_) {
        if (each.holder == holder) {
            each.cancelled = true;
            each.until = now;
        }
    }
    settle();
}

std::vector<IpAddress> Allocations::release(const std::string& holder) {
    cancel(holder);
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

void Allocations::release_outside(const std::string& holder, const IpAddress& address) {
    manager_.release_outside(holder, address);
    settle();
}

std::vector<std::string> Allocations::holders() const {
    std::set<std::string> names;
    for (const auto& [place, holder] : allocator().leases().holders()) {
        names.insert(holder);
    }
    for (const ipam::Outside& lease : allocator().outside()) {
        names.insert(lease.holder);
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
    for (const ipam::Outside& lease : allocator().outside()) {
        if (lease.holder == holder) {
            out.push_back({lease.address, static_cast<std::uint8_t>(lease.address.bits())});
        }
    }
    return out;
}

const std::string* Allocations::holder_of(const IpAddress& address) const {
    const auto place = settings_.plan.place_of(address);
    return place ? allocator().leases().holder(*place) : nullptr;
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
    for (const IpAddress& address : said.reserved) {
        if (const auto place = settings_.plan.place_of(address)) {
            out.push_back(*place);
        }
    }
    return out;
}

void Allocations::on_reachable(const NodeId& node, bool reachable) {
    const bool changed = reachable ? reachable_.insert(node).second : reachable_.erase(node) > 0;
    if (changed) {
        manager_.on_reachable(node, reachable, settings_.clock());
        settle();
    }
}

void Allocations::tick() {
    const TimePoint now = settings_.clock();
    const auto late = [&](const Pending& each) { return each.told_by <= now; };
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
            if (const auto* grant = std::get_if<Grant>(&*result)) {
                share(pending->holder, grant->fresh);
            }
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
            result = NoAddress{"internal", not_saved()};
        }
        pending.done(std::move(result));
    }
}

/** What one request of a holder got the others have to leave alone, should they fail. */
void Allocations::share(const std::string& holder, const std::vector<ipam::Index>& fresh) {
    for (Pending& each : pending_) {
        if (each.holder == holder) {
            each.before.insert(each.before.end(), fresh.begin(), fresh.end());
        }
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
        save_error_ = error.code().message();
        if (rate_.allow("save", Clock::now())) {
            log::error("event=ipam_not_saved reason={}", log::quoted(error.what()));
        }
    }
    return !unsaved_;
}

/** Space that was asked for, an owner that is not connected yet, as after a restart, and word that
 * an address was released. */
bool Allocations::may_come(const Pending& pending, const ipam::Answer& answer, TimePoint now) {
    using Outcome = ipam::Answer::Outcome;
    if (answer.outcome == Outcome::used) {
        return now < pending.told_by;
    }
    return (answer.outcome == Outcome::wait || answer.outcome == Outcome::unreachable) &&
           now < pending.until;
}

/** nullopt while it waits for space. */
std::optional<Allocations::Obtained> Allocations::attempt(Pending& pending, TimePoint now) {
    if (pending.cancelled) {
        for (const ipam::Request& request : pending.requests) {
            give_up(request);
        }
        return NoAddress{"not_found", "what the address was for was deleted meanwhile"};
    }
    std::vector<ipam::Index> taken;
    std::vector<std::vector<Prefix>> granted_to(pending.requests.size());
    for (const std::size_t number : in_turn(pending.requests)) {
        const ipam::Request& request = pending.requests[number];
        const ipam::Answer answer = ask(pending, request, taken, now);
        const bool ours = !request.prefix || settings_.plan.place_of(request.prefix->address);
        if (answer.outcome == ipam::Answer::Outcome::ok) {
            taken.push_back(answer.index);
            granted_to[number] = granted(request, answer.index);
        } else if (!ours && request.kind == ipam::Request::Kind::fixed) {
            granted_to[number] = {*request.prefix}; // not of the range: nobody's to give
        } else if (may_come(pending, answer, now)) {
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
    Grant grant;
    for (const std::vector<Prefix>& each : granted_to) {
        for (const Prefix& prefix : each) {
            // Of a place that was asked for in both families each address comes twice.
            if (std::ranges::find(grant.addresses, prefix) == grant.addresses.end()) {
                grant.addresses.push_back(prefix);
            }
        }
    }
    grant.fresh = fresh(pending);
    return grant;
}

/** nullopt when it is not in the range. */
std::optional<ipam::Run> Allocations::run_of(const ipam::Request& request) const {
    if (request.kind == ipam::Request::Kind::any) {
        return request.prefix ? settings_.plan.places_of(*request.prefix)
                              : std::optional(settings_.plan.default_subnet());
    }
    const auto place = settings_.plan.place_of(request.prefix->address);
    return place ? std::optional(ipam::Run{*place, *place + 1}) : std::nullopt;
}

/** The narrowest first, so that each finds the place that it had before among those that the holder
 * has. A subnet that is named in both families is one. */
std::vector<std::size_t> Allocations::in_turn(const std::vector<ipam::Request>& requests) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const bool again = std::ranges::any_of(out, [&](std::size_t before) {
            const ipam::Request& other = requests[before];
            return requests[i].kind == ipam::Request::Kind::any && other.kind == requests[i].kind &&
                   requests[i].prefix && other.prefix &&
                   requests[i].prefix->address.is_v4() != other.prefix->address.is_v4() &&
                   run_of(requests[i]) == run_of(other);
        });
        if (!again) {
            out.push_back(i);
        }
    }
    const auto width = [&](std::size_t number) {
        const auto run = run_of(requests[number]);
        return run ? run->size() : 0;
    };
    std::ranges::stable_sort(out, {}, width);
    return out;
}

/** Others may have what is kept for this one; who else waits for the same asks again. */
void Allocations::give_up(const ipam::Request& request) {
    if (const auto run = run_of(request)) {
        manager_.give_up(*run);
    }
}

ipam::Answer Allocations::ask(const Pending& pending,
                              const ipam::Request& request,
                              const std::vector<ipam::Index>& besides,
                              TimePoint now) {
    const auto run = run_of(request);
    if (!run) {
        return {};
    }
    return request.kind == ipam::Request::Kind::any
               ? manager_.allocate(pending.holder, *run, now, besides)
               : manager_.claim(pending.holder, run->first, /*in_use=*/false, now);
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
        if (request.prefix->length < request.prefix->address.bits()) {
            return plan.addresses(place, *plan.places_of(request.prefix->network()));
        }
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

} // namespace weave::daemon
