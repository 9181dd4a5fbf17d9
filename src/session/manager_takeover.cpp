// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Sessions go from one process to the next.
#include "session/manager.hpp"
#include "session/manager_state.hpp"

#include <algorithm>

namespace weave::session {

std::vector<PeerSessions> Manager::sessions() const {
    std::vector<PeerSessions> out;
    for (const auto& [node, peer] : state_->peers) {
        out.push_back({node,
                       peer.static_key,
                       peer.greatest,
                       peer.greatest_at,
                       peer.current,
                       peer.next,
                       peer.old});
    }
    return out;
}

std::uint64_t Manager::handshake_counter() const {
    return state_->handshake_counter;
}

void Manager::take_over(const std::vector<PeerSessions>& peers, std::uint64_t handshake_counter) {
    state_->handshake_counter = handshake_counter;
    for (const PeerSessions& each : peers) {
        set_peer(each.node, each.static_key, each.greatest.first);
        State::Peer* peer = state_->find(each.node);
        if (peer == nullptr) {
            continue;
        }
        peer->greatest = each.greatest;
        peer->greatest_at = each.greatest_at;
        peer->current = each.current;
        peer->next = each.next;
        peer->old = each.old;
        const auto keep_index = [&](const SessionAge& session) {
            state_->indexes.emplace(session.local_index, each.node);
        };
        for (const auto* session : {&peer->current, &peer->next}) {
            if (*session) {
                keep_index(**session);
            }
        }
        std::for_each(peer->old.begin(), peer->old.end(), keep_index);
        state_->plan(*peer);
    }
}

void Manager::renew(TimePoint now) {
    /** More initiations than a process that failed at once can have sent. */
    constexpr std::uint64_t kSurelyUnused = 1U << 20;
    state_->handshake_counter += kSurelyUnused;
    std::vector<NodeId> nodes;
    for (const auto& [node, peer] : state_->peers) {
        nodes.push_back(node);
    }
    for (const NodeId& node : nodes) {
        close(node);
        open(node, now);
    }
}

} // namespace weave::session
