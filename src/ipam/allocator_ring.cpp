// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The ring: what this node hears of it and says, how it begins, how space moves.
#include "ipam/allocator.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace weave::ipam {
namespace {

/** Takes a part out of a run of pieces that say the same; what is left stays. */
std::vector<Run> without(Run run, Run part) {
    std::vector<Run> out;
    for (const Run left : {Run{run.first, std::min(run.end, part.first)},
                           Run{std::max(run.first, part.end), run.end}}) {
        if (!left.empty()) {
            out.push_back(left);
        }
    }
    return out;
}

} // namespace

bool Allocator::merge(Run run, const Claim& claim) {
    const bool first = ring_.empty();
    const bool ours = concerns_us(run, claim);
    if (!ring_.merge(run, claim)) {
        return false;
    }
    owned_changed_ = owned_changed_ || ours;
    changed_.others = true;
    // Who knows of a ring must not begin another one after a crash.
    changed_.state = changed_.state || first;
    return true;
}

/** A claim for this node, or on what it owns. */
bool Allocator::concerns_us(Run run, const Claim& claim) const {
    return claim.owner == settings_.self ||
           std::ranges::any_of(places_.owned(), [&](const auto& piece) {
               return !overlap(piece.first, run).empty();
           });
}

void Allocator::set_fence(std::uint32_t era) {
    if (era > fence_) {
        fence_ = era;
        owned_changed_ = true;
        refresh_owned();
    }
}

/** Once for all claims of a record. */
void Allocator::refresh_owned() {
    if (!std::exchange(owned_changed_, false)) {
        return;
    }
    compact();
    auto owned = ring_.owned(settings_.self, range());
    const auto first_void = std::stable_partition(
        owned.begin(), owned.end(), [&](const auto& piece) { return piece.second.era >= fence_; });
    std::vector<std::pair<Run, Stamp>> none(first_void, owned.end());
    owned.erase(first_void, owned.end());
    if (owned != places_.owned() || none != void_) {
        places_.own(std::move(owned));
        void_ = std::move(none);
        changed_.state = true;
        ++gains_;
    }
}

/** Only an owner writes the next version, to itself as well: what many small gifts came as becomes
 * one piece. Never across eras, which are for the agreement to write. */
void Allocator::compact() {
    auto owned = ring_.owned(settings_.self, range());
    std::erase_if(owned, [&](const auto& piece) { return piece.second.era < fence_; });
    if (owned.size() <= kCompactAbove) {
        return;
    }
    for (std::size_t first = 0; first < owned.size();) {
        auto [run, stamp] = owned[first];
        std::size_t next = first + 1;
        for (; next < owned.size() && owned[next].first.first == run.end &&
               owned[next].second.era == stamp.era;
             ++next) {
            run.end = owned[next].first.end;
            stamp.version = std::max(stamp.version, owned[next].second.version);
        }
        if (next > first + 1 && stamp.version < std::numeric_limits<std::uint32_t>::max()) {
            ++stamp.version;
            ring_.merge(run, {settings_.self, stamp});
        }
        first = next;
    }
}

std::optional<TimePoint> Allocator::begins_at() const {
    return ring_.empty() && lease_ ? beginning_.at() : std::nullopt;
}

bool Allocator::begin(TimePoint now) {
    const auto at = begins_at();
    if (!at || *at > now) {
        return false;
    }
    merge(range(), {settings_.self, {fence_, 1}});
    refresh_owned();
    return true;
}

bool Allocator::on_allocation(const NodeId& node, const wire::Allocation& said, TimePoint now) {
    const bool same = said.range == settings_.range || said.range.network() == settings_.range;
    if (!same || node == settings_.self) {
        return false;
    }
    beginning_.on_heard(node);
    hear_claims(node, said);
    refresh_owned();
    retire_given(node, said);
    if (said.want && said.want->from == settings_.self) {
        pleas_[node] = {overlap({said.want->first, said.want->end}, range()), std::nullopt};
        beginning_.want(now);
    } else {
        pleas_.erase(node);
    }
    return true;
}

