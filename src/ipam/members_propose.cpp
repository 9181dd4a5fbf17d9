// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the next set should be, and whose turn it is to propose it.
#include "ipam/members.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace weave::ipam {

bool Members::Plan::same(const Plan& other) const {
    const auto same_ref = [](const Held& one, const Held& two) { return one.ref == two.ref; };
    return members == other.members && removed == other.removed && old == other.old &&
           pending == other.pending && lease_seconds == other.lease_seconds &&
           waits_for == other.waits_for && std::ranges::equal(after, other.after, same_ref);
}

/** Who proposes what comes after a set: whoever proposed it, for it has watched the longest; else
 * the lowest member; where all are overruled, the lowest who follows it. Whoever forgot what it had
 * is the last choice: it could not take that over. */
std::optional<NodeId> Members::sponsor(const Held& held) const {
    const wire::MemberSet& set = *held.set;
    const auto can = [&](const NodeId& node) {
        return present(node) && !overruled_.contains(node) && !turned_away(node, set);
    };
    const auto knows = [&](const NodeId& node) { return !knows_not(node, set.seq); };
    if (set.has(set.proposer) && can(set.proposer) && knows(set.proposer)) {
        return set.proposer;
    }
    const auto lowest = std::ranges::find_if(
        set.members, [&](const NodeId& node) { return can(node) && knows(node); });
    if (lowest != set.members.end()) {
        return *lowest;
    }
    const auto cannot = [&](const NodeId& node) {
        return overruled_.contains(node) || !knows(node);
    };
    const auto follower =
        std::ranges::all_of(set.members, cannot) ? lowest_follower(held) : std::nullopt;
    const auto any = std::ranges::find_if(set.members, can);
    return any == set.members.end() || (follower && knows(*follower)) ? follower
                                                                      : std::optional(*any);
}

/** It is a member of this set and follows one of another mesh. */
bool Members::turned_away(const NodeId& node, const wire::MemberSet& set) const {
    if (node == settings_.self) {
        return !related(set);
    }
    const auto lineage = lineages_.find(node);
    return lineage != lineages_.end() && std::ranges::count(set.origins, lineage->second) == 0;
}

/** Of those who follow a set; first of those who know what they had. */
std::optional<NodeId> Members::lowest_follower(const Held& held) const {
    const auto rank = [&](const NodeId& node) {
        return std::pair(knows_not(node, held.ref.seq), node);
    };
    std::optional<NodeId> out =
        list_[0].ref == held.ref ? std::optional(settings_.self) : std::nullopt;
    presence_.for_each_reachable([&](const NodeId& node) {
        const auto said = heard_.find(node);
        if (said != heard_.end() && !said->second.accepted.empty() &&
            said->second.accepted[0].ref == held.ref && (!out || rank(node) < rank(*out))) {
            out = node;
        }
    });
    return out;
}

/** Sets of meshes that began apart, of which most members are here and belong to them, or to this
 * mesh by now: they can be merged with. */
std::vector<Members::Held> Members::foreign() const {
    std::map<wire::SetRef, SetPtr> found;
    presence_.for_each_reachable([&](const NodeId& node) {
        const auto said = heard_.find(node);
        if (said == heard_.end() || said->second.accepted.empty() || is_related(node)) {
            return;
        }
        const wire::SetRef& ref = said->second.accepted[0].ref;
        const SetPtr set = resolve(ref);
        const auto comes = [&](const NodeId& each) {
            const auto lineage = lineages_.find(each);
            return each == settings_.self || is_related(each) ||
                   (lineage != lineages_.end() &&
                    std::ranges::count(set->origins, lineage->second));
        };
        const auto here = [&](const NodeId& each) { return present(each) && comes(each); };
        if (set && !related(*set) && count(*set, here).most()) {
            found.emplace(ref, set);
        }
    });
    std::vector<Held> out;
    for (const auto& [ref, set] : found) {
        const bool older = std::ranges::any_of(found, [&](const auto& other) {
            return other.first > ref &&
                   std::ranges::any_of(set->origins, [&](std::uint64_t origin) {
                       return std::ranges::count(other.second->origins, origin);
                   });
        });
        if (!older && out.size() + 1 < wire::kMaxPredecessors) {
            out.push_back({ref, set, false});
        }
    }
    return out;
}

