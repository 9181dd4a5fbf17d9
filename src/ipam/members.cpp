// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/members.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace weave::ipam {
namespace {

using namespace std::chrono_literals;

std::uint32_t seconds_of(Duration time) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

} // namespace

Members::Members(MembersSettings settings, TimePoint now)
    : settings_(std::move(settings))
    , presence_(now, settings_.blink)
    , ticked_(now)
    , plan_since_(now) {
    settings_.lease = std::clamp<Duration>(settings_.lease, 10s, 24h);
    forgot_ = settings_.forgot;
}

void Members::restore(const MembersState& state) {
    for (const auto& [set, attested] : state.accepted) {
        list_.push_back({ref_of(set), std::make_shared<const wire::MemberSet>(set), attested});
        note(list_.back().ref);
    }
    lease_until_ = state.lease_until;
    lease_saved_ = lease_until_.value_or(TimePoint::min());
    forgot_ = state.forgot;
    fence_ = state.fence;
    highest_ = std::max(highest_, state.highest);
    overruled_ = {state.overruled.begin(), state.overruled.end()};
    lineages_ = {state.lineages.begin(), state.lineages.end()};
    fresh_ = list_.empty();
    changed_ = {true, true, true, false};
}

MembersState Members::state() const {
    MembersState out;
    for (const Held& held : list_) {
        out.accepted.push_back({*held.set, held.attested});
    }
    out.lease_until = lease_until_;
    out.forgot = forgot_;
    out.fence = fence_;
    out.highest = highest_;
    out.overruled = {overruled_.begin(), overruled_.end()};
    for (const auto& [node, origin] : lineages_) {
        if (owners_.empty() || owners_.contains(node)) {
            out.lineages.emplace_back(node, origin);
        }
    }
    return out;
}

void Members::found(std::uint64_t origin, TimePoint now) {
    if (!list_.empty() || highest_ == std::numeric_limits<std::uint32_t>::max()) {
        return;
    }
    wire::MemberSet set;
    set.seq = highest_ + 1;
    set.proposer = settings_.self;
    set.lease_seconds = seconds_of(settings_.lease);
    set.origins = {origin};
    set.members = {settings_.self};
    list_.push_back({ref_of(set), std::make_shared<const wire::MemberSet>(set), true});
    note(list_.back().ref);
    touch(true);
    confirm(now);
    refresh_sets();
}

void Members::note(const wire::SetRef& ref) {
    highest_ = std::max(highest_, ref.seq);
}

void Members::touch(bool record) {
    changed_.state = true;
    changed_.record = changed_.record || record;
}

void Members::on_reachable(const NodeId& node, bool reachable, TimePoint now) {
    presence_.set_reachable(node, reachable, now);
    if (reachable && overruled_.erase(node) > 0) {
        touch(false);
    }
}

/** Of a set that is in force here. */
bool Members::is_member_somewhere(const NodeId& node) const {
    return std::ranges::any_of(list_, [&](const Held& held) { return held.set->has(node); });
}

std::uint32_t Members::fence_of(const NodeId& node) const {
    if (node == settings_.self) {
        return fence_;
    }
    const auto said = heard_.find(node);
    return said == heard_.end() ? 0 : said->second.fence;
}

void Members::on_allocation(const NodeId& node, const wire::Allocation& said) {
    if (node == settings_.self) {
        return;
    }
    if (said.range != settings_.range || !said.membership) {
        heard_.erase(node);
        return;
    }
    if (!heard_.contains(node) && heard_.size() >= kMaxHeard && !is_member_somewhere(node)) {
        std::erase_if(heard_, [&](const auto& one) {
            return !presence_.reachable(one.first) && !is_member_somewhere(one.first) &&
                   !owners_.contains(one.first);
        });
        if (heard_.size() >= kMaxHeard) {
            ++ignored_;
            return;
        }
    }
    heard_[node] = *said.membership;
    highest_ = std::max(highest_, said.membership->fence);
    for (const auto& accepted : said.membership->accepted) {
        note(accepted.ref);
    }
    if (!said.membership->accepted.empty()) {
        lineages_[node] = said.membership->origin;
    }
}

bool Members::sees_followers() const {
    return std::ranges::any_of(heard_, [&](const auto& one) {
        return presence_.reachable(one.first) && !one.second.accepted.empty();
    });
}

