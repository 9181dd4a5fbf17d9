// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/peers.hpp"

#include "crypto/init.hpp"

namespace weave::daemon {
namespace {

using dataplane::Injection;
using dataplane::kNoPeer;

/** A restart seen in gossip does not end a session younger than this: it is the new one. */
constexpr auto kFreshSession = std::chrono::seconds(3);
/** A peer without a session is tried for as long as it is known; longer than an attempt takes to
 * give up, so that it does, and what waits is dropped. */
constexpr auto kOpenAgain = std::chrono::seconds(100);
/** Handshakes started between two ticks. */
constexpr unsigned kOpensPerTick = 64;

void randomize(ByteSpan out) {
    crypto::random_bytes(out);
}

session::Origin to_session(const dataplane::Origin& origin) {
    session::Origin out;
    out.kind = origin.kind == dataplane::Origin::Kind::direct ? session::Origin::Kind::direct
                                                              : session::Origin::Kind::relayed;
    out.endpoint = origin.endpoint;
    out.source = origin.source;
    out.lane = origin.lane;
    return out;
}

} // namespace

Peers::Peers(Lanes& lanes,
             session::Settings settings,
             session::Local local,
             crypto::Ciphers ciphers,
             session::PathSettings paths,
             PeerEvents events)
    : lanes_(lanes)
    , sessions_(settings, std::move(local), randomize)
    , ciphers_(std::move(ciphers))
    , path_settings_(paths)
    , events_(std::move(events)) {}

Peers::Peer* Peers::find(const NodeId& node) {
    const auto entry = peers_.find(node);
    return entry == peers_.end() ? nullptr : &entry->second;
}

Peers::Peer* Peers::find(dataplane::PeerIndex index) {
    return index < slots_.size() && slots_[index] ? find(*slots_[index]) : nullptr;
}

Peers::Peer* Peers::find(const RelayAddress& address) {
    for (auto& [node, peer] : peers_) {
        if (relay_address(node) == address) {
            return &peer;
        }
    }
    return nullptr;
}

Peers::Peer& Peers::make(const NodeId& node) {
    auto [entry, inserted] = peers_.try_emplace(node);
    Peer& peer = entry->second;
    if (inserted) {
        const auto slot = std::find(slots_.begin(), slots_.end(), std::nullopt);
        peer.index = static_cast<dataplane::PeerIndex>(slot - slots_.begin());
        if (slot == slots_.end()) {
            slots_.emplace_back(node);
        } else {
            *slot = node;
        }
        peer.node = node;
        peer.path = std::make_unique<session::PathMonitor>(path_settings_, randomize);
        peer.trains =
            std::make_unique<session::TrainProbe>(session::TrainProbeSettings{}, randomize);
        peer.state = std::make_shared<dataplane::PeerState>(lanes_.count());
        touch();
    }
    return peer;
}

void Peers::on_node(const mesh::NodeInfo& node, TimePoint now) {
    Peer& peer = make(node.id);
    peer.look_at = {};
    const bool restarted = peer.epoch != 0 && peer.epoch < node.epoch;
    peer.epoch = node.epoch;
    if (restarted && peer.installed && now - *peer.installed > kFreshSession) {
        const TimePoint used_until = peer.used_until;
        sessions_.close(node.id);
        run_sessions(now);
        peer.used_until = used_until; // packets go to the node, whichever life it lives
    }
    const bool wants = (node.flags & wire::Topology::kBridgePods) != 0;
    if (std::exchange(peer.wants_broadcast, wants) != wants) {
        touch();
    }
    sessions_.set_peer(node.id, node.static_key, node.epoch);
    if (peer.candidates != node.endpoints) {
        peer.candidates = node.endpoints;
        peer.path->set_candidates(peer.candidates, now);
    }
    peer.leads = node.leads;
    if (!peer.wanted(now) && restarted && peer.told_unreachable == true) {
        // What was true of its earlier life is nothing to go by, and nobody tries it now.
        peer.told_unreachable.reset();
        events_.on_direct(node.id, false);
    }
    const bool wanted = peer.wanted(now);
    if (std::exchange(peer.watched, node.watched) && !peer.watched && peer.path->up()) {
        peer.used_until = std::max(peer.used_until, now + kLinger);
    }
    peer.path->set_watch(peer.leads ? session::Watch::leads : session::Watch::follows, now);
    if (!wanted && peer.wanted(now)) {
        begin(peer, now);
    } else if (peer.wanted(now)) {
        open(peer, now);
    }
    run_sessions(now);
}

/** Now, or with one of the next ticks when many are opened at once, as when a node joins a large
 * mesh: rings between threads have room for some hundred answers. */
void Peers::open(Peer& peer, TimePoint now) {
    if (opened_ >= kOpensPerTick) {
        peer.open_again = peer.look_at = {};
        return;
    }
    opened_ += sessions_.open(peer.node, now) ? 1U : 0U;
    peer.open_again = now + kOpenAgain;
}

/** Lanes keep what waits for a peer by its slot: nobody gets the slot before all have forgotten it.
 */
void Peers::release_slot(dataplane::PeerIndex index) {
    const bool told = lanes_.inject_all([&](Injection& out) {
        out.kind = Injection::Kind::drop_pending;
        out.peer = index;
    });
    if (told) {
        slots_[index].reset();
    } else {
        slots_[index] = NodeId{};
        releasing_.push_back(index);
    }
}

void Peers::on_node_gone(const NodeId& node) {
    Peer* peer = find(node);
    if (peer == nullptr) {
        return;
    }
    sessions_.remove_peer(node);
    const dataplane::PeerIndex index = peer->index;
    peers_.erase(node);
    touch();
    events_.publish_now(); // before lanes forget the slot, or one may queue for it again
    release_slot(index);
}

bool Peers::reaches(const NodeId& node) const {
    const auto entry = peers_.find(node);
    return entry != peers_.end() && entry->second.path->up();
}

dataplane::PeerIndex Peers::index_of(const NodeId& node) const {
    const auto entry = peers_.find(node);
    return entry == peers_.end() ? kNoPeer : entry->second.index;
}

void Peers::on_punt(const dataplane::Punt& punt, TimePoint now) {
    using Kind = dataplane::Punt::Kind;
    Peer* peer = find(punt.peer);
    if (peer != nullptr) {
        peer->look_at = {};
    }
    switch (punt.kind) {
    case Kind::handshake:
        // Of a stranger, perhaps: good for the answer and no longer.
        answering_ = punt.origin;
        sessions_.on_datagram(punt.view(), to_session(punt.origin), now);
        run_sessions(now);
        answering_.reset();
        break;
    case Kind::need_session:
        if (peer != nullptr) {
            want(*peer, now);
            sessions_.open(peer->node, now);
        }
        break;
    case Kind::first_record:
        if (peer != nullptr) {
            on_first_record(*peer, punt, now);
        }
        break;
    case Kind::roamed:
        remember_local(punt.origin);
        if (peer != nullptr && punt.origin.kind == dataplane::Origin::Kind::direct) {
            peer->path->on_received(punt.origin.endpoint, now);
        } else if (peer != nullptr) {
            peer->path->on_relayed(now);
        }
        break;
    case Kind::probe_ack:
        if (peer != nullptr && !peer->trains->on_probe_ack(punt.id)) {
            const bool direct = punt.origin.kind == dataplane::Origin::Kind::direct;
            peer->path->on_probe_ack(punt.id,
                                     direct ? std::optional(punt.origin.endpoint) : std::nullopt,
                                     punt.size,
                                     now);
            run_path(*peer, now);
        }
        break;
    case Kind::close:
        sessions_.on_peer_closed(punt.local_index);
        break;
    case Kind::too_big:
        if (peer != nullptr) {
            peer->path->on_large_packets(now);
        }
        break;
    case Kind::path_too_big:
        if (peer != nullptr) {
            peer->path->on_too_big(now);
            run_path(*peer, now);
        }
        break;
    case Kind::seal_limit:
        sessions_.on_key_usage(punt.local_index, crypto::kHardRecordLimit, now);
        break;
    case Kind::new_source:
        return; // of pods, not of peers
    }
    run_sessions(now);
}

/** Only now it is proved who sends under these keys, and from where: a handshake's first message
 * may be a replay from anywhere. */
void Peers::on_first_record(Peer& peer, const dataplane::Punt& punt, TimePoint now) {
    remember_local(punt.origin);
    peer.heard = to_session(punt.origin);
    touch();
    if (punt.origin.kind == dataplane::Origin::Kind::direct) {
        peer.path->on_received(punt.origin.endpoint, now);
    }
    sessions_.on_authenticated(punt.local_index, now);
    run_path(peer, now);
}

void Peers::run_sessions(TimePoint now) {
    for (session::Action& action : sessions_.take_actions()) {
        std::visit(
            [&](auto& each) {
                using T = std::decay_t<decltype(each)>;
                if constexpr (std::is_same_v<T, session::Counted>) {
                    std::string name{each.name};
                    std::replace(name.begin(), name.end(), '.', '_');
                    ++counted_[name];
                } else if constexpr (std::is_same_v<T, session::Install> ||
                                     std::is_same_v<T, session::Promote>) {
                    perform(each, now);
                } else {
                    perform(each);
                }
            },
            action);
    }
    if (table_changed_) {
        table_changed_ = false;
        events_.on_table_changed();
    }
}

void Peers::send_datagram(const Endpoint& to, ByteView bytes) {
    lanes_.inject(0, [&](Injection& out) {
        out.kind = Injection::Kind::datagram;
        out.endpoint = to;
        out.source = local_for(to);
        out.assign(bytes);
    });
}

void Peers::send_relayed(const NodeId& via, dataplane::PeerIndex destination, ByteView bytes) {
    const Peer* hop = find(via);
    if (hop == nullptr || destination == kNoPeer) {
        return;
    }
    lanes_.inject(0, [&](Injection& out) {
        out.kind = Injection::Kind::relayed;
        out.peer = destination;
        out.via = hop->index;
        out.assign(bytes);
    });
}

void Peers::answer(const session::Origin& to, ByteView bytes) {
    if (to.kind == session::Origin::Kind::direct) {
        send_datagram(to.endpoint, bytes);
        return;
    }
    const Peer* peer = find(to.source);
    if (peer != nullptr && peer->next_hop) {
        send_relayed(*peer->next_hop, peer->index, bytes);
    }
}

void Peers::perform(session::SendTo& action) {
    if (action.reply_to) {
        answer(*action.reply_to, action.datagram);
        return;
    }
    const Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    const session::Use& use = peer->path->in_use();
    if (use.kind == session::Use::Kind::direct && peer->sending) {
        send_datagram(use.direct, action.datagram);
        return;
    }
    // v6 first: where both work the responder answers the first that arrives.
    std::vector<Endpoint> all = peer->candidates;
    std::stable_partition(
        all.begin(), all.end(), [](const Endpoint& e) { return e.address.is_v6(); });
    for (const Endpoint& candidate : all) {
        send_datagram(candidate, action.datagram);
    }
    if (peer->next_hop) {
        send_relayed(*peer->next_hop, peer->index, action.datagram);
    }
}

void Peers::perform(session::Reply& action) {
    answer(action.to, action.datagram);
}

void Peers::perform(session::Install& action, TimePoint now) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    auto data = data_session(peer->index, std::move(*action.keys));
    data->set_lifetime({action.seal_until, action.open_until});
    data->set_features(action.features);
    ++handshakes_;
    rekeys_ += peer->receiving.empty() ? 0U : 1U;
    peer->receiving[data->local_index()] = data;
    touch();
    if (!peer->wanted(now)) {
        want(*peer, now);
    }
    if (action.send_now) {
        peer->installed = now;
        const bool direct = action.from.kind == session::Origin::Kind::direct;
        peer->heard = action.from;
        if (answering_ && direct) {
            remember_local(*answering_); // the handshake proves who sent it
        }
        if (direct) {
            peer->path->on_received(action.from.endpoint, now);
        }
        peer->sending = std::move(data);
        peer->path->on_session(now);
        say_hello(*peer);
    }
    run_path(*peer, now);
}

