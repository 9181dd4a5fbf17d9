// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/outbox.hpp"

#include "dataplane/train.hpp"

#include <algorithm>
#include <cerrno>

#include <poll.h>

namespace weave::dataplane {
namespace {

std::size_t room_for(std::uint16_t mtu, const Route& route) {
    const std::size_t overhead = underlay_overhead(route.to.address) + wire::kDataOverhead +
                                 (route.hop != nullptr ? wire::kRelayOverhead : 0);
    return mtu > overhead ? mtu - overhead : 0;
}

} // namespace

std::optional<Drop> route_through(const PeerTable& peers, PeerIndex via, Route& route) {
    const PeerEntry* hop = peers.peer(via);
    if (hop == nullptr || hop->path.kind != Path::Kind::direct) {
        return Drop::no_path;
    }
    if (!hop->session) {
        return Drop::no_session;
    }
    route.hop = hop->session.get();
    route.first = hop->state.get();
    route.to = hop->path.endpoint;
    route.source = hop->path.source;
    take_fast_hop(*hop, route);
    return std::nullopt;
}

std::optional<Drop> find_route(const PeerTable& peers, PeerIndex index, Route& route) {
    const PeerEntry* peer = peers.peer(index);
    if (peer == nullptr) {
        return Drop::no_route;
    }
    if (!peer->session) {
        return Drop::no_session;
    }
    route = {};
    route.index = index;
    route.peer = peer;
    route.session = peer->session.get();
    switch (peer->path.kind) {
    case Path::Kind::none:
        return Drop::no_path;
    case Path::Kind::direct:
        route.first = peer->state.get();
        route.to = peer->path.endpoint;
        route.source = peer->path.source;
        take_fast_hop(*peer, route);
        break;
    case Path::Kind::relay:
        if (const auto drop = route_through(peers, peer->path.via, route)) {
            return drop == Drop::no_session ? Drop::no_path : *drop;
        }
        break;
    }
    route.room = room_for(peer->mtu, route);
    route.settled = peer->mtu_settled;
    route.large = room_for(peer->mtu > wire::kBaseMtu ? wire::kBaseMtu : wire::kLeastMtu, route);
    return std::nullopt;
}

Outbox::Outbox(const Config& config, LaneCounters& counters, Punter& punter)
    : config_(config)
    , counters_(counters)
    , punter_(punter) {}

void Outbox::begin(const Settings& settings, TimePoint now) {
    settings_ = &settings;
    now_ = now;
    waits_ = 0;
}

std::uint8_t* Outbox::reserve(const Route& route, std::size_t size) {
    const bool joins = count_ != 0 && count_ < kTrainFrames && !closed_ && size <= segment_ &&
                       used_ + size <= kTrainBytes && train_.same_target(route);
    if (count_ != 0 && !joins) {
        send_train_now();
    }
    if (size > arena_.size()) {
        counters_.drop(Drop::too_big);
        return nullptr;
    }
    if (count_ == 0) {
        train_ = route;
        segment_ = size;
        closed_ = false;
    }
    return arena_.data() + used_;
}

void Outbox::commit(std::size_t size) {
    closed_ = size < segment_;
    used_ += size;
    ++count_;
}

bool Outbox::seal_one(DataSession& session, PeerIndex peer, crypto::SealItem& item) {
    const auto drop = session.seal(config_.lane, {&item, 1}, now_);
    if (drop) [[unlikely]] {
        refuse_seal(session, peer, *drop);
        return false;
    }
    return true;
}

void Outbox::refuse_seal(DataSession& session, PeerIndex peer, Drop reason) {
    counters_.drop(reason);
    punter_.punt(Punt::Kind::seal_limit, {}, [&](Punt& punt) {
        punt.peer = peer;
        punt.local_index = session.local_index();
    });
}

bool Outbox::wrap(const Route& route,
                  std::uint8_t* at,
                  std::size_t inner_size,
                  std::uint8_t ttl,
                  const RelayAddress& to,
                  const RelayAddress& from) {
    wire::put_relay_header(at, route.hop->remote_index(), config_.lane, ttl, to, from);
    crypto::SealItem item;
    item.out = at + wire::kRelayHeaderSize + inner_size;
    item.in = item.out;
    item.counter_field = at + wire::kDataCounterOffset;
    item.ad = at;
    item.ad_len = static_cast<std::uint32_t>(wire::kRelayHeaderSize + inner_size);
    return seal_one(*route.hop, route.hop->peer(), item);
}

void Outbox::seal(const Route& route, ByteView plaintext) {
    if (shared_used_ != 0) {
        seal_shared();
    }
    const std::size_t inner_size = plaintext.size() + wire::kDataOverhead;
    const std::size_t front = route.hop != nullptr ? wire::kRelayHeaderSize : 0;
    const std::size_t size = inner_size + (route.hop != nullptr ? wire::kRelayOverhead : 0);
    std::uint8_t* at = reserve(route, size);
    if (at == nullptr) {
        return;
    }
    std::uint8_t* inner = at + front;
    wire::put_data_header(inner, route.session->remote_index(), config_.lane);
    crypto::SealItem item;
    item.in = plaintext.data();
    item.len = static_cast<std::uint32_t>(plaintext.size());
    item.out = inner + wire::kDataHeaderSize;
    item.counter_field = inner + wire::kDataCounterOffset;
    item.ad = inner;
    item.ad_len = wire::kDataHeaderSize;
    if (!seal_one(*route.session, route.index, item)) {
        return;
    }
    counters_.records_sealed.add();
    if (route.room != 0 && plaintext.size() > route.large) {
        route.peer->state->lane(config_.lane).tx_large.add();
    }
    if (route.hop != nullptr &&
        !wrap(
            route, at, inner_size, settings_->relay_ttl, route.peer->relay, settings_->own_relay)) {
        return;
    }
    commit(size);
}

void Outbox::relay(const Route& route,
                   std::uint8_t ttl,
                   const RelayAddress& to,
                   const RelayAddress& from,
                   ByteView inner) {
    if (shared_used_ != 0) {
        seal_shared();
    }
    const std::size_t size = inner.size() + wire::kRelayOverhead;
    std::uint8_t* at = reserve(route, size);
    if (at == nullptr) {
        return;
    }
    std::copy(inner.begin(), inner.end(), at + wire::kRelayHeaderSize);
    if (wrap(route, at, inner.size(), ttl, to, from)) {
        commit(size);
    }
}

void Outbox::send_frame(const Route& route, ByteSpan frame, std::uint8_t flags) {
    note_sent(route, 1, frame.size());
    put_frame(route, frame, flags);
}

void Outbox::send_frames(const Route& route, Segmenter& pieces, std::uint8_t flags) {
    std::size_t frames = 0;
    std::size_t bytes = 0;
    for (ByteSpan frame = pieces.next(); !frame.empty(); frame = pieces.next()) {
        put_frame(route, frame, flags);
        ++frames;
        bytes += frame.size();
    }
    note_sent(route, frames, bytes);
}

void Outbox::note_sent(const Route& route, std::size_t frames, std::size_t bytes) {
    PeerState::LanePart& part = route.peer->state->lane(config_.lane);
    part.tx_packets.add(frames);
    part.tx_bytes.add(bytes);
    part.last_tx.set(nanoseconds(now_));
    route.peer->state->note_sent();
}

void Outbox::put_frame(const Route& route, ByteSpan frame, std::uint8_t flags) {
    const std::size_t size = frame.size() + wire::kRecordHeaderSize;
    std::uint8_t* record = frame.data() - wire::kRecordHeaderSize;
    wire::put_record_header(
        record, wire::RecordKind::frame, flags, static_cast<std::uint16_t>(frame.size()));
    const std::size_t room = std::min(route.room, kSharedBytes);
    const bool joins =
        shared_used_ != 0 && shared_used_ + size <= room && shared_.same_target(route);
    if (!joins && size > room / 2) {
        seal(route, {record, size});
        return;
    }
    if (!joins && shared_used_ != 0) {
        seal_shared();
    }
    shared_ = route;
    std::copy_n(record, size, share_.data() + shared_used_);
    shared_used_ += size;
}

void Outbox::seal_shared() {
    const std::size_t size = std::exchange(shared_used_, 0);
    seal(shared_, {share_.data(), size});
}

void Outbox::send_plain(const Endpoint& to, const IpAddress& source, ByteView datagram) {
    if (shared_used_ != 0) {
        seal_shared();
    }
    Route route;
    route.to = to;
    route.source = source;
    if (std::uint8_t* at = reserve(route, datagram.size())) {
        std::copy(datagram.begin(), datagram.end(), at);
        commit(datagram.size());
    }
}

/** The interface became narrower than the path's size: the path monitor hears it at once. */
void Outbox::report_too_big() {
    constexpr Duration kTellAgain = std::chrono::milliseconds{10};
    // A probe, which has no room, says so by its loss.
    if (train_.room == 0 || now_ - too_big_told_ < kTellAgain) {
        return;
    }
    too_big_told_ = now_;
    punter_.punt(Punt::Kind::path_too_big, {}, [&](Punt& punt) { punt.peer = train_.index; });
}

const os::UdpSocket* Outbox::socket() const {
    return train_.to.address.is_v4() ? config_.udp4 : config_.udp6;
}

/**
 * A full send buffer is the network's back-pressure, and a little waiting keeps the train: the
 * pods' frames stay in the kernel meanwhile. But the lane has peers that are reached by another
 * way, and datagrams to receive: it waits for a few milliseconds of a batch, however many trains
 * there are.
 */
bool Outbox::wait_for_room() {
    constexpr int kMostWaits = 5;
    constexpr int kWaitMilliseconds = 1;
    if (waits_ == kMostWaits) {
        return false;
    }
    ++waits_;
    pollfd room{socket()->fd(), POLLOUT, 0};
    ::poll(&room, 1, kWaitMilliseconds);
    return true;
}

/**
 * Somewhere on the way the last datagram of a train is damaged where it is as long as the others: a
 * datagram that says nothing comes behind it. False: there is no room, or no key for it.
 */
bool Outbox::shorten_tail() {
    constexpr std::size_t kSize = wire::kDataOverhead + wire::kRecordHeaderSize;
    if (train_.session == nullptr || train_.hop != nullptr || count_ == kTrainFrames ||
        used_ + kSize > kTrainBytes || segment_ <= kSize) {
        return false;
    }
    std::uint8_t* at = arena_.data() + used_;
    wire::put_data_header(at, train_.session->remote_index(), config_.lane);
    crypto::SealItem item;
    item.in = item.out = at + wire::kDataHeaderSize;
    wire::put_record_header(item.out, wire::RecordKind::padding, 0, 0);
    item.len = wire::kRecordHeaderSize;
    item.counter_field = at + wire::kDataCounterOffset;
    item.ad = at;
    item.ad_len = wire::kDataHeaderSize;
    if (!seal_one(*train_.session, train_.index, item)) {
        return false;
    }
    commit(kSize);
    return true;
}

/** What waits may go as a train, as far as was found out. */
bool Outbox::trains_arrive() {
    if (train_.first == nullptr || count_ < 2) {
        return true;
    }
    if (train_.first->lane(config_.lane).no_trains.holds(now_)) {
        return false;
    }
    switch (train_.first->trains()) {
    case TrainShape::any:
        return true;
    case TrainShape::short_tail:
        return closed_ || shorten_tail();
    case TrainShape::none:
        break;
    }
    return false;
}

bool Outbox::send_fast() {
    FastPort* port = train_.fast == nullptr ? nullptr : fast_[train_.fast->port];
    // What does not fit is the socket's to refuse, so that whoever searches sizes hears of it.
    if (port == nullptr || port->gone() || !FastPort::fits(*train_.fast, train_.to, segment_)) {
        return false;
    }
    const std::size_t lost =
        port->send(*train_.fast, train_.to, train_.marks, ByteView{arena_}.first(used_), segment_);
    counters_.fast_sent.add(count_ - lost);
    counters_.drop(Drop::send_failed, lost);
    return true;
}

void Outbox::finish_train() {
    used_ = count_ = segment_ = 0;
    closed_ = false;
}

void Outbox::send_train_now() {
    if (send_fast()) {
        finish_train();
        return;
    }
    const bool one_by_one = !trains_arrive();
    // What refused a train, an interface or a driver, is a matter of the way to this peer.
    PeerState::LanePart* way =
        train_.first == nullptr ? nullptr : &train_.first->lane(config_.lane);
    std::optional<IpAddress> source;
    if (!train_.source.is_unspecified()) {
        source = train_.source;
    }
    const auto send = [&](ByteView bytes, std::uint16_t segment) {
        const iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
        return socket() == nullptr
                   ? EAFNOSUPPORT
                   : socket()->send(train_.to, source, {&data, 1}, segment, train_.marks);
    };
    const auto result = send_train(
        send,
        [this] { return wait_for_room(); },
        ByteView{arena_}.first(used_),
        segment_,
        one_by_one);
    counters_.sends.add(result.sends);
    if (result.fell_back) {
        counters_.gso_fallbacks.add();
    }
    if (way != nullptr && result.no_trains) {
        way->no_trains.refused(now_);
        counters_.no_trains_until.raise(nanoseconds(way->no_trains.until()));
    } else if (way != nullptr && result.took_train) {
        way->no_trains.taken();
    }
    counters_.drop(result.reason, result.lost);
    if (result.too_big) {
        report_too_big();
    }
    finish_train();
}

void Outbox::flush() {
    if (shared_used_ != 0) {
        seal_shared();
    }
    if (count_ != 0) {
        send_train_now();
    }
}

} // namespace weave::dataplane
