// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What lanes and status pages read of the peers.
#include "daemon/peers.hpp"

namespace weave::daemon {

using dataplane::Injection;
using dataplane::Path;

dataplane::Path Peers::path_of(const Peer& peer) const {
    Path path;
    session::Use use = peer.path->in_use();
    if (use.kind == session::Use::Kind::none && peer.heard) {
        if (peer.heard->kind == session::Origin::Kind::direct) {
            use = {session::Use::Kind::direct, peer.heard->endpoint, {}};
        } else if (peer.next_hop) {
            use = {session::Use::Kind::relay, {}, *peer.next_hop};
        }
    }
    if (use.kind == session::Use::Kind::direct) {
        path.kind = Path::Kind::direct;
        path.endpoint = use.direct;
        path.source = local_for(use.direct).value_or(IpAddress{});
        path.fast = events_.fast_hop(path.endpoint, path.source);
    } else if (use.kind == session::Use::Kind::relay) {
        path.kind = Path::Kind::relay;
        path.via = index_of(use.relay);
    }
    return path;
}

const std::shared_ptr<const dataplane::PeerTable>& Peers::table() {
    if (table_) {
        return table_;
    }
    std::vector<dataplane::PeerEntry> entries(slots_.size());
    std::vector<std::shared_ptr<dataplane::DataSession>> receiving;
    for (const auto& [node, peer] : peers_) {
        dataplane::PeerEntry& entry = entries[peer.index];
        entry.node = node;
        entry.relay = relay_address(node);
        entry.path = path_of(peer);
        entry.mtu = peer.mtu.size;
        entry.mtu_settled = peer.mtu.settled;
        entry.wants_broadcast = peer.wants_broadcast;
        entry.state = peer.state;
        entry.session = peer.sending;
        for (const auto& [index, data] : peer.receiving) {
            receiving.push_back(data);
        }
    }
    table_ = std::make_shared<dataplane::PeerTable>(std::move(entries), receiving);
    return table_;
}

void Peers::on_published() {
    for (const NodeId& node : std::exchange(greeting_, {})) {
        Peer* peer = find(node);
        if (peer == nullptr || !peer->sending) {
            continue;
        }
        lanes_.inject(0, [&](Injection& out) {
            out.kind = Injection::Kind::record;
            out.peer = peer->index;
            out.record = wire::RecordKind::padding;
        });
        peer->flush_owed = true;
        peer->look_at = {};
        flush(*peer);
    }
}

std::optional<Duration> Peers::rtt(const NodeId& node) const {
    const auto found = peers_.find(node);
    return found == peers_.end() ? std::nullopt : found->second.path->rtt();
}

std::vector<PeerView> Peers::view(TimePoint now) const {
    std::vector<PeerView> rows;
    for (const auto& [node, peer] : peers_) {
        PeerView row;
        row.node = node;
        row.use = peer.path->in_use();
        row.mtu = peer.mtu.size;
        row.rtt = peer.path->rtt();
        row.totals = peer.state->totals();
        row.trains = peer.trains->verdict();
        row.idle = !peer.wanted(now);
        if (peer.sending) {
            row.key_age = now - *peer.installed;
            row.suite = peer.sending->suite();
        }
        rows.push_back(row);
    }
    return rows;
}

} // namespace weave::daemon
