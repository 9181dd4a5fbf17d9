// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/leases.hpp"

#include <algorithm>
#include <iterator>

namespace weave::ipam {

std::optional<Index>
Leases::find(const std::string& holder, Run within, const std::vector<Index>& besides) const {
    const auto entry = by_holder_.find(holder);
    if (entry == by_holder_.end()) {
        return std::nullopt;
    }
    for (auto at = entry->second.lower_bound(within.first);
         at != entry->second.end() && *at < within.end;
         ++at) {
        if (std::ranges::find(besides, *at) == besides.end()) {
            return *at;
        }
    }
    return std::nullopt;
}

std::vector<Index> Leases::held_by(const std::string& holder) const {
    const auto entry = by_holder_.find(holder);
    return entry == by_holder_.end()
               ? std::vector<Index>{}
               : std::vector<Index>(entry->second.begin(), entry->second.end());
}

const std::string* Leases::holder(Index index) const {
    const auto entry = holders_.find(index);
    return entry == holders_.end() ? nullptr : &entry->second;
}

void Leases::add(const std::string& holder, Index index) {
    if (const auto turn = turns_.find(index); turn != turns_.end()) {
        drop(order_.find(turn->second));
    }
    holders_.emplace(index, holder);
    by_holder_[holder].insert(index);
    held_.insert(index);
    occupied_.insert(index);
    known_.insert(index);
}

bool Leases::release(const std::string& holder, Index index, TimePoint now) {
    const auto entry = by_holder_.find(holder);
    if (entry == by_holder_.end() || entry->second.erase(index) == 0) {
        return false;
    }
    if (entry->second.empty()) {
        by_holder_.erase(entry);
    }
    holders_.erase(index);
    held_.erase(index);
    occupied_.erase(index);
    known_.erase(index);
    rest(index, now);
    return true;
}

void Leases::rest(Index index, TimePoint now) {
    if (known_.insert(index)) {
        occupied_.insert(index);
        turns_.emplace(index, next_turn_);
        order_.emplace(next_turn_++, Turn{index, now});
    }
}

bool Leases::advance(TimePoint now) {
    const auto before = resting_from_;
    for (auto turn = order_.lower_bound(resting_from_);
         turn != order_.end() && turn->second.since + rest_ <= now;
         ++turn) {
        resting_from_ = turn->first + 1;
        occupied_.erase(turn->second.index);
        ++rested_;
    }
    while (rested_ > kMaxRested) {
        drop(order_.begin());
    }
    return resting_from_ != before;
}

void Leases::drop(Turns::iterator turn) {
    if (turn->first < resting_from_) {
        --rested_;
    }
    occupied_.erase(turn->second.index);
    known_.erase(turn->second.index);
    turns_.erase(turn->second.index);
    order_.erase(turn);
}

void Leases::forget(Run run) {
    for (auto at = known_.next_present(run.first); at && *at < run.end;
         at = known_.next_present(*at + 1)) {
        if (const auto turn = turns_.find(*at); turn != turns_.end()) {
            drop(order_.find(turn->second));
        }
    }
}

TimePoint Leases::rested_at() const {
    const auto first = order_.lower_bound(resting_from_);
    return first == order_.end() ? TimePoint::max() : first->second.since + rest_;
}

std::vector<Index> Leases::resting() const {
    std::vector<Index> out;
    for (auto turn = order_.lower_bound(resting_from_); turn != order_.end(); ++turn) {
        out.push_back(turn->second.index);
    }
    return out;
}

} // namespace weave::ipam
