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
/** As in the daemon: we send and hear nothing for this long, so that the peer may have lost its
 * keys. */
constexpr Duration kSuspectAfter = 10s;
/** Who is not watched is no peer any more after this long without a frame in either direction. */
constexpr Duration kIdle = 60s;

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

Plane::Peer* Plane::meet(const NodeId& node, TimePoint now) {
    if (Peer* peer = find(node)) {
        return peer;
    }
    const auto info = ports_.known(node);
    return info && !info->self ? &make(*info, now) : nullptr;
}

Plane::Peer* Plane::meet(const RelayAddress& address, TimePoint now) {
    if (Peer* peer = find(address)) {
        return peer;
    }
    const auto node = ports_.node_at({session::Origin::Kind::relayed, {}, address, 0});
    return node ? meet(*node, now) : nullptr;
}

Plane::Peer& Plane::make(const mesh::NodeInfo& info, TimePoint now) {
    Peer& peer = peers_[info.id];
    if (vacant_.empty()) {
        vacant_.push_back(static_cast<dataplane::PeerIndex>(by_index_.size()));
        by_index_.push_back(nullptr);
    }
    peer.node = info.id;
    peer.index = vacant_.back();
    vacant_.pop_back();
    by_index_[peer.index] = &peer;
    by_address_.emplace(relay_address(info.id), &peer);
    peer.path = std::make_unique<session::PathMonitor>(session::PathSettings{}, ports_.random);
    peer.undirected_since = now;
    peer.last_used = info.watched ? now - kIdle : now;
    peer.epoch = info.epoch;
    peer.candidates = info.endpoints;
    peer.path->set_candidates(peer.candidates, now);
    watch(peer, info, now);
    set_hop(peer, now);
    note_sizes(peer);
    admit(info);
    takers_.reset();
    touch(peer);
    return peer;
}

void Plane::admit(const mesh::NodeInfo& info) {
    sessions().set_peer(info.id, info.static_key, info.epoch);
    admitted_.insert(info.id);
}

/** Only the sessions can read who made an initiation, and only of those whom they let in: whoever
 * is at that address is let in before. */
void Plane::admit_sender(const session::Origin& origin) {
    const auto node = ports_.node_at(origin);
    if (node && !admitted_.contains(*node)) {
        if (const auto info = ports_.known(*node)) {
            admit(*info);
        }
    }
}

std::optional<NodeId> Plane::next_hop_of(const NodeId& node) const {
    const auto route = routes_->to(node);
    return route && route->hops > 1 ? std::optional(route->next_hop) : std::nullopt;
}

/** What goes by a hop needs a session with it before it can go. */
void Plane::set_hop(Peer& peer, TimePoint now) {
    const auto hop = next_hop_of(peer.node);
    if (hop == peer.next_hop) {
        return;
    }
    peer.next_hop = hop;
    peer.path->set_relay(hop, now);
    touch(peer);
    if (Peer* next = hop ? meet(*hop, now) : nullptr) {
        next->last_used = now;
        sessions().open(*hop, now);
    }
}

void Plane::drop(Peer& peer) {
    drop_waiting(peer);
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
    std::vector<Peer*> due;
    for (const auto& [at, index] : deadlines_) {
        if (at > now) {
            break;
        }
        due.push_back(by_index_[index]);
    }
    for (Peer* peer : due) {
        if (idle(*peer, now)) {
            close_idle(*peer, now);
            continue;
        }
        if (peer->path->next_deadline() <= now) {
            peer->path->tick(now);
        }
        touch(*peer);
    }
    run(now);
}

void Plane::note_unused(Peer& peer, TimePoint now) {
    peer.last_used = now - kIdle;
    touch(peer);
}

void Plane::keep(Peer& peer, TimePoint until) {
    peer.last_used = std::max(peer.last_used, until - kIdle);
}

bool Plane::idle(const Peer& peer, TimePoint now) const {
    return now - peer.last_used >= kIdle && !peer.watched;
}

/** What it initiated stays refused, and what the mesh was told of the way to it stays said. */
void Plane::close_idle(Peer& peer, TimePoint now) {
    if (peer.sending) {
        send_empty(peer, wire::RecordKind::close, now);
    }
    sessions().close(peer.node);
    run_sessions(now);
    drop(peer);
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
            send_probe(peer, *probe, now);
        }
    }
    if (std::exchange(peer.was_up, peer.path->up()) != peer.was_up) {
        takers_.reset();
    }
    if (peer.was_up) {
        flush(peer, now);
    }
    watch_direct(peer, now);
    watch_session(peer, now);
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

/** A peer that has the keys answers probes at least. */
void Plane::watch_session(const Peer& peer, TimePoint now) {
    if (!peer.sending) {
        return;
    }
    const TimePoint heard = std::max(peer.last_received, *peer.installed);
    if (peer.last_sealed > heard && now - heard >= kSuspectAfter) {
        sessions().suspect(peer.node, now);
    }
}

void Plane::schedule(Peer& peer) {
    TimePoint due = peer.path->next_deadline();
    if (!peer.watched) {
        due = std::min(due, peer.last_used + kIdle);
    }
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
