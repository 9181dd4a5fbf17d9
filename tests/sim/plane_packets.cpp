// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the lanes of a router do, one datagram at a time: seal, open, relay.
#include "sim/plane.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

constexpr std::size_t kPendingMemory = 1024 * 1024;

Bytes record(wire::RecordKind kind, ByteView body) {
    Bytes out(wire::kRecordHeaderSize);
    wire::put_record_header(out.data(), kind, 0, static_cast<std::uint16_t>(body.size()));
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

Bytes number(std::uint64_t value) {
    Bytes out(8);
    wire::store_u64(out.data(), value);
    return out;
}

} // namespace

Bytes Plane::seal(Keys& keys, ByteView plain) {
    const std::size_t lane = plain.size() % keys.send.size();
    Bytes out(wire::kDataOverhead + plain.size());
    wire::put_data_header(out.data(), keys.remote_index, static_cast<unsigned>(lane));
    crypto::SealItem item;
    item.in = plain.data();
    item.len = static_cast<std::uint32_t>(plain.size());
    item.out = out.data() + wire::kDataHeaderSize;
    item.counter_field = out.data() + wire::kDataCounterOffset;
    item.ad = out.data();
    item.ad_len = wire::kDataHeaderSize;
    return keys.send[lane].seal_batch({&item, 1}) ? out : Bytes{};
}

void Plane::send_relayed(const NodeId& to, const NodeId& via, ByteView datagram, TimePoint now) {
    const RelayAddress self = relay_address(self_.id);
    hand_to_hop(via, wire::kRelayTtl, relay_address(to), self, datagram, {}, now);
}

/** Wraps for the next hop, which is reached directly or not at all. */
void Plane::hand_to_hop(const NodeId& via,
                        std::uint8_t ttl,
                        const RelayAddress& to,
                        const RelayAddress& from,
                        ByteView inner,
                        const Trace& trace,
                        TimePoint now) {
    Peer* hop = meet(via, now);
    if (hop == nullptr) {
        return;
    }
    hop->last_used = now;
    if (!hop->sending || hop->path->in_use().kind != session::Use::Kind::direct) {
        sessions().open(via, now);
        return;
    }
    hop->last_sealed = now;
    Keys& keys = keys_.at(*hop->sending);
    Bytes out(wire::kRelayHeaderSize);
    wire::put_relay_header(out.data(), keys.remote_index, 0, ttl, to, from);
    out.insert(out.end(), inner.begin(), inner.end());
    const std::size_t authenticated = out.size();
    out.resize(authenticated + wire::kTagSize);
    crypto::SealItem item;
    item.in = item.out = out.data() + authenticated;
    item.counter_field = out.data() + wire::kDataCounterOffset;
    item.ad = out.data();
    item.ad_len = static_cast<std::uint32_t>(authenticated);
    if (keys.send[0].seal_batch({&item, 1})) {
        ports_.send(hop->path->in_use().direct, std::move(out), trace);
    }
}

std::optional<Plane::Way> Plane::way_in_use(const Peer& peer) const {
    const session::Use& use = peer.path->in_use();
    switch (use.kind) {
    case session::Use::Kind::direct:
        return Way{use.direct, {}};
    case session::Use::Kind::relay:
        return Way{std::nullopt, use.relay};
    case session::Use::Kind::none:
        break;
    }
    return std::nullopt;
}

void Plane::send_record(Peer& peer, const Way& way, Keys& keys, ByteView plain, TimePoint now) {
    Bytes sealed = seal(keys, plain);
    peer.last_sealed = now;
    if (way.direct) {
        ports_.send(*way.direct, std::move(sealed), {});
    } else {
        send_relayed(peer.node, way.via, sealed, now);
    }
}

/** The first record under new keys tells the peer that we have them. */
void Plane::send_empty(Peer& peer, wire::RecordKind kind, TimePoint now) {
    Keys& keys = keys_.at(*peer.sending);
    if (const auto way = way_in_use(peer)) {
        send_record(peer, *way, keys, record(kind, {}), now);
    }
}

void Plane::send_probe(Peer& peer, const session::SendProbe& probe, TimePoint now) {
    if (!peer.sending || (!probe.direct && !peer.next_hop)) {
        return;
    }
    Bytes plain = record(wire::RecordKind::probe, number(probe.id));
    const Way way = probe.direct ? Way{probe.direct, {}} : Way{std::nullopt, *peer.next_hop};
    const std::size_t around = 28 + wire::kDataOverhead + (probe.direct ? 0 : wire::kRelayOverhead);
    if (probe.datagram_size > around + plain.size() + wire::kRecordHeaderSize) {
        const Bytes padding(probe.datagram_size - around - plain.size() - wire::kRecordHeaderSize);
        const Bytes rest = record(wire::RecordKind::padding, padding);
        plain.insert(plain.end(), rest.begin(), rest.end());
    }
    send_record(peer, way, keys_.at(*peer.sending), plain, now);
}