void Members::on_sets(const NodeId& node, const wire::MemberSets& said) {
    if (node == settings_.self) {
        return;
    }
    if (!shelves_.contains(node) && shelves_.size() >= kMaxShelves) {
        const auto spare = std::ranges::find_if(
            shelves_, [&](const auto& one) { return !presence_.reachable(one.first); });
        if (spare == shelves_.end()) {
            ++ignored_;
            return;
        }
        shelves_.erase(spare);
    }
    std::vector<Held>& shelf = shelves_[node];
    shelf.clear();
    for (const wire::MemberSet& set : said.sets) {
        shelf.push_back({ref_of(set), std::make_shared<const wire::MemberSet>(set), false});
    }
}

/** Who owns space, and who has to be watched: the ring changes often, and this may be late. */
void Members::scan(const Ring& ring, TimePoint now) {
    if (now < next_scan_) {
        return;
    }
    next_scan_ = now + kScan;
    owners_.clear();
    for (const auto& [run, claim] : ring.pieces()) {
        if (claim.stamp == Stamp{}) {
            continue;
        }
        const std::uint32_t era = claim.stamp.era;
        Eras& eras = owners_.try_emplace(claim.owner, Eras{era, era}).first->second;
        eras = {std::min(eras.least, era), std::max(eras.greatest, era)};
        highest_ = std::max(highest_, era);
        presence_.hear_of(claim.owner, now);
    }
    for (const Held& held : list_) {
        for (const NodeId& node : held.set->members) {
            presence_.hear_of(node, now);
        }
    }
    const auto known = [&](const NodeId& node) {
        return owners_.contains(node) || is_member_somewhere(node) || heard_.contains(node);
    };
    presence_.prune(known);
    std::erase_if(lineages_, [&](const auto& one) { return !known(one.first); });
}

void Members::tick(TimePoint now, const Ring& ring) {
    presence_.look(now);
    ticked_ = now;
    scan(ring, now);
    follow(now);
    accept(now);
    attest(now);
    follow(now);
    propose(now);
    follow(now); // a mesh of one agrees with itself
    confirm(now);
    heir_since_ = is_heir(now) ? heir_since_.value_or(now) : std::optional<TimePoint>{};
    refresh_sets();
}

Members::Changed Members::changed() {
    return std::exchange(changed_, {});
}

wire::Membership Members::membership() const {
    wire::Membership out;
    out.lease_seconds = seconds_of(settings_.lease);
    out.fence = fence_;
    for (const Held& held : list_) {
        out.accepted.push_back({held.ref, held.attested});
    }
    if (!list_.empty() && !list_[0].set->origins.empty()) {
        out.origin = list_[0].set->origins.front();
    }
    return out;
}

bool Members::may_allocate(TimePoint now) const {
    return lease_until_ && now < *lease_until_;
}

/** All members reckon with the longest lease that their sets allow. */
Duration Members::lease_in_use() const {
    Duration out = settings_.lease;
    for (const Held& held : list_) {
        out = std::min<Duration>(out, std::chrono::seconds(held.set->lease_seconds));
    }
    return out;
}

/** Whoever reckons with a new set's lease may do so from when this node accepted it. */
void Members::cap_lease(TimePoint now) {
    if (lease_until_) {
        lease_until_ = std::min(*lease_until_, now + lease_in_use());
    }
}

Duration Members::reclaim_after() const {
    Duration longest = settings_.lease;
    for (const Held& held : list_) {
        longest = std::max<Duration>(longest, std::chrono::seconds(held.set->lease_seconds));
    }
    return longest + longest / 4 + 30s;
}

/**
 * What a set that somebody here accepted, and this node did not, means for the lease. Others may
 * complete it out of our sight. If it takes this node's space back, nothing seen since then says
 * that this node is safe; if it knows nothing of this node, then half of it must be here as well.
 */
template <class In>
Lease Members::judge_accepted(const NodeId& by, const wire::SetRef& ref, In in) const {
    if (ref <= list_[0].ref || held(ref) || !is_related(by)) {
        return {Lease::State::held, 0, 0, by, {}};
    }
    const SetPtr set = resolve(ref);
    if (!set) {
        return {Lease::State::unresolved, 0, 0, by, {}};
    }
    const auto* const removal = set->removal(settings_.self);
    if (removal != nullptr && removal->era > fence_) {
        return {Lease::State::removal, 0, 0, by, {}};
    }
    const Count seen = count(*set, in);
    const bool enough = set->has(settings_.self) || seen.half();
    return {enough ? Lease::State::held : Lease::State::minority, seen.hit, seen.total, by, {}};
}

