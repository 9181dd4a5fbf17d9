// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Sessions, keys and paths go from one process to the next.
#include "daemon/peers.hpp"

namespace weave::daemon {

void Peers::describe(Handover& handover) const {
    handover.handshake_counter = sessions_.handshake_counter();
    handover.sessions = sessions_.sessions();
    handover.locals = locals_;
    for (const auto& [node, peer] : peers_) {
        HandedPeer& out = handover.peers.emplace_back();
        out.node = node;
        out.epoch = peer.epoch;
        out.path = peer.path->state();
        for (const auto& [index, data] : peer.receiving) {
            out.keys.push_back({data->keys().clone(), data->lifetime(), data->features()});
        }
        if (peer.sending) {
            out.sending = peer.sending->local_index();
        }
        out.installed = peer.installed;
        out.told_unreachable = peer.told_unreachable;
    }
}

HandoverProgress Peers::hand_over() {
    HandoverProgress out;
    for (const auto& [node, peer] : peers_) {
        for (const auto& [index, data] : peer.receiving) {
            out.emplace(index, data->hand_over());
        }
    }
    return out;
}

void Peers::renew(TimePoint now) {
    sessions_.renew(now);
    run_sessions(now);
}

void Peers::take_over(Handover&& handover, TimePoint now) {
    sessions_.take_over(handover.sessions, handover.handshake_counter);
    locals_ = std::move(handover.locals);
    for (HandedPeer& handed : handover.peers) {
        Peer& peer = make(handed.node);
        peer.epoch = handed.epoch;
        peer.path->take_over(handed.path, now);
        peer.mtu = peer.path->state().mtu;
        if (handed.path.use.kind == session::Use::Kind::relay) {
            peer.next_hop = handed.path.use.relay;
        }
        peer.installed = handed.installed;
        peer.listening_since = now;
        peer.told_unreachable = handed.told_unreachable;
        if (!handed.keys.empty()) {
            peer.used_until = now + kIdle;
        }
        if (handed.path.use.kind != session::Use::Kind::direct) {
            peer.undirected_since = now;
        }
        for (HandedKeys& keys : handed.keys) {
            auto data = data_session(peer.index, std::move(keys.keys));
            data->set_lifetime(keys.lifetime);
            data->set_features(keys.features);
            if (handed.sending == data->local_index()) {
                peer.sending = data;
            }
            peer.receiving[data->local_index()] = std::move(data);
        }
    }
    touch();
}

void Peers::take_over(const HandoverProgress& progress) {
    // The word that a lane of the predecessor had for its control thread may have been lost.
    for (const auto& [index, keys] : progress) {
        if (keys.confirmed) {
            sessions_.on_authenticated(index, Clock::now());
        }
    }
    for (auto& [node, peer] : peers_) {
        std::erase_if(peer.receiving, [&](const auto& entry) {
            const auto found = progress.find(entry.first);
            return found == progress.end() || !entry.second->take_over(found->second);
        });
        if (peer.sending && !peer.receiving.contains(peer.sending->local_index())) {
            peer.sending.reset();
        }
    }
    touch();
    run_sessions(Clock::now());
}

} // namespace weave::daemon
