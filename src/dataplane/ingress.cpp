// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ingress.hpp"

#include "dataplane/checksum.hpp"
#include "dataplane/equal.hpp"
#include "dataplane/packet.hpp"

#include <algorithm>

namespace weave::dataplane {
namespace {

bool same_way(const Origin& a, const Origin& b) {
    return a.kind == b.kind && a.via == b.via && a.marks == b.marks &&
           equal(a.endpoint, b.endpoint);
}

} // namespace

std::array<std::uint8_t, Ingress::Group::kMax> Ingress::Group::order() const {
    std::array<std::uint8_t, kMax> places;
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t at = i;
        while (disordered && at > 0 && items[places[at - 1]].counter > items[i].counter) {
            places[at] = places[at - 1];
            --at;
        }
        places[at] = static_cast<std::uint8_t>(i);
    }
    return places;
}

Ingress::Ingress(
    const Config& config, Merger& merger, Outbox& outbox, Punter& punter, LaneCounters& counters)
    : config_(config)
    , merger_(merger)
    , outbox_(outbox)
    , punter_(punter)
    , counters_(counters) {}

void Ingress::begin(const Snapshot& snapshot, TimePoint now) {
    snapshot_ = &snapshot;
    now_ = now;
    sources_.begin(snapshot);
}

void Ingress::handle(const os::Datagram& datagram) {
    if (datagram.truncated) {
        counters_.drop(Drop::truncated);
        return;
    }
    counters_.receives.add();
    Origin origin;
    origin.endpoint = datagram.from;
    origin.local = datagram.local;
    origin.lane = config_.lane;
    origin.marks = datagram.tos;
    const std::size_t size = datagram.bytes.size();
    if (size == 0) {
        counters_.drop(Drop::malformed_datagram);
        return;
    }
    const std::size_t segment = datagram.segment_size != 0 ? datagram.segment_size : size;
    for (std::size_t at = 0; at < size; at += segment) {
        const ByteSpan one = datagram.bytes.subspan(at, std::min(segment, size - at));
        dispatch(one, origin, one.size() + underlay_overhead(datagram.from.address));
    }
}

void Ingress::dispatch(ByteSpan datagram, const Origin& origin, std::size_t outer_size) {
    if (wire::is_data(datagram)) [[likely]] {
        add_data(datagram, origin, outer_size);
        return;
    }
    const auto type = wire::datagram_type(datagram);
    if (!type) {
        counters_.drop(Drop::unknown_kind);
        return;
    }
    switch (*type) {
    case wire::DatagramType::data:
        counters_.drop(Drop::malformed_datagram);
        return;
    case wire::DatagramType::relay:
        // A relay header inside a relay header is never made by anybody.
        if (origin.kind == Origin::Kind::direct) {
            take_relay(datagram, origin, outer_size);
        } else {
            counters_.drop(Drop::malformed_datagram);
        }
        return;
    case wire::DatagramType::init:
    case wire::DatagramType::response:
    case wire::DatagramType::cookie:
    case wire::DatagramType::refusal:
        if (datagram.size() > kMessageBytes) {
            counters_.drop(Drop::malformed_datagram);
            return;
        }
        punter_.punt(Punt::Kind::handshake, datagram, [&](Punt& punt) { punt.origin = origin; });
        return;
    case wire::DatagramType::control_init:
    case wire::DatagramType::control_refusal:
        break;
    }
    counters_.drop(Drop::unknown_kind);
}

DataSession* Ingress::session_for(ByteView datagram, const Origin& origin, std::size_t outer_size) {
    const std::uint32_t receiver = wire::data_receiver(datagram);
    DataSession* session = snapshot_->peers->session(receiver);
    const unsigned lane = wire::lane_of(receiver);
    if (session == nullptr || session->receiver(lane) == nullptr) {
        counters_.drop(Drop::unknown_receiver);
        return nullptr;
    }
    if (!session->may_open(now_)) {
        counters_.drop(Drop::key_expired);
        return nullptr;
    }
    const unsigned owner = session->owner_lane(lane);
    if (owner == config_.lane) {
        return session;
    }
    if (config_.handoff == nullptr) {
        counters_.drop(Drop::wrong_lane);
    } else if (!config_.handoff->pass(config_.lane, owner, datagram, origin, outer_size)) {
        counters_.drop(Drop::handoff_full);
    }
    return nullptr;
}

void Ingress::add_data(ByteSpan datagram, const Origin& origin, std::size_t outer_size) {
    const std::uint32_t receiver = wire::data_receiver(datagram);
    if (group_.count == Group::kMax ||
        (group_.count != 0 && (group_.receiver != receiver || !same_way(group_.origin, origin)))) {
        open_group();
    }
    if (group_.count == 0) {
        group_.session = session_for(datagram, origin, outer_size);
        if (group_.session == nullptr) {
            return;
        }
        group_.receiver = receiver;
        group_.keys = group_.session->receiver(wire::lane_of(receiver));
        group_.origin = origin;
    }
    const std::uint64_t counter = wire::data_counter(datagram);
    if (!group_.keys->window.check(counter)) {
        counters_.drop(Drop::replayed);
        return;
    }
    crypto::OpenItem& item = group_.items[group_.count];
    item.in = datagram.data() + wire::kDataHeaderSize;
    item.out = datagram.data() + wire::kDataHeaderSize;
    item.len = static_cast<std::uint32_t>(datagram.size() - wire::kDataHeaderSize);
    item.counter = counter;
    item.ad = datagram.data();
    item.ad_len = wire::kDataHeaderSize;
    group_.disordered = group_.count != 0 &&
                        (group_.disordered || counter < group_.items[group_.count - 1].counter);
    group_.sizes[group_.count++] = static_cast<std::uint16_t>(outer_size);
}

