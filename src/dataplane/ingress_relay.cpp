// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What others hand over to be passed on, or passed on to this node.
#include "dataplane/forwarding.hpp"
#include "dataplane/ingress.hpp"

#include <algorithm>

namespace weave::dataplane {

DataSession* Ingress::verify_hop(ByteSpan datagram, const Origin& origin, std::size_t outer_size) {
    const std::uint32_t receiver = wire::data_receiver(datagram);
    DataSession* session = session_for(datagram, origin, outer_size);
    if (session == nullptr) {
        return nullptr;
    }
    DataSession::Receiver& part = *session->receiver(wire::lane_of(receiver));
    const std::uint64_t counter = wire::data_counter(datagram);
    if (!part.window.check(counter)) {
        counters_.drop(Drop::replayed);
        return nullptr;
    }
    crypto::OpenItem item;
    const std::size_t authenticated = datagram.size() - wire::kTagSize;
    item.in = datagram.data() + authenticated;
    item.out = datagram.data() + authenticated;
    item.len = wire::kTagSize;
    item.counter = counter;
    item.ad = datagram.data();
    item.ad_len = static_cast<std::uint32_t>(authenticated);
    part.key.open_batch({&item, 1});
    if (!item.ok) {
        counters_.drop(Drop::bad_tag);
        part.failures.add();
        return nullptr;
    }
    if (!part.window.commit(counter)) {
        counters_.drop(Drop::replayed);
        return nullptr;
    }
    part.records.add();
    punt_first_record(*session, origin);
    return session;
}

void Ingress::take_relay(ByteSpan datagram, const Origin& origin, std::size_t outer_size) {
    if (!wire::is_relay(datagram)) {
        counters_.drop(Drop::malformed_datagram);
        return;
    }
    DataSession* hop = verify_hop(datagram, origin, outer_size);
    if (hop == nullptr) {
        return;
    }
    if (wire::relay_destination(datagram) != snapshot_->settings->own_relay) {
        forward(datagram, hop->peer(), origin.marks);
        return;
    }
    Origin inner = origin;
    inner.kind = Origin::Kind::relayed;
    inner.source = wire::relay_source(datagram);
    inner.via = hop->peer();
    const ByteSpan inside =
        datagram.subspan(wire::kRelayHeaderSize, datagram.size() - wire::kRelayOverhead);
    dispatch(inside, inner, outer_size);
}

/** The outer header is another one, which says what `marks`, that of the one before, said. */
void Ingress::forward(ByteView datagram, PeerIndex from, std::uint8_t marks) {
    // A sender's wish does not make this network's datagrams travel longer than they may.
    std::uint8_t ttl = std::min(wire::relay_ttl(datagram), snapshot_->settings->relay_ttl);
    const RelayAddress to = wire::relay_destination(datagram);
    const PeerTable& peers = *snapshot_->peers;
    const PeerIndex target = peers.by_relay_address(to);
    const PeerEntry* entry = peers.peer(target);
    PeerIndex next = kNoPeer;
    if (entry != nullptr && entry->path.kind != Path::Kind::none) {
        next = entry->path.kind == Path::Kind::direct ? target : entry->path.via;
    }
    if (const auto reason = dataplane::forward(from, next, ttl)) {
        counters_.drop(*reason);
        if (entry != nullptr && next == kNoPeer && entry->state->ask(config_.lane, now_)) {
            punter_.punt(Punt::Kind::need_session, {}, [&](Punt& punt) { punt.peer = target; });
        }
        return;
    }
    Route route;
    if (const auto drop = route_through(peers, next, route)) {
        counters_.drop(Drop::relay_refused);
        if (*drop == Drop::no_session) {
            punter_.punt(Punt::Kind::need_session, {}, [&](Punt& punt) { punt.peer = next; });
        }
        return;
    }
    // Not a matter of this node's wish: what came marked has to be told to its receiver.
    const bool ecn = route.hop->peer_takes(wire::kCongestionMarks);
    if (!ecn && ecn_of(marks) == Ecn::congested) {
        counters_.drop(Drop::ce_on_not_ect);
        return;
    }
    route.marks = outer_marks(marks, {snapshot_->settings->marks.dscp, ecn});
    counters_.relayed.add();
    outbox_.relay(route, ttl, to, wire::relay_source(datagram), wire::relay_inner(datagram));
}

} // namespace weave::dataplane
