// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the control thread of a router does with its session machines.
#include "sim/plane.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

/** A session with who is watched no more, and has no frames, is kept for so long. */
constexpr Duration kLinger = 5s;
/** A restart seen in gossip does not end a session younger than this: it is the new one. */
constexpr Duration kFreshSession = 3s;

session::Settings settings_of(const PlaneSelf& self) {
    session::Settings settings;
    settings.lanes = self.lanes;
    return settings;
}

Bytes encode(const Frame& frame) {
    Bytes out(9);
    wire::store_u64(out.data(), frame.id);
    out[8] = frame.group ? 1 : 0;
    return out;
}

session::Local local_of(const PlaneSelf& self) {
    session::Local local;
    local.identity = self.identity;
    local.cluster_id.fill(7);
    // One for all: locked memory is dear.
    static const crypto::Locked<crypto::Key32> kSecret = [] {
        std::array<std::uint8_t, 32> bytes{};
        bytes.fill(0x51);
        return crypto::Key32(bytes);
    }();
    local.secrets.push_back({1, kSecret});
    local.boot_epoch = self.boot_epoch;
    local.suites = {crypto::Suite::chacha20poly1305};
    return local;
}

} // namespace

Plane::Plane(const PlaneSelf& self, PlanePorts ports)
    : self_(self)
    , ports_(std::move(ports))
    , sessions_(settings_of(self), local_of(self), ports_.random) {}

void Plane::on_node(const mesh::NodeInfo& info, TimePoint now) {
    if (Peer* peer = find(info.id)) {
        update(*peer, info, now);
    } else if (info.watched) {
        make(info, now);
        sessions().open(info.id, now);
    } else if (admitted_.contains(info.id)) {
        admit(info);
    }
    run(now);
}

void Plane::update(Peer& peer, const mesh::NodeInfo& info, TimePoint now) {
    const bool restarted = peer.epoch < info.epoch;
    peer.epoch = info.epoch;
    if (restarted && peer.installed && now - *peer.installed > kFreshSession) {
        sessions().close(info.id);
    }
    admit(info);
    if (peer.candidates != info.endpoints) {
        peer.candidates = info.endpoints;
        peer.path->set_candidates(peer.candidates, now);
        note_sizes(peer);
    }
    if (peer.watched && !info.watched) {
        // The other end may watch for a moment more. What never came about is not tried any longer.
        keep(peer, peer.sending && peer.path->up() ? now + kLinger : now);
    }
    watch(peer, info, now);
    if (info.watched) {
        sessions().open(info.id, now);
    }
    touch(peer);
}

void Plane::watch(Peer& peer, const mesh::NodeInfo& info, TimePoint now) {
    peer.watched = info.watched;
    peer.path->set_watch(info.leads ? session::Watch::leads : session::Watch::follows, now);
}

void Plane::on_gone(const NodeId& node, TimePoint now) {
    sessions().remove_peer(node);
    admitted_.erase(node);
    run(now);
    if (Peer* peer = find(node)) {
        drop(*peer);
    }
}

void Plane::set_routes(mesh::RoutesPtr routes, TimePoint now) {
    routes_ = std::move(routes);
    for (std::size_t index = 0; index < by_index_.size(); ++index) { // which may grow
        if (by_index_[index] != nullptr) {
            set_hop(*by_index_[index], now);
        }
    }
    run(now);
}

void Plane::use_up_keys(TimePoint now) {
    for (const Peer* peer : by_index_) {
        if (peer != nullptr && peer->sending) {
            sessions().on_key_usage(*peer->sending, crypto::kHardRecordLimit / 2, now);
        }
    }
    run(now);
}

void Plane::perform(const session::SendTo& action, TimePoint now) {
    if (action.reply_to) {
        perform(session::Reply{*action.reply_to, action.datagram}, now);
        return;
    }
    const Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    const session::Use& use = peer->path->in_use();
    if (use.kind == session::Use::Kind::direct && peer->sending) {
        ports_.send(use.direct, action.datagram, {});
        return;
    }
    for (const Endpoint& candidate : peer->candidates) {
        ports_.send(candidate, action.datagram, {});
    }
    if (peer->next_hop) {
        send_relayed(peer->node, *peer->next_hop, action.datagram, now);
    }
}

void Plane::perform(const session::Reply& action, TimePoint now) {
    if (action.to.kind == session::Origin::Kind::direct) {
        ports_.send(action.to.endpoint, action.datagram, {});
        return;
    }
    const auto node = ports_.node_at(action.to);
    if (const auto hop = node ? next_hop_of(*node) : std::nullopt) {
        send_relayed(*node, *hop, action.datagram, now);
    }
}