Lease Members::judge_lease(TimePoint now) const {
    Lease out;
    if (list_.empty()) {
        return out;
    }
    const auto counts = [&](const NodeId& node) {
        return node == settings_.self ||
               (belongs(node).value_or(false) &&
                (fresh_ ? presence_.reachable(node)
                        : presence_.reachable_for(node, settings_.settle, now)));
    };
    for (const Held& held : list_) {
        const Count seen = count(*held.set, counts);
        out = {Lease::State::held, seen.hit, seen.total, {}, {}};
        if (!seen.half()) {
            out.state = Lease::State::minority;
            return out;
        }
    }
    presence_.for_each_reachable([&](const NodeId& node) {
        const auto said = heard_.find(node);
        for (std::size_t i = 0; said != heard_.end() && i < said->second.accepted.size(); ++i) {
            const Lease other = judge_accepted(node, said->second.accepted[i].ref, counts);
            if (out.state == Lease::State::held && other.state != Lease::State::held) {
                out = other;
            }
        }
    });
    return out;
}

void Members::confirm(TimePoint now) {
    lease_ = judge_lease(now);
    if (lease_.state != Lease::State::held) {
        return;
    }
    fresh_ = false;
    lease_until_ = now + lease_in_use();
    // An older one on disk only ends earlier.
    if (*lease_until_ > lease_saved_ + lease_in_use() / 8) {
        lease_saved_ = *lease_until_;
        touch(false);
    }
}

/** Who begins may give in the same breath: of the era of the set that it is about to found. */
std::uint32_t Members::gift_era() const {
    return list_.empty() ? highest_ + 1 : list_[0].ref.seq;
}

bool Members::refuses_gift(const NodeId& from, std::uint32_t era) const {
    for (const Held& held : list_) {
        const auto* removal = held.set->removal(from);
        if (removal != nullptr && era < removal->era) {
            return true;
        }
    }
    const auto said = heard_.find(from);
    if (said == heard_.end() || list_.empty()) {
        return false;
    }
    const std::uint32_t seq = list_[0].ref.seq;
    const auto& accepted = said->second.accepted;
    return era < said->second.fence || (is_related(from) && !list_[0].set->has(from) && era < seq &&
                                        !accepted.empty() && accepted[0].ref.seq < seq);
}

/**
 * The proposer takes over when most members follow the set and have accepted nothing after it: so
 * whatever comes after it comes from somebody who knows that it was complete. It has to see that
 * all accepted it, for with that it sees what they own.
 */
bool Members::is_heir(TimePoint now) const {
    if (list_.size() != 1 || list_[0].ref.proposer != settings_.self || !may_allocate(now)) {
        return false;
    }
    const Held& own = list_[0];
    const auto accepted = [&](const NodeId& node) {
        return node == settings_.self || accepted_by(node, own.ref) != nullptr;
    };
    const auto follows = [&](const NodeId& node) {
        const auto said = heard_.find(node);
        return node == settings_.self ||
               (said != heard_.end() && said->second.accepted.size() == 1 &&
                said->second.accepted[0].ref == own.ref);
    };
    const auto here = [&](const NodeId& node) { return present(node); };
    return std::ranges::all_of(own.set->members, accepted) && count(*own.set, follows).most() &&
           count(*own.set, here).most();
}

/** The ring of an heir that came late, or forgot, may lack owners that are gone; and what all
 * forgot is nobody's. A member's news of what it got just then comes first. */
Reclaim Members::reclaims(TimePoint now) const {
    if (!is_heir(now)) {
        return {};
    }
    const bool long_enough = heir_since_ && now >= *heir_since_ + 2 * settings_.settle;
    return {list_[0].ref.seq, list_[0].set->removed, long_enough};
}

const std::vector<wire::Removal>& Members::removed() const {
    static const std::vector<wire::Removal> none;
    return list_.empty() ? none : list_[0].set->removed;
}

std::uint32_t Members::overrule(const NodeId& node) {
    if (node != settings_.self) {
        overruled_.insert(node);
    }
    if (highest_ < std::numeric_limits<std::uint32_t>::max()) {
        ++highest_;
    }
    touch(false);
    return highest_;
}

MembersReport Members::report(TimePoint now) const {
    MembersReport out;
    out.lease = lease_;
    out.lease.left = may_allocate(now) ? *lease_until_ - now : Duration{};
    out.too_many = too_many_;
    out.ignored = ignored_;
    out.reclaim_after = reclaim_after();
    if (plan_) {
        out.waits_for = plan_->waits_for;
    }
    if (list_.empty()) {
        return out;
    }
    const wire::MemberSet& set = *list_[0].set;
    out.seq = set.seq;
    out.members = set.members.size();
    out.member = set.has(settings_.self);
    out.pending = list_.size() - 1;
    for (const NodeId& node : set.members) {
        if (present(node)) {
            ++out.seen;
        } else if (const auto absence = presence_.absence(node, now)) {
            out.absent.push_back({node, absence->time});
        }
    }
    return out;
}

} // namespace weave::ipam
