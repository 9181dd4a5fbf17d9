// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Which peers have a session and a path: those that the mesh has this node watch, and those that
// packets go to or come from.
#include "daemon/peers.hpp"

namespace weave::daemon {

using dataplane::Injection;

void Peers::want(const NodeId& node, TimePoint now) {
    if (Peer* peer = find(node)) {
        want(*peer, now);
        run_sessions(now);
    }
}

void Peers::want(Peer& peer, TimePoint now) {
    const bool wanted = peer.wanted(now);
    peer.used_until = now + kIdle;
    peer.look_at = {};
    if (!wanted) {
        begin(peer, now);
    }
}

/** From now on there is to be a session, and the mesh is told when there is no direct path. */
void Peers::begin(Peer& peer, TimePoint now) {
    peer.look_at = {};
    if (peer.path->in_use().kind != session::Use::Kind::direct) {
        peer.undirected_since = now;
    }
    want_hop(peer, now);
    open(peer, now);
}

/** What goes by another node needs a session with that one. */
void Peers::want_hop(const Peer& peer, TimePoint now) {
    if (Peer* hop = peer.next_hop ? find(*peer.next_hop) : nullptr) {
        want(*hop, now);
    }
}

/** Nothing has come or gone for a while. */
void Peers::close(Peer& peer, TimePoint now) {
    if (peer.sending) {
        lanes_.inject(0, [&](Injection& out) {
            out.kind = Injection::Kind::record;
            out.peer = peer.index;
            out.record = wire::RecordKind::close;
        });
    }
    sessions_.close(peer.node);
    run_sessions(now);
}

/** Packets, probes and the like apart, keep a session. */
void Peers::watch_use(Peer& peer, const dataplane::PeerState::Totals& totals, TimePoint now) {
    const std::uint64_t packets = totals.tx_packets + totals.rx_packets;
    if (std::exchange(peer.seen_packets, packets) == packets) {
        return;
    }
    peer.used_until = now + kIdle;
    want_hop(peer, now);
}

void Peers::set_routes(const mesh::Routes& routes, TimePoint now) {
    std::set<NodeId> relayed;
    for (const auto& [node, route] : routes.relayed) {
        relayed.insert(node);
        set_next_hop(node, routes, now);
    }
    relayed.swap(relayed_);
    for (const NodeId& node : relayed) { // those of before
        set_next_hop(node, routes, now);
    }
    run_sessions(now);
}

void Peers::set_next_hop(const NodeId& node, const mesh::Routes& routes, TimePoint now) {
    Peer* peer = find(node);
    const auto route = routes.to(node);
    const auto hop = route && route->hops > 1 ? std::optional(route->next_hop) : std::nullopt;
    if (peer == nullptr || hop == peer->next_hop) {
        return;
    }
    peer->next_hop = hop;
    peer->path->set_relay(hop, now);
    touch();
    if (hop && peer->wanted(now)) {
        want_hop(*peer, now);
        if (!sessions_.usable(node)) {
            open(*peer, now);
        }
    }
    run_path(*peer, now);
}

} // namespace weave::daemon