void Plane::perform(const session::Install& action, TimePoint now) {
    Peer* peer = meet(action.peer, now);
    if (peer == nullptr) {
        return;
    }
    const crypto::TransportKeys& made = *action.keys;
    Keys keys{action.peer, made.remote_index, {}, {}};
    for (const crypto::Key32& key : made.send) {
        keys.send.emplace_back(made.suite, crypto::Provider::sodium, key);
    }
    for (const crypto::Key32& key : made.receive) {
        keys.receive.push_back({crypto::OpeningKey(made.suite, crypto::Provider::sodium, key), {}});
    }
    keys_.insert_or_assign(made.local_index, std::move(keys));
    most_keys_ = std::max(most_keys_, ++peer->keys);
    peer->installed = now;
    touch(*peer);
    if (!action.send_now) {
        ports_.answered(action.peer, initiation_);
    }
    if (action.send_now) {
        if (action.from.kind == session::Origin::Kind::direct) {
            peer->path->on_received(action.from.endpoint, now);
        }
        peer->sending = made.local_index;
        peer->path->on_session(now);
        send_empty(*peer, wire::RecordKind::padding, now);
    }
}

void Plane::perform(const session::Promote& action, TimePoint now) {
    Peer* peer = find(action.peer);
    if (peer != nullptr && keys_.contains(action.local_index)) {
        peer->sending = action.local_index;
        peer->path->on_session(now);
        send_empty(*peer, wire::RecordKind::padding, now);
        touch(*peer);
    }
}

void Plane::perform(const session::Retire& action, TimePoint) {
    const std::size_t erased = keys_.erase(action.local_index);
    Peer* peer = find(action.peer);
    if (peer == nullptr) {
        return;
    }
    peer->keys -= erased;
    if (peer->sending == action.local_index) {
        peer->sending.reset();
    }
}

void Plane::perform(const session::SessionDown& action, TimePoint now) {
    Peer* peer = find(action.peer);
    if (peer == nullptr || action.reason == session::DownReason::peer_removed) {
        return;
    }
    peer->sending.reset();
    drop_waiting(*peer);
    if (peer->watched) {
        sessions().open(action.peer, now);
    } else if (action.reason == session::DownReason::closed) {
        note_unused(*peer, now); // whoever closes it has no use for it
    }
}

void Plane::perform(const session::Counted& action, TimePoint) {
    ports_.count(action.name);
}

bool Plane::ready(const NodeId& node) const {
    const auto peer = peers_.find(node);
    return peer != peers_.end() && peer->second.sending && peer->second.path->up();
}

const session::PathMonitor* Plane::path(const NodeId& node) const {
    const auto peer = peers_.find(node);
    return peer == peers_.end() ? nullptr : peer->second.path.get();
}

std::optional<std::uint32_t> Plane::sealing_for(const NodeId& node) const {
    const auto peer = peers_.find(node);
    if (peer == peers_.end() || !peer->second.sending) {
        return std::nullopt;
    }
    return keys_.at(*peer->second.sending).remote_index;
}

PlaneSizes Plane::sizes() const {
    PlaneSizes out;
    out.sessions = sessions_.sizes();
    out.path = most_of_path_;
    out.pending = pending_ ? pending_->sizes() : out.pending;
    return out;
}

std::vector<dataplane::PeerIndex> Plane::group_takers() const {
    struct Entry {
        bool known = false;
        bool wants_broadcast = false;

        [[nodiscard]] bool vacant() const { return !known; }
    };

    std::vector<Entry> table(by_index_.size());
    for (const Peer* peer : by_index_) {
        if (peer != nullptr) {
            table[peer->index] = {true, peer->path->up()};
        }
    }
    return dataplane::group_takers(table);
}

void Plane::send_frame(const std::optional<NodeId>& to, const Frame& frame, TimePoint now) {
    dataplane::Destination destination;
    destination.group = !to;
    destination.routed = to.has_value();
    if (const Peer* owner = to ? meet(*to, now) : nullptr) {
        destination.owner = owner->index;
    }
    if (!takers_) {
        takers_ = group_takers();
    }
    std::span<const dataplane::PeerIndex> peers;
    if (const auto reason = dataplane::recipients(destination, *takers_, peers)) {
        ports_.count(name(*reason));
        return;
    }
    for (const dataplane::PeerIndex index : peers) {
        send_or_wait(*find(index), encode(frame), now);
    }
    run(now);
}

} // namespace weave::sim
