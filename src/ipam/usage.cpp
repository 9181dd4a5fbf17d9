// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/usage.hpp"

#include <algorithm>
#include <utility>

namespace weave::ipam {

std::vector<Index> Usage::set(const NodeId& node, RunSet used) {
    const bool away = away_.contains(node);
    RunSet& all = away ? last_known_ : live_;
    std::vector<Index> changed;
    const RunSet before = std::exchange(by_node_[node], std::move(used));
    const RunSet& now = by_node_[node];
    now.for_each([&](Index index) {
        if (!before.contains(index)) {
            all.insert(index);
            changed.push_back(index);
        }
    });
    before.for_each([&](Index index) {
        if (!now.contains(index)) {
            changed.push_back(index);
            if (!this->used(index, away)) {
                all.erase(index);
            }
        }
    });
    if (now.empty()) {
        by_node_.erase(node);
    }
    return changed;
}

void Usage::add(const NodeId& node, Index index) {
    by_node_[node].insert(index);
    (away_.contains(node) ? last_known_ : live_).insert(index);
}

void Usage::set_away(const NodeId& node, bool away) {
    if (away_.contains(node) == away) {
        return;
    }
    const auto entry = by_node_.find(node);
    RunSet used = entry == by_node_.end() ? RunSet{} : entry->second;
    set(node, {});
    if (away) {
        away_.insert(node);
    } else {
        away_.erase(node);
    }
    set(node, std::move(used));
}

void Usage::forget(const NodeId& node) {
    set(node, {});
    away_.erase(node);
}

std::optional<NodeId> Usage::user(Index index) const {
    if (live_.contains(index)) {
        for (const auto& [node, used] : by_node_) {
            if (used.contains(index) && !away_.contains(node)) {
                return node;
            }
        }
    }
    return std::nullopt;
}

std::size_t Usage::count(const NodeId& node, Run within) const {
    const auto entry = by_node_.find(node);
    return entry == by_node_.end() ? 0 : entry->second.count(within);
}

bool Usage::used(Index index, bool away) const {
    return std::ranges::any_of(by_node_, [&](const auto& node) {
        return away_.contains(node.first) == away && node.second.contains(index);
    });
}

} // namespace weave::ipam
