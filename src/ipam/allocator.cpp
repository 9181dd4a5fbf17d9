// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Holders: what they are given, and what is kept on disk of it. allocator_ring.cpp has the rest.
#include "ipam/allocator.hpp"

#include "ipam/position.hpp"

#include <algorithm>
#include <utility>

namespace weave::ipam {

Allocator::Allocator(const AllocatorSettings& settings, bool expects_others, TimePoint now)
    : settings_(settings)
    , ring_(size_of(settings.range))
    , places_(ring_.size(), ring_.start_of(settings.self), settings.rest)
    , beginning_({settings.self, settings.join_wait, settings.begin_wait, expects_others}, now)
    , asking_(settings.ask_again) {
    settings_.range = settings_.range.network();
    places_.reserve(range());
    places_.reserve(overlap(settings_.default_subnet, range()));
}

Restored Allocator::restore(const AllocatorState& state, TimePoint now) {
    const bool same = state.range == settings_.range;
    for (const auto& [index, holder] : state.leases) {
        restore_lease(state, index, holder);
    }
    for (const Outside& lease : state.outside) {
        keep(lease.address, lease.holder);
    }
    std::ranges::sort(outside_);
    outside_.erase(std::unique(outside_.begin(), outside_.end()), outside_.end());
    if (same) {
        restore_ring(state, now);
    }
    changed_.state = true;
    return {same, outside_.size()};
}

void Allocator::restore_lease(const AllocatorState& state, Index index, const std::string& holder) {
    if (state.range != settings_.range || !range().contains(index)) {
        keep(address_at(state.range, index), holder);
    } else if (!places_.leases().holds(index)) {
        places_.hand_out(holder, index);
    }
}

/** A lease of another range: by its address. */
void Allocator::keep(const IpAddress& address, const std::string& holder) {
    const auto index = index_of(settings_.range, address);
    if (!index) {
        outside_.push_back({address, holder});
    } else if (!places_.leases().holds(*index)) {
        places_.hand_out(holder, *index);
    }
}

void Allocator::restore_ring(const AllocatorState& state, TimePoint now) {
    for (const auto& [run, claim] : state.ring) {
        merge(run, claim);
    }
    for (const auto& [run, claim] : state.given) {
        const Run here = overlap(run, range());
        if (!here.empty() && claim.owner != settings_.self && given_.size() < kMaxGiven) {
            given_.emplace_back(here, claim);
            merge(here, claim);
        }
    }
    for (const Index index : state.resting) {
        if (range().contains(index)) {
            places_.leases().rest(index, now);
        }
    }
    for (const NodeId& node : state.away) {
        places_.usage().set_away(node, true);
    }
    for (const auto& [index, node] : state.lent) {
        if (range().contains(index) && node != settings_.self) {
            places_.usage().add(node, index);
        }
    }
    for (const Run& run : state.taken) {
        places_.take(overlap(run, range()));
    }
    refresh_owned();
    retire_given(settings_.self, {});
}

AllocatorState Allocator::state() const {
    AllocatorState out;
    out.range = settings_.range;
    if (!ring_.empty()) {
        out.ring = ring_.pieces();
    }
    out.given = given_;
    out.leases.assign(leases().holders().begin(), leases().holders().end());
    std::ranges::sort(out.leases);
    out.outside = outside_;
    out.resting = leases().resting();
    for (const auto& [node, used] : places_.usage().by_node()) {
        used.for_each([&, &node = node](Index index) {
            if (places_.owns(index)) {
                out.lent.emplace_back(index, node);
            }
        });
    }
    out.taken = places_.taken().runs();
    out.away.assign(places_.usage().away().begin(), places_.usage().away().end());
    return out;
}

void Allocator::set_lease(bool may) {
    gains_ += may && !lease_ ? 1U : 0U;
    lease_ = may;
}

Answer Allocator::hand_out(const std::string& holder, Index index) {
    places_.hand_out(holder, index);
    changed_.state = true;
    return {Answer::Outcome::ok, index, settings_.self};
}

Answer Allocator::allocate(const std::string& holder,
                           Run within,
                           TimePoint now,
                           const std::vector<Index>& besides) {
    within = overlap(within, range());
    if (within.empty()) {
        return {Answer::Outcome::outside, 0, {}};
    }
    if (const auto held = leases().find(holder, within, besides)) {
        return {Answer::Outcome::ok, *held, settings_.self};
    }
    if (!lease_) {
        return {Answer::Outcome::no_lease, 0, {}};
    }
    places_.reserve(within);
    if (places_.reserved().next_absent(within.first) >= within.end) {
        return {Answer::Outcome::outside, 0, {}};
    }
    advance(now);
    begin(now);
    if (const auto index = places_.choose(within)) {
        places_.go_on_from(*index + 1);
        asking_.end(within);
        return hand_out(holder, *index);
    }
    return want(within, now);
}

Answer Allocator::claim(const std::string& holder, Index index, bool in_use, TimePoint now) {
    if (index >= ring_.size() || (!in_use && places_.is_reserved(index))) {
        return {Answer::Outcome::outside, index, {}};
    }
    if (const std::string* const other = leases().holder(index)) {
        const bool same = *other == holder;
        return {same ? Answer::Outcome::ok : Answer::Outcome::held, index, settings_.self};
    }
    if (in_use) {
        return hand_out(holder, index);
    }
    if (!lease_) {
        return {Answer::Outcome::no_lease, index, {}};
    }
    if (const auto node = places_.usage().user(index)) {
        return {Answer::Outcome::used, index, *node};
    }
    begin(now);
    if (places_.owns(index)) {
        asking_.end({index, index + 1});
        return hand_out(holder, index);
    }
    return want_claim(index, now);
}

bool Allocator::release(const std::string& holder, Index index, TimePoint now) {
    const bool released = places_.leases().release(holder, index, now);
    changed_.state = changed_.state || released;
    return released;
}

void Allocator::release_outside(const std::string& holder, const IpAddress& address) {
    if (std::erase(outside_, Outside{address, holder}) > 0) {
        changed_.state = true;
    }
}

Released Allocator::release_all(const std::string& holder, TimePoint now) {
    Released out;
    out.indices = leases().held_by(holder);
    for (const Index index : out.indices) {
        release(holder, index, now);
    }
    std::erase_if(outside_, [&](const Outside& lease) {
        if (lease.holder == holder) {
            out.outside.push_back(lease.address);
        }
        return lease.holder == holder;
    });
    changed_.state = changed_.state || !out.outside.empty();
    return out;
}

/** The holder comes back for it until it gives up, so a want that is not repeated ends. */
Answer Allocator::want(Run within, TimePoint now) {
    if (!asking_.want(within, now + settings_.want_for)) {
        return {Answer::Outcome::wait, 0, {}};
    }
    beginning_.want(now);
    ask(now);
    const auto& asked = asking_.asked();
    if (asked && asked->within == within) {
        return {Answer::Outcome::wait, 0, asked->from};
    }
    if (has_unowned(within)) {
        return {Answer::Outcome::wait, 0, {}};
    }
    const auto next = whom_to_ask(within);
    return {next ? Answer::Outcome::wait : Answer::Outcome::exhausted, 0, next.value_or(NodeId{})};
}

Answer Allocator::want_claim(Index index, TimePoint now) {
    const Claim& there = ring_.at(index);
    if (there.stamp != Stamp{} && !beginning_.is_reachable(there.owner)) {
        return {Answer::Outcome::unreachable, index, there.owner};
    }
    Answer answer = want({index, index + 1}, now);
    answer.index = index;
    answer.node = there.owner;
    return answer;
}

/** Who seems to have most to give: what the ring says is its, less what its pods use. Where nobody
 * has anything yet, the one who is to begin. */
std::optional<NodeId> Allocator::whom_to_ask(Run within) const {
    if (ring_.empty()) {
        return beginning_.lower();
    }
    if (places_.owned().size() + void_.size() >= kMaxOwned) {
        return std::nullopt; // what came would not fit into the record
    }
    std::map<NodeId, std::size_t> space;
    ring_.for_each_piece(within, [&](Run run, const Claim& claim) {
        if (claim.stamp != Stamp{} && beginning_.is_reachable(claim.owner)) {
            space[claim.owner] += places_.left_of(claim.owner, run);
        }
    });
    std::optional<NodeId> best;
    std::size_t most = 0;
    for (const auto& [node, left] : space) {
        if (left > most && !asking_.is_passed_over(node, within)) {
            best = node;
            most = left;
        }
    }
    return best;
}

/** Somebody begins, or takes it over; see Members. */
bool Allocator::has_unowned(Run within) const {
    bool out = false;
    ring_.for_each_piece(within, [&](Run, const Claim& claim) { out |= claim.stamp == Stamp{}; });
    return out;
}

bool Allocator::exhausted(Run within) const {
    return !has_unowned(within) && !places_.choose(within) && !whom_to_ask(within);
}

void Allocator::ask(TimePoint now) {
    if (!lease_) {
        asking_.stop();
    }
    asking_.turn(
        now,
        ring_.empty(),
        [&](Run within) { return places_.choose(within).has_value(); },
        [&](Run within) { return lease_ ? whom_to_ask(within) : std::nullopt; },
        [&](const Asking::Asked& asked) {
            return ring_.empty() ? asked.from == beginning_.lower()
                                 : beginning_.is_reachable(asked.from);
        });
    if (asking_.empty() && pleas_.empty()) {
        beginning_.end_want();
    }
}

void Allocator::on_in_use(const NodeId& node, const std::vector<Index>& used) {
    if (node == settings_.self) {
        return;
    }
    RunSet now;
    for (const Index index : used) {
        if (index < ring_.size()) {
            now.insert(index);
        }
    }
    const auto changed = places_.usage().set(node, std::move(now));
    gains_ += changed.empty() ? 0U : 1U;
    changed_.state = changed_.state ||
                     std::ranges::any_of(changed, [&](Index index) { return places_.owns(index); });
}

void Allocator::on_reachable(const NodeId& node, bool reachable, TimePoint now) {
    beginning_.on_reachable(node, reachable, now);
    if (reachable && places_.usage().away().contains(node)) {
        places_.usage().set_away(node, false);
        changed_.state = true;
    }
}

void Allocator::set_away(const NodeId& node) {
    const bool here = node == settings_.self || beginning_.is_reachable(node);
    if (!here && !places_.usage().away().contains(node)) {
        places_.usage().set_away(node, true);
        changed_.state = true;
        ++gains_;
    }
}

void Allocator::forget_use(const NodeId& node) {
    if (places_.usage().by_node().contains(node) || places_.usage().away().contains(node)) {
        places_.usage().forget(node);
        changed_.state = true;
        ++gains_;
    }
    beginning_.forget(node);
    pleas_.erase(node);
    growth_.erase(node);
}

/** Decided alike on all nodes: the ring's owner keeps it, else the lower id. */
std::vector<Conflict> Allocator::conflicts() const {
    std::vector<Conflict> out;
    for (const auto& [node, used] : places_.usage().by_node()) {
        if (places_.usage().away().contains(node)) {
            continue; // nobody knows of it
        }
        used.for_each([&, &node = node](Index index) {
            if (const std::string* const holder = leases().holder(index)) {
                const NodeId& owner = ring_.at(index).owner;
                const bool ours =
                    owner == settings_.self || (owner != node && settings_.self < node);
                out.push_back({index, *holder, node, ours});
            }
        });
    }
    return out;
}

Report Allocator::report() const {
    std::map<NodeId, std::size_t> owned;
    ring_.for_each_piece(range(), [&](Run run, const Claim& claim) {
        if (claim.stamp != Stamp{}) {
            owned[claim.owner] += run.size();
        }
    });
    for (const auto& [node, used] : places_.usage().by_node()) {
        if (!used.empty()) {
            owned.try_emplace(node, 0);
        }
    }
    Report out;
    for (const auto& [node, size] : owned) {
        const bool self = node == settings_.self;
        out.owners.push_back({node,
                              size,
                              self ? leases().size() : places_.usage().count(node, range()),
                              self || beginning_.is_reachable(node)});
    }
    out.free = places_.free(range());
    out.held = leases().size();
    out.resting = leases().occupied().size() - leases().held().size();
    out.taken_over = places_.spare(range());
    out.left_out = left_out_;
    return out;
}

} // namespace weave::ipam
