// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/presence.hpp"

#include <algorithm>

namespace weave::ipam {

void Presence::look(TimePoint now) {
    const Duration gap = now - looked_;
    looked_ = now;
    if (gap <= blink_) {
        return;
    }
    woke_ = now;
    for (auto& [node, one] : nodes_) {
        one.since = one.reachable ? now : std::min(now, one.since + gap);
    }
}

void Presence::set_reachable(const NodeId& node, bool reachable, TimePoint now) {
    One& one = nodes_.try_emplace(node, One{false, false, now}).first->second;
    if (one.reachable != reachable) {
        one = {reachable, true, now};
    }
}

void Presence::hear_of(const NodeId& node, TimePoint now) {
    nodes_.try_emplace(node, One{false, false, now});
}

bool Presence::reachable(const NodeId& node) const {
    const auto found = nodes_.find(node);
    return found != nodes_.end() && found->second.reachable;
}

bool Presence::reachable_for(const NodeId& node, Duration time, TimePoint now) const {
    const auto found = nodes_.find(node);
    return found != nodes_.end() && found->second.reachable && now - found->second.since >= time;
}

std::optional<Presence::Absence> Presence::absence(const NodeId& node, TimePoint now) const {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() || found->second.reachable) {
        return std::nullopt;
    }
    return Absence{now - found->second.since, found->second.seen};
}

} // namespace weave::ipam