void Peers::perform(const session::Promote& action, TimePoint now) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    const auto entry = peer->receiving.find(action.local_index);
    if (entry != peer->receiving.end()) {
        peer->sending = entry->second;
        peer->installed = now;
        peer->look_at = {};
        touch();
        peer->path->on_session(now);
        say_hello(*peer);
    }
}

void Peers::say_goodbye() {
    for (const auto& [node, peer] : peers_) {
        if (peer.sending) {
            lanes_.inject(0, [&, index = peer.index](Injection& out) {
                out.kind = Injection::Kind::record;
                out.peer = index;
                out.record = wire::RecordKind::close;
            });
        }
    }
}

void Peers::touch() {
    table_changed_ = true;
    table_.reset();
}

/** Once lanes have a table with the session in it: many that come at once share one. */
void Peers::say_hello(const Peer& peer) {
    touch();
    greeting_.push_back(peer.node);
}

void Peers::perform(const session::Retire& action) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    if (peer->sending && peer->sending->local_index() == action.local_index) {
        peer->sending.reset();
        peer->open_again = peer->look_at = {};
    }
    peer->receiving.erase(action.local_index);
    touch();
}

void Peers::perform(const session::SessionDown& action) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    if (rate_.allow("down " + action.peer.fingerprint(), Clock::now())) {
        std::string reason{session::sentence(action.reason)};
        if (action.hint) {
            reason += fmt::format("; last refused with: {} (not authenticated)",
                                  session::sentence(*action.hint));
        }
        log::info(
            "event=session_down node={} reason={}", action.peer.fingerprint(), log::quoted(reason));
    }
    peer->sending.reset();
    touch();
    if (action.reason == session::DownReason::closed) {
        peer->used_until = {}; // whoever closes it has no use for it; what comes next opens one
    }
    if (action.reason != session::DownReason::gave_up) {
        peer->open_again = peer->look_at = {};
    } else {
        lanes_.inject_all([&](Injection& out) {
            out.kind = Injection::Kind::drop_pending;
            out.peer = peer->index;
        });
    }
}

} // namespace weave::daemon
