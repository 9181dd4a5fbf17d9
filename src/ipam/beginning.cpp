// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/beginning.hpp"

#include <algorithm>

namespace weave::ipam {

void Beginning::on_reachable(const NodeId& node, bool reachable, TimePoint now) {
    const bool changed = reachable ? reachable_.insert(node).second : reachable_.erase(node) > 0;
    if (!changed) {
        return;
    }
    changed_at_ = now;
    settings_.expects_others = true; // also when it goes: it may come back
    if (!reachable) {
        fresh_.erase(node); // it can come back with a ring
    }
}

void Beginning::on_heard(const NodeId& node) {
    heard_.insert(node);
    fresh_.insert(node);
}

void Beginning::forget(const NodeId& node) {
    heard_.erase(node);
    fresh_.erase(node);
}

std::optional<TimePoint> Beginning::at() const {
    if (reachable_.empty()) {
        return settings_.expects_others ? changed_at_ + settings_.join_wait : TimePoint::min();
    }
    if (!wanted_since_ || lower()) {
        return std::nullopt;
    }
    const bool all =
        std::ranges::all_of(reachable_, [&](const NodeId& node) { return fresh_.contains(node); });
    return std::max(*wanted_since_, changed_at_) +
           (all ? settings_.join_wait : settings_.begin_wait);
}

std::optional<NodeId> Beginning::lower() const {
    const auto node =
        std::ranges::find_if(reachable_, [&](const NodeId& one) { return heard_.contains(one); });
    return node != reachable_.end() && *node < settings_.self ? std::optional(*node) : std::nullopt;
}

} // namespace weave::ipam