void Plane::send_or_wait(Peer& peer, const Bytes& frame, TimePoint now) {
    peer.last_used = now;
    touch(peer);
    const auto way = way_in_use(peer);
    if (!way || !peer.sending) {
        if (!pending_) {
            pending_ = std::make_unique<dataplane::PendingFrames>(kPendingMemory);
        }
        pending_->drop_stale(peer.index, now);
        pending_->add(peer.index, peer.state, {}, frame, now);
        peer.waiting = true;
        sessions().open(peer.node, now);
        return;
    }
    send_record(peer, *way, keys_.at(*peer.sending), record(wire::RecordKind::frame, frame), now);
    peer.last_sent = now;
    peer.path->on_traffic(peer.last_received, peer.last_sent, now);
}

void Plane::drop_waiting(const Peer& peer) {
    if (pending_) {
        pending_->drop_all(peer.index);
    }
}

/** Sends what waits, each frame once. */
void Plane::flush(Peer& peer, TimePoint now) {
    if (!peer.waiting || !way_in_use(peer) || !peer.sending) {
        return;
    }
    peer.waiting = false;
    pending_->drop_stale(peer.index, now);
    Bytes buffer(2048);
    for (std::size_t left = pending_->count(peer.index); left > 0; --left) {
        const auto waiting = pending_->take(peer.index, buffer);
        send_or_wait(peer, {waiting->bytes.begin(), waiting->bytes.end()}, now);
    }
}

void Plane::on_datagram(Bytes bytes, const Endpoint& from, const Trace& trace, TimePoint now) {
    Arrival arrival;
    arrival.origin.endpoint = from;
    arrival.trace = &trace;
    dispatch(std::move(bytes), arrival, now);
    run(now);
}

void Plane::dispatch(Bytes bytes, const Arrival& arrival, TimePoint now) {
    if (wire::is_data(bytes)) {
        take_data(bytes, arrival, now);
    } else if (wire::is_relay(bytes) && arrival.origin.kind == session::Origin::Kind::direct) {
        take_relay(bytes, arrival, now);
    } else {
        if (wire::datagram_type(bytes) == wire::DatagramType::init) {
            admit_sender(arrival.origin);
        }
        initiation_ = bytes;
        sessions().on_datagram(bytes, arrival.origin, now);
        run_sessions(now);
    }
}

Plane::Receiver* Plane::receiver_of(ByteView bytes) {
    const std::uint32_t index = wire::data_receiver(bytes);
    const auto keys = keys_.find(wire::session_of(index));
    const unsigned lane = wire::lane_of(index);
    if (keys == keys_.end() || lane >= keys->second.receive.size()) {
        return nullptr;
    }
    return &keys->second.receive[lane];
}

void Plane::take_data(ByteView bytes, const Arrival& arrival, TimePoint now) {
    Receiver* receiver = receiver_of(bytes);
    const std::uint64_t counter = wire::data_counter(bytes);
    if (receiver == nullptr || !receiver->window.check(counter)) {
        ports_.count(receiver == nullptr ? "plane_unknown_receiver" : "plane_replayed");
        return;
    }
    Bytes plain(bytes.size() - wire::kDataOverhead);
    crypto::OpenItem item;
    item.in = bytes.data() + wire::kDataHeaderSize;
    item.len = static_cast<std::uint32_t>(bytes.size() - wire::kDataHeaderSize);
    item.out = plain.data();
    item.counter = counter;
    item.ad = bytes.data();
    item.ad_len = wire::kDataHeaderSize;
    receiver->key.open_batch({&item, 1});
    if (!item.ok) {
        ports_.count("plane_not_authentic");
        return;
    }
    receiver->window.commit(counter);
    const std::uint32_t index = wire::session_of(wire::data_receiver(bytes));
    Keys& keys = keys_.at(index);
    if (Peer* peer = find(keys.peer)) {
        take_records(plain, index, keys, arrival, now);
        note_opened(index, keys, now);
        note_arrival(*peer, arrival, now);
    }
}

void Plane::note_opened(std::uint32_t index, Keys& keys, TimePoint now) {
    if (!std::exchange(keys.heard, true)) {
        sessions().on_authenticated(index, now);
    }
}

