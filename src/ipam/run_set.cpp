// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/run_set.hpp"

#include <algorithm>
#include <iterator>

namespace weave::ipam {

bool RunSet::insert(Index index) {
    const auto after = runs_.upper_bound(index);
    const auto before = after == runs_.begin() ? runs_.end() : std::prev(after);
    if (before != runs_.end() && index < before->second) {
        return false;
    }
    ++size_;
    const bool joins_after = after != runs_.end() && after->first == index + 1;
    const Index end = joins_after ? after->second : index + 1;
    if (joins_after) {
        runs_.erase(after);
    }
    if (before != runs_.end() && before->second == index) {
        before->second = end;
    } else {
        runs_.emplace(index, end);
    }
    return true;
}

bool RunSet::erase(Index index) {
    const auto after = runs_.upper_bound(index);
    if (after == runs_.begin() || index >= std::prev(after)->second) {
        return false;
    }
    --size_;
    const auto run = std::prev(after);
    const Index end = run->second;
    run->second = index;
    if (run->first == index) {
        runs_.erase(run);
    }
    if (index + 1 < end) {
        runs_.emplace(index + 1, end);
    }
    return true;
}

void RunSet::insert(Run run) {
    if (run.empty()) {
        return;
    }
    auto other = runs_.upper_bound(run.first);
    if (other != runs_.begin() && std::prev(other)->second >= run.first) {
        --other;
    }
    while (other != runs_.end() && other->first <= run.end) {
        run = {std::min(run.first, other->first), std::max(run.end, other->second)};
        size_ -= other->second - other->first;
        other = runs_.erase(other);
    }
    runs_.emplace(run.first, run.end);
    size_ += run.size();
}

void RunSet::erase(Run run) {
    if (run.empty()) {
        return;
    }
    auto other = runs_.upper_bound(run.first);
    if (other != runs_.begin() && std::prev(other)->second > run.first) {
        --other;
    }
    while (other != runs_.end() && other->first < run.end) {
        const Run whole{other->first, other->second};
        size_ -= overlap(whole, run).size();
        other = runs_.erase(other);
        if (whole.first < run.first) {
            runs_.emplace(whole.first, run.first);
        }
        if (whole.end > run.end) {
            runs_.emplace(run.end, whole.end);
        }
    }
}

std::size_t RunSet::count(Run within) const {
    std::size_t out = 0;
    auto run = runs_.upper_bound(within.first);
    if (run != runs_.begin()) {
        --run;
    }
    for (; run != runs_.end() && run->first < within.end; ++run) {
        out += overlap({run->first, run->second}, within).size();
    }
    return out;
}

std::vector<Run> RunSet::runs() const {
    std::vector<Run> out;
    out.reserve(runs_.size());
    for (const auto& [first, end] : runs_) {
        out.push_back({first, end});
    }
    return out;
}

bool RunSet::contains(Index index) const {
    return next_absent(index) != index;
}

Index RunSet::next_absent(Index from) const {
    const auto after = runs_.upper_bound(from);
    if (after == runs_.begin()) {
        return from;
    }
    const auto run = std::prev(after);
    return from < run->second ? run->second : from;
}

std::optional<Index> RunSet::next_present(Index from) const {
    if (contains(from)) {
        return from;
    }
    const auto after = runs_.upper_bound(from);
    return after == runs_.end() ? std::nullopt : std::optional(after->first);
}

} // namespace weave::ipam
