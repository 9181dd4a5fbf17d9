// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Which set is followed, which are accepted, when one is complete.
#include "ipam/members.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace weave::ipam {
namespace {

bool share(const std::vector<std::uint64_t>& one, const std::vector<std::uint64_t>& other) {
    return std::ranges::any_of(
        one, [&](std::uint64_t origin) { return std::ranges::count(other, origin); });
}

/** It leaves with this set; else claims are meant that an older one left over. */
bool newly(const wire::MemberSet& set, const wire::Removal& removal) {
    return (removal.era == set.seq || removal.era == 0) && !set.has(removal.node);
}

bool removes_newly(const wire::MemberSet& set) {
    return std::ranges::any_of(set.removed, [&](const auto& one) { return newly(set, one); });
}

} // namespace

const Members::Held* Members::held(const wire::SetRef& ref) const {
    const auto found = std::ranges::find(list_, ref, &Held::ref);
    return found == list_.end() ? nullptr : &*found;
}

Members::SetPtr Members::resolve(const wire::SetRef& ref) const {
    if (const Held* const own = held(ref)) {
        return own->set;
    }
    for (const auto& [node, shelf] : shelves_) {
        const auto found = std::ranges::find(shelf, ref, &Held::ref);
        if (found != shelf.end()) {
            return found->set;
        }
    }
    return nullptr;
}

bool Members::present(const NodeId& node) const {
    return node == settings_.self || presence_.reachable(node);
}

const wire::Membership::Accepted* Members::accepted_by(const NodeId& node,
                                                       const wire::SetRef& ref) const {
    const auto said = heard_.find(node);
    if (said == heard_.end()) {
        return nullptr;
    }
    const auto& accepted = said->second.accepted;
    const auto found = std::ranges::find(accepted, ref, &wire::Membership::Accepted::ref);
    return found == accepted.end() ? nullptr : &*found;
}

/** Of the mesh that this node belongs to, and not of one that began apart. */
bool Members::related(const wire::MemberSet& set) const {
    return !list_.empty() && share(set.origins, list_[0].set->origins);
}

bool Members::is_related(const NodeId& node) const {
    const auto lineage = lineages_.find(node);
    return !list_.empty() && lineage != lineages_.end() &&
           share({lineage->second}, list_[0].set->origins);
}

/** Whether it follows a set of this mesh, or one of another; nullopt: it is not known. */
std::optional<bool> Members::belongs(const NodeId& node) const {
    const auto said = heard_.find(node);
    if (said == heard_.end() || said->second.accepted.empty() || list_.empty()) {
        return std::nullopt;
    }
    if (is_related(node)) {
        return true;
    }
    const SetPtr set = resolve(said->second.accepted[0].ref);
    return set ? std::optional(related(*set)) : std::nullopt;
}

/** Everybody accepted it, and of whom it newly removes most can vouch for the absence. */
bool Members::complete(const Held& held) const {
    for (const NodeId& node : held.set->members) {
        if (node != settings_.self && accepted_by(node, held.ref) == nullptr) {
            return false;
        }
    }
    return !removes_newly(*held.set) || attested_by_most(held);
}

/** Most members of each older set that is in force with any of its members. */
bool Members::attested_by_most(const Held& held) const {
    std::set<wire::SetRef> older(held.set->after.begin(), held.set->after.end());
    for (const Held& own : list_) {
        older.insert(own.ref);
    }
    for (const NodeId& node : held.set->members) {
        if (const auto said = heard_.find(node); said != heard_.end()) {
            for (const auto& accepted : said->second.accepted) {
                older.insert(accepted.ref);
            }
        }
    }
    const auto attests = [&](const NodeId& node) {
        const auto* const accepted = accepted_by(node, held.ref);
        return held.set->has(node) &&
               (node == settings_.self ? held.attested : accepted != nullptr && accepted->attested);
    };
    return std::ranges::all_of(older, [&](const wire::SetRef& ref) {
        if (ref.seq >= held.ref.seq) {
            return true;
        }
        const SetPtr set = resolve(ref);
        return set && count(*set, attests).most();
    });
}

/** A member has accepted another of this seq or a later one and not this, or is fenced by such a
 * one, so it never will. */
bool Members::dead(const Held& held) const {
    return std::ranges::any_of(held.set->members, [&](const NodeId& node) {
        const auto said = heard_.find(node);
        if (said == heard_.end() || said->second.accepted.empty()) {
            return false;
        }
        const auto& accepted = said->second.accepted;
        const std::uint32_t seq = held.ref.seq;
        return accepted.front().ref.seq < seq &&
               std::max(accepted.back().ref.seq, said->second.fence) >= seq &&
               accepted_by(node, held.ref) == nullptr;
    });
}