void Plane::note_arrival(Peer& peer, const Arrival& arrival, TimePoint now) {
    touch(peer);
    peer.last_received = now;
    peer.path->on_traffic(peer.last_received, peer.last_sent, now);
    const session::Use& use = peer.path->in_use();
    if (arrival.origin.kind == session::Origin::Kind::direct &&
        (use.kind != session::Use::Kind::direct || use.direct != arrival.origin.endpoint)) {
        peer.path->on_received(arrival.origin.endpoint, now);
        note_sizes(peer);
    } else if (arrival.origin.kind == session::Origin::Kind::relayed &&
               use.kind == session::Use::Kind::direct) {
        peer.path->on_relayed(now);
    }
}

void Plane::take_records(
    ByteSpan plain, std::uint32_t index, Keys& keys, const Arrival& arrival, TimePoint now) {
    wire::RecordWalker walker{plain};
    wire::RecordSpan span;
    Peer& peer = *find(keys.peer);
    const bool direct = arrival.origin.kind == session::Origin::Kind::direct;
    while (walker.next(span)) {
        switch (static_cast<wire::RecordKind>(span.kind)) {
        case wire::RecordKind::frame:
            peer.last_used = now;
            ports_.deliver(keys.peer, {wire::load_u64(span.body.data()), span.body[8] != 0});
            break;
        case wire::RecordKind::probe: {
            Bytes body(span.body.begin(), span.body.end());
            body.resize(wire::kProbeAckBodySize);
            const Way back =
                direct ? Way{arrival.origin.endpoint, {}} : Way{std::nullopt, arrival.hop};
            send_record(peer, back, keys, record(wire::RecordKind::probe_ack, body), now);
            break;
        }
        case wire::RecordKind::probe_ack:
            peer.path->on_probe_ack(wire::load_u64(span.body.data()),
                                    direct ? std::optional(arrival.origin.endpoint) : std::nullopt,
                                    0,
                                    now);
            break;
        case wire::RecordKind::close:
            sessions().on_peer_closed(index);
            break;
        case wire::RecordKind::padding:
            break;
        }
    }
}

void Plane::take_relay(const Bytes& bytes, const Arrival& arrival, TimePoint now) {
    Receiver* receiver = receiver_of(bytes);
    const std::uint64_t counter = wire::data_counter(bytes);
    if (receiver == nullptr || !receiver->window.check(counter)) {
        return;
    }
    const std::size_t authenticated = bytes.size() - wire::kTagSize;
    std::array<std::uint8_t, 1> nothing{};
    crypto::OpenItem item;
    item.in = bytes.data() + authenticated;
    item.len = wire::kTagSize;
    item.out = nothing.data();
    item.counter = counter;
    item.ad = bytes.data();
    item.ad_len = static_cast<std::uint32_t>(authenticated);
    receiver->key.open_batch({&item, 1});
    if (!item.ok) {
        ports_.count("plane_not_authentic");
        return;
    }
    receiver->window.commit(counter);
    const std::uint32_t index = wire::session_of(wire::data_receiver(bytes));
    Keys& keys = keys_.at(index);
    const NodeId hop = keys.peer;
    note_opened(index, keys, now);
    if (Peer* peer = find(hop)) {
        peer->last_used = now;
    }
    ports_.relayed(*arrival.trace);
    if (wire::relay_destination(bytes) != relay_address(self_.id)) {
        forward(bytes, hop, *arrival.trace, now);
        return;
    }
    Arrival inner = arrival;
    inner.origin.kind = session::Origin::Kind::relayed;
    inner.origin.source = wire::relay_source(bytes);
    inner.hop = hop;
    const ByteView inside = wire::relay_inner(bytes);
    dispatch(Bytes(inside.begin(), inside.end()), inner, now);
}

void Plane::forward(ByteView bytes, const NodeId& from, const Trace& trace, TimePoint now) {
    Peer* hop = find(from);
    Peer* target = meet(wire::relay_destination(bytes), now);
    const auto way = target == nullptr ? std::nullopt : way_in_use(*target);
    const Peer* next = !way ? nullptr : way->direct ? target : meet(way->via, now);
    const auto index_of = [](const Peer* peer) {
        return peer == nullptr ? dataplane::kNoPeer : peer->index;
    };
    for (Peer* used : {hop, target}) {
        if (used != nullptr) {
            used->last_used = now;
        }
    }
    if (target != nullptr && !way) {
        sessions().open(target->node, now);
    }
    std::uint8_t ttl = wire::relay_ttl(bytes);
    if (const auto reason = dataplane::forward(index_of(hop), index_of(next), ttl)) {
        ports_.count(name(*reason));
        return;
    }
    hand_to_hop(next->node,
                ttl,
                relay_address(target->node),
                wire::relay_source(bytes),
                wire::relay_inner(bytes),
                trace,
                now);
}

} // namespace weave::sim
