// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the active view means for dials and links.
#include "mesh/connector.hpp"

#include <algorithm>

namespace weave::mesh {

void Connector::follow_view(TimePoint now) {
    if (!view_.partial()) {
        discover_all(now);
        return;
    }
    complete_ = false;
    for (auto it = nodes_.begin(); it != nodes_.end();) {
        const bool linked = connected(it->second);
        if (!linked && view_.wants(it->first)) {
            ++it;
            continue;
        }
        if (!linked) {
            cancel_dials(it->second); // of one that is linked they are left to finish
        }
        it = nodes_.erase(it);
    }
    for (const NodeId& node : view_.missing()) {
        if (!nodes_.contains(node)) {
            add_goal(node, ordered(view_.directory().endpoints(node)), now);
        }
    }
    for (const NodeId& node : view_.surplus()) {
        close_surplus(node, now);
    }
}

/** The mesh was large: what was told of nodes meanwhile is only in the directory. */
void Connector::discover_all(TimePoint now) {
    if (std::exchange(complete_, true)) {
        return;
    }
    const Directory& directory = view_.directory();
    for (std::size_t i = 0; i < directory.size(); ++i) {
        const NodeId node = directory.at(i);
        on_discovered(node, directory.endpoints(node), now);
    }
}

void Connector::close_surplus(const NodeId& node, TimePoint now) {
    const auto held = link_of_.find(node);
    if (held == link_of_.end()) {
        return;
    }
    actions_.emplace_back(
        Close{held->second, "the node has enough links", wire::NoticeCode::crowded});
    processes_.ended(node, links_.at(held->second).instance);
    links_.erase(held->second);
    link_of_.erase(held);
    view_.on_unlinked(node, now);
}

/** The node is not to be bothered soon: it would have to close the link again. */
void Connector::lost_crowded(Goal& goal, TimePoint now) {
    const Duration pause = goal.target ? settings_.target_retry_cap : settings_.retry_cap;
    restart(goal, now + jittered(random_, pause));
    goal.in_round = false;
    goal.crowded = true;
}

/** Without any link even a node that has enough of them has to take one. */
void Connector::retry_crowded(TimePoint now) {
    const auto retry = [&](Goal& goal) {
        if (goal.crowded) {
            goal.next_try = std::min(goal.next_try, now + jittered(random_, settings_.first_retry));
        }
    };
    for (auto& [endpoint, goal] : targets_) {
        retry(goal);
    }
    for (auto& [node, goal] : nodes_) {
        retry(goal);
    }
}

/** A target that need not be dialled: in a large mesh its node is one of many, once it is known. */
bool Connector::spare(const Goal& goal) const {
    return goal.target && view_.partial() && goal.node && !link_of_.empty() &&
           view_.knows(*goal.node) && !view_.wants(*goal.node);
}

} // namespace weave::mesh
