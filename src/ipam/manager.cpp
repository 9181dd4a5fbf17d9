// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/manager.hpp"

#include <algorithm>
#include <utility>

namespace weave::ipam {
namespace {

constexpr std::size_t kMaxOtherRanges = 1000;

MembersSettings members_settings(const ManagerSettings& settings) {
    MembersSettings out;
    out.self = settings.allocator.self;
    out.range = settings.allocator.range.network();
    out.lease = settings.lease;
    out.forgot = settings.forgot;
    return out;
}

} // namespace

Manager::Manager(const ManagerSettings& settings, TimePoint now)
    : settings_(settings)
    , allocator_(settings.allocator, settings.expects_others, now)
    , members_(members_settings(settings), now) {}

/** A clock that began anew says nothing about how long the lease still runs. */
Restored Manager::restore(const ManagerState& state, TimePoint now) {
    if (state.allocator.range == settings_.allocator.range.network()) {
        MembersState members = state.members;
        if (state.boot != settings_.boot) {
            members.lease_until.reset();
        }
        members_.restore(members);
    }
    obey(now);
    return allocator_.restore(state.allocator, now);
}

ManagerState Manager::state() const {
    return {allocator_.state(), members_.state(), settings_.boot};
}

/** Before anything is agreed on a node may begin, or ask who is to; see Allocator. Nobody is asked
 * for what would be void. */
void Manager::obey(TimePoint now) {
    allocator_.set_fence(members_.fence());
    allocator_.set_gift_era(members_.gift_era());
    const bool begins = !members_.follows() && allocator_.ring().empty();
    allocator_.set_lease(begins || (members_.may_allocate(now) && !members_.awaits_set()));
}

/** Whoever has not joined yet will: its holder comes back, as for space that was asked for. */
Answer Manager::or_wait(Answer answer) const {
    const bool joins = !members_.follows() || members_.awaits_set();
    if (answer.outcome == Answer::Outcome::no_lease && joins) {
        answer.outcome = Answer::Outcome::wait;
    }
    return answer;
}

Answer Manager::allocate(const std::string& holder,
                         Run within,
                         TimePoint now,
                         const std::vector<Index>& besides) {
    obey(now);
    const Answer answer = allocator_.allocate(holder, within, now, besides);
    found(now);
    return or_wait(answer);
}

Answer Manager::claim(const std::string& holder, Index index, bool in_use, TimePoint now) {
    obey(now);
    const Answer answer = allocator_.claim(holder, index, in_use, now);
    found(now);
    return or_wait(answer);
}

bool Manager::release(const std::string& holder, Index index, TimePoint now) {
    return allocator_.release(holder, index, now);
}

void Manager::release_outside(const std::string& holder, const IpAddress& address) {
    allocator_.release_outside(holder, address);
}

Released Manager::release_all(const std::string& holder, TimePoint now) {
    return allocator_.release_all(holder, now);
}

/** Without gifts that a node which left may have made before it heard of that. */
wire::Allocation Manager::believed(const NodeId& node, const wire::Allocation& said) {
    wire::Allocation out = said;
    std::erase_if(out.claims, [&](const wire::Allocation::Claim& claim) {
        return claim.to && members_.refuses_gift(node, claim.era);
    });
    if (out.claims.size() < said.claims.size()) {
        refused_[node] = said;
    } else {
        refused_.erase(node);
    }
    return out;
}

void Manager::on_allocation(const NodeId& node, const wire::Allocation& said, TimePoint now) {
    if (node == settings_.allocator.self) {
        return;
    }
    if (said.range == settings_.allocator.range.network()) {
        other_ranges_.erase(node);
    } else if (other_ranges_.size() < kMaxOtherRanges) {
        other_ranges_.insert_or_assign(node, said.range);
    }
    members_.on_allocation(node, said);
    allocator_.on_allocation(node, believed(node, said), now);
}

void Manager::on_sets(const NodeId& node, const wire::MemberSets& said) {
    members_.on_sets(node, said);
}

void Manager::on_in_use(const NodeId& node, const std::vector<Index>& used) {
    allocator_.on_in_use(node, used);
}

void Manager::on_reachable(const NodeId& node, bool reachable, TimePoint now) {
    members_.on_reachable(node, reachable, now);
    allocator_.on_reachable(node, reachable, now);
    forsaken_since_.reset();
}

std::size_t Manager::remove(const NodeId& node, TimePoint now) {
    const std::uint32_t era = members_.overrule(node);
    const std::size_t taken = allocator_.take_over(node, era, era);
    allocator_.forget_use(node);
    refused_.erase(node);
    tick(now);
    return taken;
}

/** Whoever begins a ring is a mesh of one. So is who knows of a ring whose owners are all away, and
 * sees nobody who agreed on anything: it owns nothing of it, and may take over what it is told to.
 */
void Manager::found(TimePoint now) {
    if (members_.follows() || allocator_.ring().empty()) {
        forsaken_since_.reset();
        return;
    }
    const bool owns =
        !allocator_.ring().owned(settings_.allocator.self, allocator_.range()).empty();
    if (!owns) {
        forsaken_since_ = members_.sees_followers() ? now : forsaken_since_.value_or(now);
        if (now < *forsaken_since_ + settings_.allocator.begin_wait) {
            return;
        }
    }
    if (!members_.sees_followers()) {
        members_.found(settings_.origin, now);
        obey(now);
    }
}

void Manager::take_back(TimePoint now) {
    for (const wire::Removal& removal : members_.removed()) {
        allocator_.set_away(removal.node);
    }
    const Reclaim reclaim = members_.reclaims(now);
    for (const wire::Removal& removal : reclaim.from) {
        allocator_.take_over(removal.node, removal.era, reclaim.era);
    }
    if (reclaim.unowned) {
        allocator_.take_unowned(reclaim.era);
    }
}

void Manager::hear_refused_again(TimePoint now) {
    for (const auto& [node, said] : std::exchange(refused_, {})) {
        allocator_.on_allocation(node, believed(node, said), now);
    }
}

/** Agreements take their time; only whoever has not joined yet looks at once. */
void Manager::tick(TimePoint now) {
    found(now);
    if (!members_.follows() || members_.next_deadline() <= now) {
        members_.tick(now, allocator_.ring());
        take_back(now);
    }
    obey(now);
    allocator_.tick(now);
    found(now);
}

TimePoint Manager::next_deadline() const {
    return std::min(allocator_.next_deadline(), members_.next_deadline());
}

Manager::Changed Manager::changed() {
    const Members::Changed agreed = members_.changed();
    if (agreed.gifts) {
        hear_refused_again(members_.ticked());
    }
    const Allocator::Changed held = allocator_.changed();
    return {held.state || agreed.state, held.others, held.record || agreed.record, agreed.sets};
}

wire::Allocation Manager::record() const {
    wire::Allocation out = allocator_.record();
    out.membership = members_.membership();
    return out;
}

} // namespace weave::ipam
