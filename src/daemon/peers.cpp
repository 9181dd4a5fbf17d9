// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/peers.hpp"

#include "crypto/init.hpp"

namespace weave::daemon {
namespace {

using dataplane::Injection;
using dataplane::kNoPeer;
using dataplane::Path;

/** Without a direct path for this long the mesh is told, so that others can relay. */
constexpr auto kTellAfter = std::chrono::milliseconds(1200);
/** A restart seen in gossip does not end a session younger than this: it is the new one. */
constexpr auto kFreshSession = std::chrono::seconds(3);
constexpr std::size_t kMaxLocals = 4096;

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
             session::PathSettings paths,
             PeerEvents events)
    : lanes_(lanes)
    , sessions_(settings, std::move(local), randomize)
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
        peer.state = std::make_shared<dataplane::PeerState>(lanes_.count());
        table_changed_ = true;
    }
    return peer;
}

void Peers::on_node(const mesh::NodeInfo& node, TimePoint now) {
    Peer& peer = make(node.id);
    const bool restarted = peer.epoch != 0 && peer.epoch < node.epoch;
    peer.epoch = node.epoch;
    if (restarted && peer.installed && now - *peer.installed > kFreshSession) {
        sessions_.close(node.id);
    }
    const bool wants = (node.flags & wire::Topology::kBridgePods) != 0;
    table_changed_ = table_changed_ || wants != peer.wants_broadcast;
    peer.wants_broadcast = wants;
    sessions_.set_peer(node.id, node.static_key);
    if (peer.candidates != node.endpoints) {
        peer.candidates = node.endpoints;
        peer.path->set_candidates(peer.candidates, now);
    }
    if (!peer.undirected_since && peer.path->in_use().kind != session::Use::Kind::direct) {
        peer.undirected_since = now;
    }
    sessions_.open(node.id, now);
    run_sessions(now);
}

void Peers::on_node_gone(const NodeId& node) {
    Peer* peer = find(node);
    if (peer == nullptr) {
        return;
    }
    sessions_.remove_peer(node);
    slots_[peer->index].reset();
    peers_.erase(node);
    table_changed_ = true;
}

void Peers::set_routes(const mesh::Routes& routes, TimePoint now) {
    for (auto& [node, peer] : peers_) {
        const auto route = routes.find(node);
        const bool relayed = route != routes.end() && route->second.hops > 1;
        const auto hop = relayed ? std::optional(route->second.next_hop) : std::nullopt;
        if (hop != peer.next_hop) {
            peer.next_hop = hop;
            peer.path->set_relay(hop, now);
            if (hop && !sessions_.usable(node)) {
                sessions_.open(node, now);
            }
        }
    }
}

dataplane::PeerIndex Peers::index_of(const NodeId& node) const {
    const auto entry = peers_.find(node);
    return entry == peers_.end() ? kNoPeer : entry->second.index;
}

void Peers::remember_local(const dataplane::Origin& origin) {
    if (origin.kind != dataplane::Origin::Kind::direct || origin.local.is_unspecified()) {
        return;
    }
    if (locals_.size() >= kMaxLocals && !locals_.contains(origin.endpoint)) {
        locals_.clear(); // a cache: what is in use is learned again with the next datagram
    }
    locals_[origin.endpoint] = origin.local;
}

std::optional<IpAddress> Peers::local_for(const Endpoint& to) const {
    const auto entry = locals_.find(to);
    return entry == locals_.end() ? std::nullopt : std::optional(entry->second);
}

void Peers::on_punt(const dataplane::Punt& punt, TimePoint now) {
    using Kind = dataplane::Punt::Kind;
    Peer* peer = find(punt.peer);
    switch (punt.kind) {
    case Kind::handshake:
        remember_local(punt.origin);
        sessions_.on_datagram(punt.view(), to_session(punt.origin), now);
        break;
    case Kind::need_session:
        if (peer != nullptr) {
            sessions_.open(peer->node, now);
        }
        break;
    case Kind::first_record:
        remember_local(punt.origin);
        sessions_.on_authenticated(punt.local_index, now);
        break;
    case Kind::roamed:
        remember_local(punt.origin);
        if (peer != nullptr) {
            peer->path->on_received(punt.origin.endpoint, now);
        }
        break;
    case Kind::probe_ack:
        if (peer != nullptr) {
            const bool direct = punt.origin.kind == dataplane::Origin::Kind::direct;
            peer->path->on_probe_ack(punt.id,
                                     direct ? std::optional(punt.origin.endpoint) : std::nullopt,
                                     punt.size,
                                     now);
            run_path(*peer, now);
        }
        break;
    case Kind::close:
        if (peer != nullptr) {
            sessions_.close(peer->node);
        }
        break;
    case Kind::too_big:
        if (peer != nullptr) {
            peer->path->on_large_packets(now);
        }
        break;
    case Kind::seal_limit:
        sessions_.on_key_usage(punt.local_index, crypto::kHardRecordLimit, now);
        break;
    }
    run_sessions(now);
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
                } else if constexpr (std::is_same_v<T, session::Install>) {
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
    auto data = std::make_shared<dataplane::DataSession>(peer->index, std::move(*action.keys));
    ++handshakes_;
    rekeys_ += peer->receiving.empty() ? 0U : 1U;
    peer->receiving[data->local_index()] = data;
    peer->installed = now;
    peer->heard = action.from;
    table_changed_ = true;
    if (action.from.kind == session::Origin::Kind::direct) {
        peer->path->on_received(action.from.endpoint, now);
    }
    if (action.send_now) {
        peer->sending = std::move(data);
        say_hello(*peer);
    }
    run_path(*peer, now);
}