/** Of meshes that merge the lowest sponsor proposes. */
bool Members::leads(const std::vector<Held>& others) const {
    return !list_.empty() && sponsor(list_[0]) == settings_.self &&
           std::ranges::none_of(others, [&](const Held& other) {
               const auto rival = sponsor(other);
               return rival && *rival < settings_.self;
           });
}

/** Accepted and not complete, as far as this node sees. */
std::set<wire::SetRef> Members::pending_of_all() const {
    std::set<wire::SetRef> out;
    for (std::size_t i = 1; i < list_.size(); ++i) {
        out.insert(list_[i].ref);
    }
    presence_.for_each_reachable([&](const NodeId& node) {
        const auto said = heard_.find(node);
        if (said == heard_.end() || !is_related(node)) {
            return;
        }
        for (std::size_t i = 1; i < said->second.accepted.size(); ++i) {
            if (said->second.accepted[i].ref > list_[0].ref) {
                out.insert(said->second.accepted[i].ref);
            }
        }
    });
    return out;
}

/** Puts a node that belongs to the mesh where it should be. */
void Members::place(Plan& plan, const NodeId& node, TimePoint now) const {
    if (overruled_.contains(node)) {
        plan.removed.insert(node);
        return;
    }
    if (!present(node)) {
        const auto absence = presence_.absence(node, now);
        if (absence && absence->time >= reclaim_after()) {
            plan.removed.insert(node);
            return;
        }
        plan.waits_for.push_back(node);
    } else if (node != settings_.self) {
        const auto said = heard_.find(node);
        const auto follows = [&](const Held& set) {
            return said != heard_.end() && !said->second.accepted.empty() &&
                   said->second.accepted[0].ref == set.ref;
        };
        if (!std::ranges::any_of(plan.after, follows)) {
            plan.waits_for.push_back(node);
        }
    }
    plan.members.insert(node);
}

/** Claims that no longer count and that nobody has taken over: what the last heir left, and what a
 * node that is back does not use. */
void Members::add_old(Plan& plan) const {
    for (const wire::Removal& removal : list_[0].set->removed) {
        if (left_over(removal.node, removal.era) && !plan.removed.contains(removal.node) &&
            !plan.members.contains(removal.node)) {
            plan.old[removal.node] = removal.era;
        }
    }
    for (const NodeId& node : plan.members) {
        const std::uint32_t fence = fence_of(node);
        if (left_over(node, fence)) {
            plan.old[node] = std::max(plan.old[node], fence);
        }
    }
}

Members::Plan Members::plan(std::vector<Held> others, TimePoint now) const {
    Plan out;
    out.after.push_back(list_[0]);
    std::ranges::move(others, std::back_inserter(out.after));
    out.pending = pending_of_all();
    std::set<NodeId> known{settings_.self};
    for (const Held& each : out.after) {
        known.insert(each.set->members.begin(), each.set->members.end());
    }
    for (const wire::SetRef& ref : out.pending) {
        if (const SetPtr set = resolve(ref)) {
            known.insert(set->members.begin(), set->members.end());
        }
    }
    for (const auto& [node, eras] : owners_) {
        const auto* const before = list_[0].set->removal(node);
        if (is_related(node) && (before == nullptr || eras.greatest >= before->era)) {
            known.insert(node);
        }
    }
    presence_.for_each_reachable([&](const NodeId& node) {
        const auto said = heard_.find(node);
        if (said != heard_.end() && !said->second.accepted.empty() &&
            std::ranges::count(out.after, said->second.accepted[0].ref, &Held::ref)) {
            known.insert(node);
        }
    });
    for (const NodeId& node : known) {
        place(out, node, now);
    }
    add_old(out);
    for (const NodeId& node : out.members) {
        const auto said = heard_.find(node);
        const std::uint32_t lease = said != heard_.end() ? said->second.lease_seconds : 0;
        constexpr std::uint32_t kDay = 24 * 60 * 60;
        out.lease_seconds = std::max(out.lease_seconds, std::min(lease, kDay));
    }
    out.lease_seconds = std::max(out.lease_seconds, membership().lease_seconds);
    out.wanted = wanted(out);
    return out;
}