/** The newest that somebody follows, of those that come after a set of the same mesh. */
std::optional<Members::Held> Members::successor(const Held& held) const {
    std::optional<Held> out;
    for (const auto& [node, said] : heard_) {
        if (said.accepted.empty() || said.accepted[0].ref <= (out ? out->ref : held.ref)) {
            continue;
        }
        const SetPtr set = resolve(said.accepted[0].ref);
        if (set && share(set->origins, held.set->origins)) {
            out = Held{said.accepted[0].ref, set, false};
        }
    }
    return out;
}

/** A newer complete set of this mesh: seen to be so, or followed by somebody. */
std::optional<Members::Held> Members::to_adopt() const {
    for (std::size_t i = list_.size(); i-- > 1;) {
        if (complete(list_[i])) {
            return list_[i];
        }
    }
    auto out = list_.empty() ? std::nullopt : successor(list_[0]);
    if (const Held* const own = out ? held(out->ref) : nullptr) {
        out->attested = own->attested;
    }
    return out;
}

/** A mesh that this node may turn away from, as what it claims is void with its lease: it sees too
 * few of it, and was never a member, or half of the members have turned away before. */
bool Members::may_leave(TimePoint now) const {
    if (list_.size() != 1 || may_allocate(now)) {
        return false;
    }
    const wire::MemberSet& set = *list_[0].set;
    const auto left = [&](const NodeId& node) { return !belongs(node).value_or(true); };
    const auto here = [&](const NodeId& node) {
        return present(node) && belongs(node).value_or(true);
    };
    return set.has(settings_.self) ? count(set, left).half() : !count(set, here).half();
}

/** The set of the most who are here, for who follows none or may leave its own. */
std::optional<Members::Held> Members::to_join(TimePoint now) const {
    if (!list_.empty() && !may_leave(now)) {
        return std::nullopt;
    }
    const auto here = [&](const NodeId& node) { return present(node); };
    std::optional<Held> best;
    std::size_t most = 0;
    presence_.for_each_reachable([&](const NodeId& node) {
        const auto said = heard_.find(node);
        if (said == heard_.end() || said->second.accepted.empty()) {
            return;
        }
        const wire::SetRef& ref = said->second.accepted[0].ref;
        const SetPtr set = resolve(ref);
        if (!set || related(*set)) {
            return;
        }
        const Held found{ref, set, false};
        const Count seen = count(*set, here);
        if (!list_.empty() && (!seen.half() || successor(found))) {
            return; // nothing would be won, and the next look would lead back
        }
        if (seen.hit > most || (seen.hit == most && best && ref > best->ref)) {
            best = found;
            most = seen.hit;
        }
    });
    return best;
}

/** What was claimed before a set that came about without this node may have been taken over.
 * Whoever forgot what it had may have had something by the very first set that it shares with
 * others. */
void Members::adopt(const Held& next, TimePoint now) {
    const bool own = held(next.ref) != nullptr;
    const bool newcomer = !list_.empty() && !list_[0].set->has(settings_.self) &&
                          !next.set->has(settings_.self) &&
                          next.set->removal(settings_.self) == nullptr && related(*next.set);
    if (!own && !(newcomer && may_allocate(now))) {
        fence_ = std::max(fence_, next.ref.seq);
        const auto eras = owners_.find(settings_.self);
        if (!list_.empty() && !related(*next.set) && eras != owners_.end()) {
            fence_ = std::max(fence_, eras->second.greatest + 1);
        }
        lease_until_.reset();
        lease_saved_ = TimePoint::min();
    }
    if (forgot_ && (!own || next.set->members.size() > 1)) {
        const bool last = next.ref.seq == std::numeric_limits<std::uint32_t>::max();
        fence_ = std::max(fence_, next.ref.seq + (last ? 0 : 1));
        highest_ = std::max(highest_, fence_);
        forgot_ = false;
    }
    std::erase_if(list_, [&](const Held& each) { return each.ref <= next.ref; });
    list_.insert(list_.begin(), next);
    cap_lease(now);
    touch(true);
    changed_.gifts = true;
}

void Members::follow(TimePoint now) {
    if (const auto other = to_join(now)) {
        adopt(*other, now);
    }
    while (const auto next = to_adopt()) { // each is greater than the one before
        adopt(*next, now);
    }
    const auto gone = [&](const Held& each) { return each.ref != list_[0].ref && dead(each); };
    if (std::erase_if(list_, gone) > 0) {
        touch(true);
        changed_.gifts = true;
    }
}

/** Of what the reachable propose, the newest that this node can agree to. */
void Members::accept(TimePoint now) {
    std::vector<const Held*> offered;
    for (const auto& [node, shelf] : shelves_) {
        for (const Held& each : shelf) {
            if (each.ref.proposer == node && presence_.reachable(node)) {
                note(each.ref);
                offered.push_back(&each);
            }
        }
    }
    std::ranges::sort(offered, std::greater_equal<>{}, [](const Held* each) { return each->ref; });
    for (const Held* const each : offered) {
        for (const wire::Removal& removal : each->set->removed) {
            presence_.hear_of(removal.node, now);
        }
        if (const auto attested = judge(*each->set, now)) {
            list_.push_back({each->ref, each->set, *attested});
            cap_lease(now);
            touch(true);
            return;
        }
    }
}