void Ingress::open_group() {
    // What the network swapped is put in order again, so that it can be joined.
    const auto order = group_.order();
    const std::size_t count = std::exchange(group_.count, 0);
    if (count == 0) {
        return;
    }
    DataSession* session = group_.session;
    DataSession::Receiver& receiver = *group_.keys;
    group_.frames = group_.bytes = 0;
    receiver.key.open_batch(std::span{group_.items}.first(count));
    std::size_t opened = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const crypto::OpenItem& item = group_.items[order[i]];
        if (!item.ok) {
            counters_.drop(Drop::bad_tag);
            receiver.failures.add();
        } else if (!receiver.window.commit(item.counter)) {
            counters_.drop(Drop::replayed);
        } else {
            ++opened;
            take_records({item.out, item.len - wire::kTagSize}, *session, group_.sizes[order[i]]);
        }
    }
    if (opened != 0) {
        receiver.records.add(opened);
        counters_.records_opened.add(opened);
        note_arrival(*session);
    }
}

/** The peer takes another way than this node takes to it: at most once a second. */
void Ingress::punt_relayed(const PeerEntry& peer, const DataSession& session) {
    TimePoint& told = peer.state->lane(config_.lane).told_relayed;
    if (peer.path.kind != Path::Kind::direct || now_ - told < std::chrono::seconds{1}) {
        return;
    }
    told = now_;
    punter_.punt(Punt::Kind::roamed, {}, [&](Punt& punt) {
        punt.peer = session.peer();
        punt.local_index = session.local_index();
        punt.origin = group_.origin;
    });
}

void Ingress::note_arrival(DataSession& session) {
    punt_first_record(session, group_.origin);
    const PeerEntry* peer = snapshot_->peers->peer(session.peer());
    if (peer == nullptr) {
        return;
    }
    PeerState::LanePart& part = peer->state->lane(config_.lane);
    part.rx_packets.add(group_.frames);
    part.rx_bytes.add(group_.bytes);
    part.last_rx.set(nanoseconds(now_));
    if (group_.origin.kind != Origin::Kind::direct) {
        punt_relayed(*peer, session);
        return;
    }
    const Endpoint& from = group_.origin.endpoint;
    if (peer->path.kind == Path::Kind::direct && peer->path.endpoint == from) {
        part.reported = {};
        return;
    }
    if (part.reported == from) {
        return;
    }
    const bool told = punter_.punt(Punt::Kind::roamed, {}, [&](Punt& punt) {
        punt.peer = session.peer();
        punt.local_index = session.local_index();
        punt.origin = group_.origin;
    });
    if (told) {
        part.reported = from;
    }
}

void Ingress::punt_first_record(DataSession& session, const Origin& origin) {
    if (!session.confirm()) {
        return;
    }
    const bool told = punter_.punt(Punt::Kind::first_record, {}, [&](Punt& punt) {
        punt.peer = session.peer();
        punt.local_index = session.local_index();
        punt.origin = origin;
    });
    if (!told) {
        session.unconfirm();
    }
}

void Ingress::take_records(ByteSpan plaintext, DataSession& session, std::size_t outer_size) {
    wire::RecordWalker walker{plaintext};
    wire::RecordSpan record;
    while (walker.next(record)) {
        switch (static_cast<wire::RecordKind>(record.kind)) {
        case wire::RecordKind::frame:
            take_frame(record, session.peer());
            break;
        case wire::RecordKind::probe:
            answer_probe(record, session, outer_size);
            break;
        case wire::RecordKind::probe_ack:
            punt_ack(record, session);
            break;
        case wire::RecordKind::padding:
            break;
        case wire::RecordKind::close:
            punter_.punt(Punt::Kind::close, {}, [&](Punt& punt) {
                punt.peer = session.peer();
                punt.local_index = session.local_index();
                punt.origin = group_.origin;
            });
            break;
        default:
            counters_.drop(Drop::unknown_record);
            break;
        }
    }
    if (walker.malformed()) {
        counters_.drop(Drop::malformed_record);
    }
}

/** Who takes what came to the router's MAC: the pod on the bridge that has the address, as this
 * host need not forward anything, or the host. */
MacAddress Ingress::holder_here(ByteView frame, const Packet& packet) const {
    const auto address = packet.version != 0 ? destination_ip(frame, packet) : std::nullopt;
    const Neighbour known = address ? snapshot_->addresses->neighbour(*address) : Neighbour{};
    const bool here = known.owner == kLocalPeer && known.mac != MacAddress{};
    return here ? known.mac : snapshot_->settings->bridge_mac;
}

