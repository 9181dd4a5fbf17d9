// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The peers of a node, and what is due at them.
#include "sim/plane.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

/** As in the daemon: after this long without a direct path the mesh is told. */
constexpr Duration kTellAfter = 1200ms;

} // namespace

Plane::Peer* Plane::find(const NodeId& node) {
    const auto found = peers_.find(node);
    return found == peers_.end() ? nullptr : &found->second;
}

Plane::Peer* Plane::find(dataplane::PeerIndex index) {
    return index < by_index_.size() ? by_index_[index] : nullptr;
}

Plane::Peer* Plane::find(const RelayAddress& address) {
    const auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : found->second;
}

Plane::Peer& Plane::make(const NodeId& node, TimePoint now) {
    Peer& peer = peers_[node];
    if (vacant_.empty()) {
        vacant_.push_back(static_cast<dataplane::PeerIndex>(by_index_.size()));
        by_index_.push_back(nullptr);
    }
    peer.node = node;
    peer.index = vacant_.back();
    vacant_.pop_back();
    by_index_[peer.index] = &peer;
    by_address_.emplace(relay_address(node), &peer);
    peer.path = std::make_unique<session::PathMonitor>(session::PathSettings{}, ports_.random);
    peer.undirected_since = now;
    takers_.reset();
    return peer;
}

void Plane::drop(Peer& peer) {
    pending_.drop_all(peer.index);
    deadlines_.erase({peer.due, peer.index});
    by_index_[peer.index] = nullptr;
    vacant_.push_back(peer.index);
    by_address_.erase(relay_address(peer.node));
    takers_.reset();
    peers_.erase(NodeId{peer.node});
}

void Plane::touch(Peer& peer) {
    if (!std::exchange(peer.touched, true)) {
        touched_.push_back(peer.index);
    }
}

void Plane::tick(TimePoint now) {
    if (sessions_due() <= now) {
        sessions().tick(now);
    }
    for (auto due = deadlines_.begin(); due != deadlines_.end() && due->first <= now; ++due) {
        Peer& peer = *by_index_[due->second];
        if (peer.path->next_deadline() <= now) {
            peer.path->tick(now);
        }
        touch(peer);
    }
    run(now);
}

TimePoint Plane::next_deadline() const {
    return deadlines_.empty() ? sessions_due()
                              : std::min(sessions_due(), deadlines_.begin()->first);
}

TimePoint Plane::sessions_due() const {
    if (!sessions_due_) {
        sessions_due_ = sessions_.next_deadline();
    }
    return *sessions_due_;
}

void Plane::run(TimePoint now) {
    while (run_sessions(now) || !touched_.empty()) {
        for (const dataplane::PeerIndex index : std::exchange(touched_, {})) {
            if (Peer* peer = find(index)) {
                peer->touched = false;
                run_path(*peer, now);
                schedule(*peer);
            }
        }
    }
}

bool Plane::run_sessions(TimePoint now) {
    const auto actions = sessions_.take_actions();
    for (const session::Action& action : actions) {
        std::visit([&](const auto& one) { perform(one, now); }, action);
    }
    return !actions.empty();
}

void Plane::run_path(Peer& peer, TimePoint now) {
    const auto actions = peer.path->take_actions();
    for (const session::PathAction& action : actions) {
        if (const auto* probe = std::get_if<session::SendProbe>(&action)) {
            send_probe(peer, *probe);
        }
    }
    if (std::exchange(peer.was_up, peer.path->up()) != peer.was_up) {
        takers_.reset();
    }
    if (peer.was_up) {
        flush(peer, now);
    }
    watch_direct(peer, now);
    if (!actions.empty()) {
        note_sizes(peer);
    }
}

/** Tells the mesh when the direct path is lost for good, or is back. */
void Plane::watch_direct(Peer& peer, TimePoint now) {
    const bool direct = peer.path->in_use().kind == session::Use::Kind::direct;
    const bool had_direct = !peer.undirected_since;
    if (direct) {
        peer.undirected_since.reset();
    } else if (had_direct) {
        peer.undirected_since = now;
    }
    const bool sure = direct || had_direct || now - *peer.undirected_since >= kTellAfter;
    if (sure && peer.told_unreachable != !direct) {
        peer.told_unreachable = !direct;
        ports_.on_direct(peer.node, !direct);
    }
}

void Plane::schedule(Peer& peer) {
    TimePoint due = peer.path->next_deadline();
    if (peer.undirected_since && peer.told_unreachable != true) {
        due = std::min(due, *peer.undirected_since + kTellAfter);
    }
    if (due == peer.due) {
        return;
    }
    auto entry = deadlines_.extract({peer.due, peer.index});
    peer.due = due;
    if (entry.empty()) {
        deadlines_.emplace(due, peer.index);
    } else {
        entry.value() = {due, peer.index};
        deadlines_.insert(std::move(entry));
    }
}

void Plane::note_sizes(const Peer& peer) {
    const session::PathMonitor::Sizes path = peer.path->sizes();
    most_of_path_.ways = std::max(most_of_path_.ways, path.ways);
    most_of_path_.flying = std::max(most_of_path_.flying, path.flying);
}

} // namespace weave::sim