bool Members::wanted(const Plan& plan) const {
    const wire::MemberSet& set = *list_[0].set;
    const bool heir_here = present(set.proposer);
    const auto urgent = [&](const auto& old) {
        return plan.members.contains(old.first) || !heir_here;
    };
    return !std::ranges::equal(plan.members, set.members) || !plan.removed.empty() ||
           plan.after.size() > 1 || !plan.pending.empty() ||
           plan.lease_seconds != set.lease_seconds || std::ranges::any_of(plan.old, urgent) ||
           std::ranges::any_of(plan.members,
                               [&](const NodeId& node) { return knows_not(node, set.seq); });
}

wire::MemberSet Members::set_of(const Plan& plan) const {
    wire::MemberSet out;
    out.seq = highest_ + 1;
    out.proposer = settings_.self;
    out.lease_seconds = plan.lease_seconds;
    std::set<std::uint64_t> origins;
    for (const Held& each : plan.after) {
        out.after.push_back(each.ref);
        origins.insert(each.set->origins.begin(), each.set->origins.end());
    }
    out.origins.assign(origins.begin(), origins.end());
    out.origins.resize(std::min(out.origins.size(), wire::kMaxOrigins));
    out.members.assign(plan.members.begin(), plan.members.end());
    std::map<NodeId, std::uint32_t> removed;
    for (const NodeId& node : plan.removed) {
        const bool of_this_mesh =
            is_related(node) || overruled_.contains(node) ||
            std::ranges::any_of(plan.after, [&](const Held& set) { return set.set->has(node); });
        removed.emplace(node, of_this_mesh ? out.seq : 0);
    }
    for (const auto& [node, era] : plan.old) {
        if (removed.size() < wire::kMaxRemovals) {
            removed.emplace(node, era);
        }
    }
    for (const auto& [node, era] : removed) {
        out.removed.push_back({node, era});
    }
    return out;
}

/** The newest set is what the plan would make, but for its seq. */
bool Members::underway(const Plan& plan) const {
    const wire::MemberSet& set = *list_.back().set;
    const auto rivals = [&](const wire::SetRef& ref) {
        return ref != list_.back().ref && ref.seq >= set.seq;
    };
    if (std::ranges::any_of(plan.pending, rivals)) {
        return false; // who accepted that one cannot accept this one any more
    }
    wire::MemberSet made = set_of(plan);
    for (wire::Removal& removal : made.removed) {
        removal.era = removal.era == made.seq ? set.seq : removal.era;
    }
    made.seq = set.seq;
    return made == set;
}

void Members::propose(TimePoint now) {
    too_many_ = false;
    auto others = list_.empty() ? std::vector<Held>{} : foreign();
    if (!leads(others)) {
        plan_.reset();
        wanted_since_.reset();
        return;
    }
    Plan next = plan(std::move(others), now);
    if (!plan_ || !plan_->same(next)) {
        plan_since_ = now;
    }
    plan_ = std::move(next);
    if (!plan_->wanted) {
        wanted_since_.reset();
        return;
    }
    wanted_since_ = wanted_since_.value_or(now);
    too_many_ =
        plan_->members.size() > wire::kMaxMembers || plan_->removed.size() > wire::kMaxRemovals;
    const bool stable = now - plan_since_ >= settings_.stable_for ||
                        now - *wanted_since_ >= 6 * settings_.stable_for;
    if (!stable || too_many_ || !plan_->waits_for.empty() || underway(*plan_) ||
        highest_ == std::numeric_limits<std::uint32_t>::max()) {
        return;
    }
    const wire::MemberSet set = set_of(*plan_);
    if (const auto attested = judge(set, now)) {
        list_.push_back({ref_of(set), std::make_shared<const wire::MemberSet>(set), *attested});
        note(list_.back().ref);
        cap_lease(now);
        wanted_since_ = now;
        touch(true);
    }
}

} // namespace weave::ipam
