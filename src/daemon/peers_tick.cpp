// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What is due at peers, and what lanes have seen of them.
#include "daemon/peers.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using dataplane::Injection;

/** We send and hear nothing for this long: the peer may have lost its keys. */
constexpr auto kSuspectAfter = std::chrono::seconds(10);
/** What lanes alone know of, such as datagrams that cannot be opened, is looked for this often. */
constexpr auto kLookAgain = std::chrono::seconds(1);

} // namespace

void Peers::flush(Peer& peer) {
    if (peer.flush_owed) {
        peer.flush_owed = !lanes_.inject_all([&](Injection& out) {
            out.kind = Injection::Kind::flush_pending;
            out.peer = peer.index;
        });
    }
}

void Peers::feed_traffic(Peer& peer, TimePoint now) {
    const auto totals = peer.state->totals();
    peer.path->on_traffic(totals.last_rx, totals.last_tx, now);
    watch_use(peer, totals, now);
    if (std::exchange(peer.seen_large, totals.tx_large) != totals.tx_large) {
        peer.path->on_large_packets(now);
    }
    watch_session(peer, totals, now);
}

/** What lanes see of a session and only the session machine can mend. */
void Peers::watch_session(const Peer& peer,
                          const dataplane::PeerState::Totals& totals,
                          TimePoint now) {
    for (const auto& [index, data] : peer.receiving) {
        sessions_.on_failed_opens(index, data->failures(), now);
    }
    if (!peer.sending) {
        return;
    }
    sessions_.on_key_usage(peer.sending->local_index(), peer.sending->most_sealed(), now);
    // A peer that has the keys answers probes at least.
    const TimePoint heard = std::max({totals.last_rx, *peer.installed, peer.listening_since});
    if (totals.last_tx > heard && now - heard >= kSuspectAfter) {
        sessions_.suspect(peer.node, now);
    }
}

/** A lane that is idle does not look at what waits in it, and all lanes share the room. */
void Peers::drop_stale(Peer& peer, TimePoint now) {
    if (!peer.state->waiting().occupied() || now < peer.next_drop) {
        return;
    }
    peer.next_drop = now + std::chrono::seconds(1);
    lanes_.inject_all([&](Injection& out) {
        out.kind = Injection::Kind::drop_stale;
        out.peer = peer.index;
    });
}

void Peers::look(Peer& peer, TimePoint now) {
    flush(peer);
    feed_traffic(peer, now);
    if (peer.wanted(now)) {
        peer.path->tick(now);
        run_path(peer, now);
        run_trains(peer, now);
        if (!sessions_.usable(peer.node) && now >= peer.open_again) {
            open(peer, now);
        }
    } else if (!peer.receiving.empty()) {
        close(peer, now);
    }
    drop_stale(peer, now);
    peer.look_at = next_look(peer, now);
}

/** When something is due at the peer, as far as is known now. */
TimePoint Peers::next_look(const Peer& peer, TimePoint now) const {
    if (peer.flush_owed) {
        return now;
    }
    if (!peer.wanted(now)) {
        return peer.state->waiting().occupied() ? now + kLookAgain : TimePoint::max();
    }
    if (!sessions_.usable(peer.node) && now >= peer.open_again) {
        return now;
    }
    TimePoint due = std::min(now + kLookAgain, peer.path->next_deadline());
    if (peer.sending && peer.mtu.settled) {
        due = std::min(due, peer.trains->next_deadline());
    }
    if (peer.undirected_since && peer.told_unreachable != true) {
        due = std::min(due, *peer.undirected_since + kTellAfter);
    }
    return due;
}

void Peers::tick(TimePoint now) {
    for (const dataplane::PeerIndex index : std::exchange(releasing_, {})) {
        release_slot(index);
    }
    opened_ = trains_sent_ = 0;
    for (auto& [node, peer] : peers_) {
        if (peer.state->take_sent() || now >= peer.look_at) {
            look(peer, now);
        }
    }
    sessions_.tick(now);
    run_sessions(now);
}

} // namespace weave::daemon
