// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/connector.hpp"

#include <algorithm>

namespace weave::mesh {

Connector::Connector(const NodeId& self, Random random, ConnectorSettings settings)
    : self_(self)
    , random_(std::move(random))
    , settings_(settings)
    , view_(self, random_, settings.view)
    , processes_(settings.max_nodes) {}

std::vector<Endpoint> Connector::ordered(const std::vector<Endpoint>& endpoints) {
    std::vector<Endpoint> out;
    for (const bool v6 : {true, false}) {
        for (const Endpoint& endpoint : endpoints) {
            if (endpoint.address.is_v6() == v6 &&
                std::find(out.begin(), out.end(), endpoint) == out.end()) {
                out.push_back(endpoint);
            }
        }
    }
    return out;
}

bool Connector::add_target(const Endpoint& endpoint, TimePoint now) {
    const auto found = targets_.find(endpoint);
    if (found != targets_.end()) {
        // Asked for again: no waiting for the back-off, and perhaps another node answers by now.
        Goal& goal = found->second;
        if (!goal.in_round) {
            restart(goal, now);
        }
        if (view_.partial() && !connected(goal)) {
            goal.node.reset();
        }
        return false;
    }
    if (targets_.size() >= settings_.max_targets) {
        return false;
    }
    Goal goal;
    goal.candidates = {endpoint};
    goal.target = true;
    goal.next_try = now;
    goal.interval = settings_.first_retry;
    targets_.emplace(endpoint, std::move(goal));
    target_order_.push_back(endpoint);
    return true;
}

bool Connector::forget(const Endpoint& endpoint) {
    const auto found = targets_.find(endpoint);
    if (found == targets_.end()) {
        return false;
    }
    cancel_dials(found->second);
    targets_.erase(found);
    std::erase(target_order_, endpoint);
    return true;
}

void Connector::on_discovered(const NodeId& node,
                              const std::vector<Endpoint>& endpoints,
                              TimePoint now) {
    if (node == self_) {
        return;
    }
    if (view_.outgrown()) {
        complete_ = false;
        return;
    }
    const auto found = nodes_.find(node);
    auto candidates = ordered(endpoints);
    if (found == nodes_.end()) {
        add_goal(node, std::move(candidates), polite(node, now));
        return;
    }
    Goal& goal = found->second;
    if (goal.candidates == candidates) {
        return;
    }
    // New addresses deserve a try now; dials under way to the old ones are left to end by
    // themselves.
    goal.candidates = std::move(candidates);
    goal.next_candidate = 0;
    goal.in_round = false;
    restart(goal, polite(node, now));
}

void Connector::add_goal(const NodeId& node, std::vector<Endpoint> candidates, TimePoint at) {
    if (nodes_.size() >= settings_.max_nodes) {
        return;
    }
    Goal goal;
    goal.candidates = std::move(candidates);
    goal.node = node;
    goal.next_try = at;
    goal.interval = settings_.first_retry;
    nodes_.emplace(node, std::move(goal));
}

void Connector::on_gone(const NodeId& node) {
    processes_.forget(node);
    view_.on_gone(node);
    const auto found = nodes_.find(node);
    if (found != nodes_.end()) {
        cancel_dials(found->second);
        nodes_.erase(found);
    }
}

/** The higher id leaves the first try to the lower, so that both do not dial at once. */
TimePoint Connector::polite(const NodeId& node, TimePoint now) const {
    return self_ < node ? now : now + settings_.courtesy;
}

void Connector::on_connected(const Connected& connected, TimePoint now) {
    const auto dialing = connected.dial ? dialing_.find(*connected.dial) : dialing_.end();
    Goal* goal = nullptr;
    if (dialing != dialing_.end()) {
        // The address may also be a target's that a node's goal was dialled at.
        const auto target = targets_.find(dialing->second.endpoint);
        if (target != targets_.end() && connected.node != self_) {
            target->second.node = connected.node;
            target->second.is_self = false;
        }
        goal = find_goal(dialing->second.goal);
        if (goal != nullptr) {
            goal->dials.erase(dialing->first);
        }
    }
    if (connected.node == self_) {
        found_self(connected, now);
        if (dialing != dialing_.end()) {
            dialing_.erase(dialing);
        }
        return;
    }
    if (dialing != dialing_.end()) {
        dialing_.erase(dialing);
    }
    if (goal != nullptr && !goal->target && goal->node != connected.node && goal->dials.empty()) {
        // The address belongs to another node now: welcome, but not whom this goal is about.
        goal->reason = "another node answers at " + connected.remote.text();
        finish_round(*goal, now);
    }
    const std::optional<Endpoint> copy =
        processes_.heard(connected.node, connected.remote_instance, connected.remote, now);
    if (copy) {
        actions_.emplace_back(IdentityTwice{connected.node, connected.remote, *copy});
    }
    links_[connected.link] = Link{connected.node,
                                  connected.remote,
                                  connected.dial.has_value(),
                                  connected.local_nonce ^ connected.remote_nonce,
                                  connected.boot_epoch + connected.own_boot_epoch,
                                  connected.remote_instance,
                                  now};
    settle_duplicate(connected, copy, now);
    satisfied(connected.node);
}

/** Keeps one link to the node. When two processes use its identity, both are told of the other. */
void Connector::settle_duplicate(const Connected& connected,
                                 const std::optional<Endpoint>& copy,
                                 TimePoint now) {
    const auto [held, first] = link_of_.try_emplace(connected.node, connected.link);
    if (first) {
        view_.on_linked(connected.node, now);
        if (copy) {
            actions_.emplace_back(TellCopied{connected.link, copy->address});
        }
        return;
    }
    const LinkId before = held->second;
    const bool replaced = survives(links_.at(connected.link), links_.at(before));
    held->second = replaced ? connected.link : before;
    if (!replaced && links_.at(before).instance != connected.remote_instance) {
        processes_.lost(connected.node, now);
    }
    Close close{replaced ? before : connected.link,
                replaced ? "replaced by another connection of the same nodes"
                         : "the nodes are already connected",
                wire::NoticeCode::duplicate};
    if (copy) {
        close.reason = "another router runs with the same identity";
        close.code = wire::NoticeCode::identity_twice;
        close.address = links_.at(held->second).remote.address;
        actions_.emplace_back(TellCopied{held->second, links_.at(close.link).remote.address});
    }
    actions_.emplace_back(std::move(close));
}

bool Connector::survives(const Link& challenger, const Link& holder) {
    // An end may raise its epoch while it lives, so one end's epoch alone would let the two
    // disagree.
    if (challenger.epochs != holder.epochs) {
        return challenger.epochs > holder.epochs; // the holder leads to an earlier life
    }
#ifdef WEAVE_BREAK_DUPLICATE_RULE // the simulator proves that it notices
    return challenger.outbound;
#else
    return challenger.order < holder.order;
#endif
}

/**
 * Whoever wanted this node has it: no further dials, back-off starts afresh. Dials under way are
 * left to finish: the other end may already count them as links, and only the duplicate rule makes
 * both ends drop the same one.
 */
void Connector::satisfied(const NodeId& node) {
    const auto settle = [&](Goal& goal) {
        if (goal.node == node) {
            goal.in_round = false;
            goal.failed = false;
            goal.refused = false;
            goal.interval = settings_.first_retry;
            goal.attempts = 0;
        }
    };
    for (auto& [endpoint, goal] : targets_) {
        settle(goal);
    }
    const auto found = nodes_.find(node);
    if (found != nodes_.end()) {
        settle(found->second);
    }
}

void Connector::found_self(const Connected& connected, TimePoint now) {
    actions_.emplace_back(Close{connected.link, "this is the node itself"});
    if (!connected.dial) {
        return; // the other end of our own dial
    }
    const auto dialing = dialing_.find(*connected.dial);
    if (dialing == dialing_.end()) {
        return;
    }
    note_self(dialing->second.endpoint, now);
}

void Connector::note_self(const Endpoint& endpoint, TimePoint now) {
    const auto target = targets_.find(endpoint);
    if (target != targets_.end()) {
        target->second.is_self = true;
        target->second.in_round = false;
        target->second.reason = "this address is the node itself";
        target->second.next_try = now + settings_.self_for;
    }
    // Somebody advertises an address that is ours too (a private range, say): not worth another
    // try for a while.
    std::erase_if(self_endpoints_, [&](const auto& it) { return it.second <= now; });
    if (self_endpoints_.size() < ConnectorSizes::kMaxSelfEndpoints) {
        self_endpoints_[endpoint] = now + settings_.self_for;
    }
}

bool Connector::is_self(const Endpoint& endpoint, TimePoint now) const {
    const auto found = self_endpoints_.find(endpoint);
    return found != self_endpoints_.end() && now < found->second;
}

void Connector::forget_self(TimePoint now) {
    self_endpoints_.clear();
    for (auto& [endpoint, goal] : targets_) {
        if (goal.is_self) {
            restart(goal, now);
        }
    }
}

void Connector::on_failed(DialId dial, Failure failure, const std::string& reason, TimePoint now) {
    const auto dialing = dialing_.find(dial);
    if (dialing == dialing_.end()) {
        return;
    }
    Goal* goal = find_goal(dialing->second.goal);
    const Endpoint endpoint = dialing->second.endpoint;
    dialing_.erase(dialing);
    if (failure == Failure::self) {
        note_self(endpoint, now);
    }
    if (goal == nullptr || goal->dials.erase(dial) == 0) {
        return;
    }
    if (failure != Failure::self) {
        goal->is_self = false;
    }
    if (failure != Failure::duplicate && failure != Failure::self) {
        goal->reason = reason;
        goal->refused = goal->refused || failure == Failure::refused;
    }
    if (!goal->in_round) {
        return;
    }
    if (goal->next_candidate < goal->candidates.size()) {
        goal->next_try = now; // no reason to wait out the stagger
    } else if (goal->dials.empty()) {
        finish_round(*goal, now);
    }
}

void Connector::finish_round(Goal& goal, TimePoint now) {
    goal.in_round = false;
    goal.failed = true;
    if (view_.partial() && !goal.target) {
        view_.on_failed(*goal.node, now); // another one will do
    }
    const Duration cap = goal.target ? settings_.target_retry_cap : settings_.retry_cap;
    if (goal.refused) {
        goal.interval = cap; // only a change of settings helps
    }
    goal.next_try = now + jittered(random_, goal.interval);
    const auto grown = std::chrono::duration_cast<Duration>(goal.interval * settings_.growth);
    goal.interval = std::min(grown, cap);
}

void Connector::on_closed(LinkId id, Failure failure, const std::string& reason, TimePoint now) {
    const auto found = links_.find(id);
    if (found == links_.end()) {
        return;
    }
    const Link link = found->second;
    links_.erase(found);
    const auto current = link_of_.find(link.node);
    if (current == link_of_.end() || current->second != id) {
        return; // a duplicate that lost
    }
    link_of_.erase(current);
    processes_.ended(link.node, link.instance);
    if (failure == Failure::crowded) {
        view_.on_crowded(link.node, now);
    } else if (failure == Failure::unreachable) {
        view_.on_lost(link.node, now);
    } else {
        view_.on_unlinked(link.node, now);
    }
    const bool long_lived = now - link.since >= settings_.long_lived;
    const auto lost = [&](Goal& goal) {
        if (goal.node != link.node) {
            return;
        }
        goal.reason = reason;
        if (failure == Failure::duplicate) {
            restart(goal, now + jittered(random_, settings_.first_retry));
        } else if (failure == Failure::crowded) {
            lost_crowded(goal, now);
        } else if (failure == Failure::identity_twice) {
            finish_round(goal, now);
            goal.next_try = now + jittered(random_, settings_.identity_twice_pause);
        } else if (long_lived && failure == Failure::unreachable) {
            restart(goal, polite(link.node, now));
        } else {
            goal.refused = failure == Failure::refused;
            finish_round(goal, now);
        }
    };
    for (auto& [endpoint, goal] : targets_) {
        lost(goal);
    }
    const auto node = nodes_.find(link.node);
    if (node != nodes_.end()) {
        lost(node->second);
    }
    if (link_of_.empty()) {
        retry_crowded(now);
    }
}

void Connector::restart(Goal& goal, TimePoint at) {
    goal.interval = settings_.first_retry;
    goal.refused = false;
    goal.next_try = at;
}

void Connector::tick(TimePoint now) {
    std::vector<DialId> overdue;
    for (const auto& [dial, dialing] : dialing_) {
        if (now - dialing.started >= settings_.dial_limit) {
            overdue.push_back(dial);
        }
    }
    for (const DialId dial : overdue) {
        actions_.emplace_back(CancelDial{dial});
        on_failed(dial, Failure::unreachable, "no answer in time", now);
    }
    view_.tick(now);
    follow_view(now);
    for (auto& [endpoint, goal] : targets_) {
        run(goal, endpoint, now);
    }
    for (auto& [node, goal] : nodes_) {
        run(goal, node, now);
    }
}

void Connector::run(Goal& goal, const std::variant<Endpoint, NodeId>& key, TimePoint now) {
    if (connected(goal) || now < goal.next_try || goal.candidates.empty() || spare(goal)) {
        return;
    }
    if (!goal.target && dialing_.size() >= settings_.max_dials) {
        goal.next_try = now + jittered(random_, settings_.stagger);
        return;
    }
    if (!goal.in_round) {
        goal.in_round = true;
        goal.refused = false;
        goal.crowded = false;
        goal.next_candidate = 0;
    }
    dial_next(goal, key, now);
}

void Connector::dial_next(Goal& goal, const std::variant<Endpoint, NodeId>& key, TimePoint now) {
    bool elsewhere = false;
    while (goal.next_candidate < goal.candidates.size()) {
        const Endpoint endpoint = goal.candidates[goal.next_candidate++];
        if (being_dialed(endpoint)) {
            elsewhere = true; // another goal is at it; if it succeeds both are satisfied
            continue;
        }
        if (!goal.target && is_self(endpoint, now)) {
            continue;
        }
        const DialId dial = next_dial_++;
        dialing_.emplace(dial, Dialing{endpoint, key, now});
        goal.dials.insert(dial);
        ++goal.attempts;
        goal.next_try = now + settings_.stagger;
        actions_.emplace_back(Dial{dial, endpoint});
        return;
    }
    if (goal.dials.empty() && elsewhere) {
        // What is left is being dialled for other goals: look again after a while.
        goal.in_round = false;
        goal.next_try = now + jittered(random_, settings_.first_retry);
    } else if (goal.dials.empty()) {
        finish_round(goal, now);
    }
}

void Connector::cancel_dials(Goal& goal) {
    for (const DialId dial : goal.dials) {
        actions_.emplace_back(CancelDial{dial});
        dialing_.erase(dial);
    }
    goal.dials.clear();
}

bool Connector::connected(const Goal& goal) const {
    return goal.node && link_of_.contains(*goal.node);
}

Connector::Goal* Connector::find_goal(const std::variant<Endpoint, NodeId>& key) {
    if (const auto* endpoint = std::get_if<Endpoint>(&key)) {
        const auto found = targets_.find(*endpoint);
        return found == targets_.end() ? nullptr : &found->second;
    }
    const auto found = nodes_.find(std::get<NodeId>(key));
    return found == nodes_.end() ? nullptr : &found->second;
}

bool Connector::being_dialed(const Endpoint& endpoint) const {
    return std::any_of(dialing_.begin(), dialing_.end(), [&](const auto& entry) {
        return entry.second.endpoint == endpoint;
    });
}

std::vector<ConnectorAction> Connector::take_actions() {
    std::vector<ConnectorAction> out;
    out.swap(actions_);
    return out;
}

} // namespace weave::mesh