/** Time has passed: what could not be vouched for may be now. */
void Members::attest(TimePoint now) {
    for (std::size_t i = 1; i < list_.size(); ++i) {
        if (!list_[i].attested && judge_removals(*list_[i].set, now).value_or(false)) {
            list_[i].attested = true;
            touch(true);
        }
    }
}

/** Whether this node can accept the set, and then whether it vouches for the absences. To accept is
 * to reckon with the set from now on, so it takes half of its members, as the lease does. */
std::optional<bool> Members::judge(const wire::MemberSet& set, TimePoint now) const {
    if (list_.empty() || list_.size() >= wire::kMaxAccepted || !set.has(settings_.self) ||
        set.seq <= std::max(list_.back().ref.seq, fence_) ||
        !std::ranges::count(set.after, list_[0].ref) ||
        (presence_.woke() && now < *presence_.woke() + settings_.settle)) {
        return std::nullopt;
    }
    const auto here = [&](const NodeId& node) { return present(node); };
    const auto in_set = [&](const NodeId& node) { return set.has(node); };
    if (!count(set, here).half() ||
        !std::ranges::all_of(list_,
                             [&](const Held& each) { return count(*each.set, in_set).most(); }) ||
        !accounts_for_all(set)) {
        return std::nullopt;
    }
    return judge_removals(set, now);
}

/** Claims of the node from before `below` may still stand. */
bool Members::left_over(const NodeId& node, std::uint32_t below) const {
    const auto eras = owners_.find(node);
    return eras != owners_.end() && eras->second.least < below;
}

/** Whoever this node knows to belong to the mesh is a member of the set or removed by it: who would
 * be forgotten could be removed later by nodes that never saw it. */
bool Members::accounts_for_all(const wire::MemberSet& set) const {
    const auto accounted = [&](const NodeId& node) {
        const auto* const removal = set.removal(node);
        return set.has(node) || overruled_.contains(node) ||
               (removal != nullptr && newly(set, *removal));
    };
    for (const Held& each : list_) {
        if (!std::ranges::all_of(each.set->members, accounted)) {
            return false;
        }
    }
    return std::ranges::all_of(owners_, [&](const auto& owner) {
        const auto& [node, eras] = owner;
        const auto* const before = list_[0].set->removal(node);
        return accounted(node) || !is_related(node) || node == settings_.self ||
               (before != nullptr && eras.greatest < before->era);
    });
}

/** nullopt: it must not be. False: it may be, but this node cannot vouch for it. */
std::optional<bool> Members::judge_removals(const wire::MemberSet& set, TimePoint now) const {
    bool vouches = true;
    for (const wire::Removal& removal : set.removed) {
        const NodeId& node = removal.node;
        if (!newly(set, removal)) {
            const auto* const before = list_[0].set->removal(node);
            const bool known = before != nullptr && before->era >= removal.era;
            if (removal.era > set.seq ||
                (!known && present(node) && fence_of(node) < removal.era)) {
                return std::nullopt;
            }
        } else if (!overruled_.contains(node)) {
            if (present(node)) {
                return std::nullopt;
            }
            const auto absence = presence_.absence(node, now);
            const bool long_enough = absence && absence->time >= reclaim_after();
            if (absence && absence->seen && !long_enough) {
                return std::nullopt;
            }
            vouches = vouches && long_enough;
        }
    }
    return vouches;
}

/** Each set is told by its proposer; where that does not, by the lowest who accepted it. */
void Members::refresh_sets() {
    std::vector<wire::SetRef> now;
    for (const Held& each : list_) {
        bool tells = each.ref.proposer == settings_.self;
        if (!tells &&
            !(presence_.reachable(each.ref.proposer) && accepted_by(each.ref.proposer, each.ref))) {
            tells = true;
            presence_.for_each_reachable([&](const NodeId& node) {
                tells = tells && !(node < settings_.self && accepted_by(node, each.ref));
            });
        }
        if (tells) {
            now.insert(now.begin(), each.ref);
        }
    }
    // The newest first, for it is to be accepted; then the followed one, for newcomers.
    if (now.size() > 1 && now.back() == list_[0].ref) {
        std::rotate(now.begin() + 1, now.end() - 1, now.end());
    }
    now.resize(std::min(now.size(), wire::kMaxSets));
    if (now != published_) {
        published_ = std::move(now);
        changed_.sets = true;
    }
}

wire::MemberSets Members::sets() const {
    wire::MemberSets out;
    for (const wire::SetRef& ref : published_) {
        if (const Held* const own = held(ref)) {
            out.sets.push_back(*own->set);
        }
    }
    return out;
}

} // namespace weave::ipam