void Allocator::hear_claims(const NodeId& node, const wire::Allocation& said) {
    RunSet claimed;
    std::size_t ours = places_.owned().size() + void_.size();
    for (const wire::Allocation::Claim& each : said.claims) {
        const Run run = overlap({each.first, each.end}, range());
        const Claim claim{each.to.value_or(node), {each.era, each.version}};
        if (claimed.count(run) > 0) {
            ++left_out_; // no node says two things of a place; and so a record costs little
            continue;
        }
        claimed.insert(run);
        if (!ring_.wins(run, claim)) {
            continue;
        }
        const bool for_us = claim.owner == settings_.self;
        if ((for_us && ours >= kMaxOwned) || !believes(node, run, claim)) {
            ++left_out_;
            continue;
        }
        const auto before = static_cast<std::int64_t>(ring_.piece_count());
        merge(run, claim);
        growth_[node] += static_cast<std::int64_t>(ring_.piece_count()) - before;
        ours += for_us ? 1U : 0U;
    }
}

/** Whether a claim stays within what its speaker may make the ring grow by. */
bool Allocator::believes(const NodeId& node, Run run, const Claim& claim) const {
    const auto growth = growth_.find(node);
    return ring_.piece_count() < kManyPieces || growth == growth_.end() ||
           growth->second < kMaxGrowth || !ring_.splits(run, claim);
}

/** Only our record tells of what we gave until the new owner says it itself, or something greater
 * is known of it: place by place, as the new owner may have given parts of it on. */
void Allocator::retire_given(const NodeId& node, const wire::Allocation& said) {
    std::vector<Piece> left;
    for (const auto& [run, gift] : given_) {
        std::vector<Run> untold;
        ring_.for_each_piece(run, [&, &gift = gift](Run piece, const Claim& claim) {
            if (claim == gift) {
                untold.push_back(piece);
            }
        });
        for (const wire::Allocation::Claim& each : said.claims) {
            if (node == gift.owner && !each.to && gift.stamp == Stamp{each.era, each.version}) {
                std::vector<Run> rest;
                for (const Run piece : untold) {
                    const auto parts = without(piece, {each.first, each.end});
                    rest.insert(rest.end(), parts.begin(), parts.end());
                }
                untold = std::move(rest);
            }
        }
        for (const Run piece : untold) {
            left.emplace_back(piece, gift);
        }
    }
    if (left != given_) {
        given_ = std::move(left);
        changed_.state = true;
    }
}

bool Allocator::waits_for_gift(const NodeId& node) const {
    return std::ranges::any_of(given_,
                               [&](const Piece& gift) { return gift.second.owner == node; });
}

/** All who ask at once get equal parts, so that the first of many does not get half of all. */
void Allocator::give(TimePoint now) {
    if (pleas_.empty() || !lease_) {
        return;
    }
    begin(now);
    std::vector<NodeId> waiting;
    for (const auto& [node, plea] : pleas_) {
        if (plea.in_vain_at != gains_ && beginning_.is_reachable(node) && !waits_for_gift(node)) {
            waiting.push_back(node);
        }
    }
    const std::uint64_t gains = gains_;
    std::size_t others = waiting.size();
    for (const NodeId& node : waiting) {
        if (given_.size() >= kMaxGiven) {
            return; // the rest when these are confirmed
        }
        if (!give_to(node, pleas_.at(node).within, others--)) {
            pleas_.at(node).in_vain_at = gains;
        }
    }
}

/** What our own holders come back for stays here, or the last place would go to and fro for ever.
 * Whoever asks for one very address need not wait for its rest. */