void Peers::perform(const session::Promote& action) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    const auto entry = peer->receiving.find(action.local_index);
    if (entry != peer->receiving.end()) {
        peer->sending = entry->second;
        table_changed_ = true;
        say_hello(*peer);
    }
}

/** Publishes the table first: what is injected now has to find the session in it. */
void Peers::say_hello(const Peer& peer) {
    table_changed_ = false;
    events_.on_table_changed();
    lanes_.inject(0, [&](Injection& out) {
        out.kind = Injection::Kind::record;
        out.peer = peer.index;
        out.record = wire::RecordKind::padding;
    });
    lanes_.inject_all([&](Injection& out) {
        out.kind = Injection::Kind::flush_pending;
        out.peer = peer.index;
    });
}

void Peers::perform(const session::Retire& action) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    if (peer->sending && peer->sending->local_index() == action.local_index) {
        peer->sending.reset();
    }
    peer->receiving.erase(action.local_index);
    table_changed_ = true;
}

void Peers::perform(const session::SessionDown& action) {
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    log::info("event=session_down node={} reason={}",
              action.peer.fingerprint(),
              log::quoted(std::string{session::sentence(action.reason)}));
    peer->sending.reset();
    table_changed_ = true;
    if (action.reason == session::DownReason::gave_up) {
        lanes_.inject_all([&](Injection& out) {
            out.kind = Injection::Kind::drop_pending;
            out.peer = peer->index;
        });
    }
}

void Peers::send_probe(const Peer& peer, const session::SendProbe& probe) {
    if (!peer.sending) {
        return;
    }
    const Peer* hop = probe.direct || !peer.next_hop ? nullptr : find(*peer.next_hop);
    if (!probe.direct && hop == nullptr) {
        return;
    }
    lanes_.inject(0, [&](Injection& out) {
        out.kind = Injection::Kind::record;
        out.peer = peer.index;
        out.record = wire::RecordKind::probe;
        out.endpoint = probe.direct;
        out.source = probe.direct ? local_for(*probe.direct) : std::nullopt;
        out.via = hop == nullptr ? kNoPeer : hop->index;
        out.pad_to = probe.datagram_size;
        std::array<std::uint8_t, 8> id{};
        wire::store_u64(id.data(), probe.id);
        out.assign(id);
    });
}

void Peers::on_underlay(TimePoint now) {
    for (auto& [node, peer] : peers_) {
        fit_to_interface(peer, now);
        run_path(peer, now);
    }
    run_sessions(now);
}

/** By a relay it is the way to the next hop that leaves this host. */
void Peers::fit_to_interface(Peer& peer, TimePoint now) {
    const session::Use& use = peer.path->in_use();
    const Peer* hop = use.kind == session::Use::Kind::relay ? find(use.relay) : &peer;
    if (hop == nullptr || hop->path->in_use().kind != session::Use::Kind::direct) {
        return;
    }
    if (const std::uint16_t mtu = events_.interface_mtu(hop->path->in_use().direct); mtu != 0) {
        peer.path->set_interface_mtu(mtu, now);
    }
}

void Peers::run_path(Peer& peer, TimePoint now) {
    auto actions = peer.path->take_actions();
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const session::PathAction action = actions[i];
        if (const auto* probe = std::get_if<session::SendProbe>(&action)) {
            send_probe(peer, *probe);
        } else if (const auto* use = std::get_if<session::Use>(&action)) {
            log::info("event=path node={} use={} endpoint={}",
                      peer.node.fingerprint(),
                      use->kind == session::Use::Kind::direct  ? "direct"
                      : use->kind == session::Use::Kind::relay ? "relay"
                                                               : "none",
                      use->direct.text());
            fit_to_interface(peer, now);
            table_changed_ = true;
        } else if (const auto* mtu = std::get_if<session::Mtu>(&action)) {
            peer.mtu = mtu->size;
            table_changed_ = true;
        } else if (std::holds_alternative<session::PathDown>(action)) {
            peer.heard.reset();
            table_changed_ = true;
        }
        // What an action brought about comes behind it.
        for (session::PathAction& more : peer.path->take_actions()) {
            actions.push_back(std::move(more));
        }
    }
    watch_direct(peer, now);
}

/** Tells the mesh when the direct path is lost for good, or is back. */
void Peers::watch_direct(Peer& peer, TimePoint now) {
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
        events_.on_direct(peer.node, !direct);
    }
}

void Peers::feed_traffic(Peer& peer, TimePoint now) {
    const auto totals = peer.state->totals();
    peer.path->on_traffic(totals.last_rx, totals.last_tx);
    const std::uint64_t bytes = totals.tx_bytes - peer.seen_tx_bytes;
    const std::uint64_t packets = totals.tx_packets - peer.seen_tx_packets;
    if (packets > 0 && bytes / packets > 1000) {
        peer.path->on_large_packets(now);
    }
    peer.seen_tx_bytes = totals.tx_bytes;
    peer.seen_tx_packets = totals.tx_packets;
    if (peer.sending) {
        sessions_.on_key_usage(peer.sending->local_index(), peer.sending->most_sealed(), now);
    }
}

void Peers::tick(TimePoint now) {
    for (auto& [node, peer] : peers_) {
        feed_traffic(peer, now);
        peer.path->tick(now);
        run_path(peer, now);
        if (!sessions_.usable(node)) {
            sessions_.open(node, now);
        }
    }
    sessions_.tick(now);
    run_sessions(now);
}

} // namespace weave::daemon