/** What the underlay did to the ECN field, the frame's own now says. False: it has to be dropped.
 */
bool Ingress::take_mark(ByteSpan frame, const Packet& packet) {
    const Ecn outer = ecn_of(group_.origin.marks);
    if (outer == Ecn::not_capable || packet.version == 0) {
        return true;
    }
    const Ecn inner = ecn_of(marks_of(frame, packet));
    const auto ecn = taken_out(inner, outer);
    if (ecn && *ecn != inner) {
        set_ecn(frame, packet, *ecn);
        counters_.congestion_marks.add(*ecn == Ecn::congested ? 1 : 0);
    }
    return ecn.has_value();
}

void Ingress::take_frame(const wire::RecordSpan& record, PeerIndex peer) {
    const auto packet = parse_frame(record.body);
    if (!packet || bears_mapped_address(record.body, *packet)) {
        counters_.drop(Drop::malformed_record);
        return;
    }
    if (!sources_.belong_to(peer, record.body, *packet)) {
        counters_.drop(Drop::source_not_owned);
        return;
    }
    if (!take_mark(record.body, *packet)) {
        counters_.drop(Drop::ce_on_not_ect);
        return;
    }
    const Settings& settings = *snapshot_->settings;
    if (equal(settings.router_mac, record.body.data()) && settings.router_mac != MacAddress{}) {
        const MacAddress to = holder_here(record.body, *packet);
        std::copy(to.octets.begin(), to.octets.end(), record.body.begin());
    }
    bool partial = (record.flags & wire::kNeedsChecksum) != 0;
    if (partial && packet->payload != 0 &&
        (settings.finish_checksums || reader_checks_sums(record.body, *packet))) {
        finish_checksum(record.body.first(packet->end), packet->l4, packet->checksum_offset());
        partial = false;
    }
    if (!merger_.add(record.body, *packet, partial)) {
        counters_.drop(Drop::malformed_record);
        return;
    }
    ++group_.frames;
    group_.bytes += record.body.size();
}

void Ingress::answer_probe(const wire::RecordSpan& record,
                           DataSession& session,
                           std::size_t outer_size) {
    const PeerEntry* peer = snapshot_->peers->peer(session.peer());
    if (record.body.size() < wire::kProbeBodySize || peer == nullptr) {
        counters_.drop(Drop::malformed_record);
        return;
    }
    // Back on the way it came, whatever the path says: that way is what the probe asks about.
    Route route;
    route.index = session.peer();
    route.peer = peer;
    route.session = &session;
    route.to = group_.origin.endpoint;
    route.source = group_.origin.local;
    take_fast_hop(*peer, route);
    if (group_.origin.kind == Origin::Kind::relayed) {
        if (const auto drop = route_through(*snapshot_->peers, group_.origin.via, route)) {
            counters_.drop(*drop);
            return;
        }
    }
    std::array<std::uint8_t, wire::kRecordHeaderSize + wire::kProbeAckBodySize> ack;
    wire::put_record_header(ack.data(), wire::RecordKind::probe_ack, 0, wire::kProbeAckBodySize);
    std::copy_n(record.body.begin(), wire::kProbeBodySize, ack.begin() + wire::kRecordHeaderSize);
    wire::store_u16(ack.data() + wire::kRecordHeaderSize + wire::kProbeBodySize,
                    static_cast<std::uint16_t>(outer_size));
    // Each alone: what damages trains on the way back is no matter of the way here.
    outbox_.flush();
    outbox_.seal(route, ack);
}

void Ingress::punt_ack(const wire::RecordSpan& record, DataSession& session) {
    if (record.body.size() < wire::kProbeAckBodySize) {
        counters_.drop(Drop::malformed_record);
        return;
    }
    punter_.punt(Punt::Kind::probe_ack, {}, [&](Punt& punt) {
        punt.peer = session.peer();
        punt.local_index = session.local_index();
        punt.origin = group_.origin;
        punt.id = wire::load_u64(record.body.data());
        punt.size = wire::load_u16(record.body.data() + wire::kProbeBodySize);
    });
}

bool Ingress::take_handoffs() {
    // Slots are in use until finish(): small batches give the other lanes room sooner. A lane that
    // is fed without end must come to its own sockets, too.
    constexpr std::size_t kBatch = 64;
    constexpr std::size_t kBatches = 4;
    bool more = false;
    for (unsigned from = 0; config_.handoff != nullptr && from < config_.handoff->lanes(); ++from) {
        Handoff::Ring& ring = config_.handoff->ring(from, config_.lane);
        for (std::size_t batch = 0; batch < kBatches && ring.front() != nullptr; ++batch) {
            std::size_t taken = 0;
            while (Handoff::Slot* slot = taken < kBatch ? ring.peek(taken) : nullptr) {
                dispatch(slot->bytes, slot->origin, slot->outer_size);
                ++taken;
            }
            finish();
            ring.release(taken);
        }
        more = more || ring.front() != nullptr;
    }
    return more;
}

void Ingress::finish() {
    open_group();
    merger_.flush();
}

} // namespace weave::dataplane