bool Allocator::give_to(const NodeId& node, Run within, std::size_t others) {
    if (within.size() == 1 && places_.rests(within.first)) {
        give_away(within, node);
        return true;
    }
    const std::size_t kept = asking_.wants_in(within);
    std::size_t space = 0;
    for (const bool spare : {false, true}) {
        space += spare ? places_.spare(within) : places_.free(within);
        if (space <= kept) {
            continue;
        }
        const std::size_t most = std::max<std::size_t>((space - kept) / (others + 1), 1);
        const bool edges = places_.owned().size() >= kMaxOwned / 2;
        const Run run = places_.block({within, static_cast<Index>(most), spare, edges});
        if (!run.empty()) {
            give_away(run, node);
            return true;
        }
    }
    return false;
}

/** A claim of the last version stays: there is no next one before the next era. */
void Allocator::give_away(Run run, const NodeId& to) {
    for (const auto& [piece, stamp] : ring_.owned(settings_.self, run)) {
        const Stamp next{std::max(stamp.era, gift_era_), stamp.version + 1};
        if (next <= stamp || stamp.era < fence_) {
            continue;
        }
        const Claim claim{to, next};
        given_.emplace_back(piece, claim);
        merge(piece, claim);
        places_.gave(piece);
    }
    refresh_owned();
}

std::size_t Allocator::take_over(const NodeId& from, std::uint32_t below, std::uint32_t era) {
    const bool own = from == settings_.self;
    std::vector<Run> runs;
    for (const auto& [run, stamp] : ring_.owned(from, range())) {
        if (stamp.era < std::min(below, own ? fence_ : era)) {
            runs.push_back(run);
        }
    }
    set_away(from);
    return take(runs, era);
}

std::size_t Allocator::take_unowned(std::uint32_t era) {
    std::vector<Run> runs;
    ring_.for_each_piece(range(), [&](Run run, const Claim& claim) {
        if (claim.stamp == Stamp{}) {
            runs.push_back(run);
        }
    });
    return take(runs, era);
}

std::size_t Allocator::take(const std::vector<Run>& runs, std::uint32_t era) {
    std::size_t taken = 0;
    for (const Run run : runs) {
        merge(run, {settings_.self, {era, 0}});
        places_.take(run);
        taken += run.size();
    }
    if (taken > 0) {
        refresh_owned();
        retire_given(settings_.self, {});
        changed_.state = true;
    }
    return taken;
}

void Allocator::advance(TimePoint now) {
    gains_ += places_.leases().advance(now) ? 1U : 0U;
}

void Allocator::tick(TimePoint now) {
    advance(now);
    if (!asking_.empty()) {
        begin(now);
    }
    give(now);
    ask(now);
}

TimePoint Allocator::next_deadline() const {
    TimePoint at = asking_.next_deadline();
    if (asking_.empty() && pleas_.empty()) {
        return at;
    }
    if (const auto begins = begins_at()) {
        at = std::min(at, *begins);
    }
    return std::min(at, leases().rested_at());
}

Allocator::Changed Allocator::changed() {
    Changed out = std::exchange(changed_, {});
    // Compared, not flagged: much that changes in between is back as it was.
    wire::Allocation record = this->record();
    out.record = record != published_;
    if (out.record) {
        published_ = std::move(record);
    }
    return out;
}

wire::Allocation Allocator::record() const {
    wire::Allocation out;
    out.range = settings_.range;
    for (const auto& [run, claim] : given_) {
        out.claims.push_back(
            {run.first, run.end, claim.stamp.era, claim.stamp.version, claim.owner});
    }
    for (const auto& [run, stamp] : places_.owned()) {
        out.claims.push_back({run.first, run.end, stamp.era, stamp.version, std::nullopt});
    }
    for (const auto& [run, stamp] : void_) {
        out.claims.push_back({run.first, run.end, stamp.era, stamp.version, std::nullopt});
    }
    out.claims.resize(std::min(out.claims.size(), wire::kMaxClaims));
    if (const auto& asked = asking_.asked()) {
        out.want = wire::Allocation::Want{asked->from, asked->within.first, asked->within.end};
    }
    return out;
}

} // namespace weave::ipam
