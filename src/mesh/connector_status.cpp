// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/connector.hpp"

#include <algorithm>

namespace weave::mesh {

TimePoint Connector::deadline_of(const Goal& goal) const {
    const bool all_dialed = goal.in_round && goal.next_candidate >= goal.candidates.size();
    if (goal.candidates.empty() || connected(goal) || spare(goal) ||
        (all_dialed && !goal.dials.empty())) {
        return TimePoint::max();
    }
    return goal.next_try;
}

TimePoint Connector::next_deadline() const {
    TimePoint next = view_.next_deadline();
    for (const auto& [endpoint, goal] : targets_) {
        next = std::min(next, deadline_of(goal));
    }
    for (const auto& [node, goal] : nodes_) {
        next = std::min(next, deadline_of(goal));
    }
    for (const auto& [dial, dialing] : dialing_) {
        next = std::min(next, dialing.started + settings_.dial_limit);
    }
    return next;
}

ConnectorSizes Connector::sizes() const {
    ConnectorSizes out;
    out.targets = targets_.size();
    out.nodes = nodes_.size();
    out.dials = dialing_.size();
    out.links = links_.size();
    out.processes = processes_.nodes();
    out.most_processes = processes_.most_of_a_node();
    out.self_endpoints = self_endpoints_.size();
    out.avoided = view_.avoided();
    out.namers = view_.namers();
    return out;
}

std::optional<LinkId> Connector::link_to(const NodeId& node) const {
    const auto found = link_of_.find(node);
    return found == link_of_.end() ? std::nullopt : std::optional(found->second);
}

bool Connector::failing(const NodeId& node) const {
    const auto found = nodes_.find(node);
    return view_.failing(node) ||
           (found != nodes_.end() && found->second.failed && !connected(found->second));
}

ConnectionStatus Connector::describe(LinkId id, const Link& link) const {
    ConnectionStatus out;
    out.state = ConnectionStatus::State::established;
    out.direction = link.outbound ? ConnectionStatus::Direction::outbound
                                  : ConnectionStatus::Direction::inbound;
    out.endpoint = link.remote;
    out.node = link.node;
    out.link = id;
    return out;
}

ConnectionStatus Connector::describe(const Goal& goal, TimePoint now) const {
    using State = ConnectionStatus::State;
    ConnectionStatus out;
    if (connected(goal)) {
        const LinkId id = link_of_.at(*goal.node);
        out = describe(id, links_.at(id));
        out.target = goal.target;
        if (goal.target) {
            out.endpoint = goal.candidates.front();
        }
        return out;
    }
    out.target = goal.target;
    out.node = goal.node;
    out.reason = goal.reason;
    out.attempts = goal.attempts;
    if (!goal.candidates.empty()) {
        out.endpoint = goal.candidates.front();
    }
    if (goal.is_self) {
        out.state = State::self;
        return out;
    }
    if (!goal.dials.empty()) {
        out.state = State::connecting;
        out.direction = ConnectionStatus::Direction::outbound;
        out.endpoint = dialing_.at(*goal.dials.begin()).endpoint;
        return out;
    }
    if (spare(goal)) {
        out.state = State::spare;
        return out;
    }
    out.state = goal.refused ? State::failed : goal.failed ? State::retrying : State::waiting;
    if (!goal.candidates.empty()) {
        out.next_retry_in = std::max(goal.next_try - now, Duration::zero());
    }
    return out;
}

std::vector<ConnectionStatus> Connector::status(TimePoint now) const {
    std::vector<ConnectionStatus> out;
    std::set<NodeId> shown;
    for (const Endpoint& endpoint : target_order_) {
        const Goal& goal = targets_.at(endpoint);
        out.push_back(describe(goal, now));
        if (goal.node) {
            shown.insert(*goal.node);
        }
    }
    for (const auto& [node, goal] : nodes_) {
        if (shown.insert(node).second) {
            out.push_back(describe(goal, now));
        }
    }
    for (const auto& [node, id] : link_of_) {
        if (shown.insert(node).second) {
            out.push_back(describe(id, links_.at(id)));
        }
    }
    return out;
}

} // namespace weave::mesh
