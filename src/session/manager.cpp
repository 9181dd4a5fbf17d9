// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/manager.hpp"

#include "session/manager_state.hpp"

#include <algorithm>
#include <cassert>

namespace weave::session {

namespace {

/** How much later than the initiator the responder of a session starts the next handshake. */
constexpr Duration kResponderDelay = std::chrono::seconds(10);
/** A session younger than this is not suspected. */
constexpr Duration kTooYoung = std::chrono::seconds(3);

} // namespace

std::string_view sentence(DownReason reason) {
    switch (reason) {
    case DownReason::expired:
        return "the keys reached their age limit and the peer did not agree on new ones";
    case DownReason::gave_up:
        return "the peer did not answer";
    case DownReason::peer_removed:
        return "the peer is not a member any more, or changed its key";
    case DownReason::closed:
        return "the session was closed";
    case DownReason::forgeries:
        return "too many forged records came under one key";
    }
    return "unknown reason";
}

std::string_view sentence(wire::RefusalCode code) {
    switch (code) {
    case wire::RefusalCode::version:
        return "no common protocol version";
    case wire::RefusalCode::cluster:
        return "another cluster";
    case wire::RefusalCode::secret:
        return "another cluster secret";
    case wire::RefusalCode::unknown_peer:
        return "this node is not known there";
    case wire::RefusalCode::suite:
        return "no common cipher suite";
    }
    return "unknown refusal";
}

Manager::State::State(Settings settings_in, Local local_in, RandomSource random_in)
    : settings(settings_in)
    , local(std::move(local_in))
    , random(std::move(random_in))
    , guard(settings.handshakes_per_second,
            settings.handshakes_per_source,
            local.identity->static_public(),
            random)
    , own_mac1(mac1_key(local.identity->static_public())) {}

Manager::State::Peer* Manager::State::find(const NodeId& node) {
    const auto found = peers.find(node);
    return found == peers.end() ? nullptr : &found->second;
}

Manager::State::Peer* Manager::State::find_index(std::uint32_t index) {
    const auto found = indexes.find(wire::session_of(index));
    return found == indexes.end() ? nullptr : find(found->second);
}

Duration Manager::State::jittered(Duration duration) {
    std::array<std::uint8_t, 4> raw{};
    random(raw);
    // 0.75 to 1.25: enough to keep two nodes, or a hundred, from moving in step.
    const double factor = 0.75 + 0.5 * (wire::load_u32(raw.data()) / 4294967296.0);
    return std::chrono::duration_cast<Duration>(duration * factor);
}

std::uint32_t Manager::State::fresh_index(const NodeId& node) {
    std::array<std::uint8_t, 4> raw{};
    random(raw);
    std::uint32_t index = wire::session_of(wire::load_u32(raw.data()));
    while (index == 0 || indexes.contains(index)) {
        index += wire::kLaneMask + 1;
    }
    indexes.emplace(index, node);
    return index;
}

void Manager::State::retire(const Peer& peer, const Session& session) {
    indexes.erase(session.local_index);
    actions.emplace_back(Retire{peer.id, session.local_index});
}

void Manager::State::supersede(Peer& peer, const Session& session) {
#ifndef WEAVE_BREAK_OLD_KEYS // the simulator proves that it notices this missing
    if (peer.old.size() >= kMaxOld) {
        retire(peer, peer.old.front());
        peer.old.erase(peer.old.begin());
    }
#endif
    peer.old.push_back(session);
}

void Manager::State::drop_sessions(Peer& peer) {
    stop_trying(peer);
    for (const Session& session : peer.old) {
        retire(peer, session);
    }
    peer.old.clear();
    for (auto* session : {&peer.current, &peer.next}) {
        if (*session) {
            retire(peer, **session);
            session->reset();
        }
    }
}

void Manager::State::drop_attempt(Peer& peer) {
    if (peer.attempt) {
        indexes.erase(peer.attempt->header.sender_index);
        peer.attempt.reset();
    }
}

void Manager::State::stop_trying(Peer& peer) {
    drop_attempt(peer);
    peer.trying = false;
    peer.tries = 0;
}

/** Older keys only live for what is still in flight, now that both sides send under the current
 * ones. */
void Manager::State::confirm(Peer& peer, TimePoint now) {
    peer.current->confirmed = true;
    for (Session& session : peer.old) {
        session.retire_at = std::min(session.retire_at, now + settings.grace);
    }
}

void Manager::State::promote(Peer& peer, TimePoint now) {
    if (peer.current) {
        supersede(peer, *peer.current);
    }
    peer.current = std::exchange(peer.next, std::nullopt);
    peer.current->rekey_at = peer.current->created + settings.rekey_after + kResponderDelay +
                             jittered(kResponderDelay) / 2;
    actions.emplace_back(Promote{peer.id, peer.current->local_index});
    confirm(peer, now);
    stop_trying(peer);
}

void Manager::State::begin(Peer& peer, TimePoint now, Duration delay) {
    peer.trying = true;
    peer.tries = 0;
    peer.hint.reset();
    peer.backoff = settings.retry_first;
    peer.give_up_at = now + settings.give_up_after;
    peer.retry_at = now + delay;
    if (delay == Duration::zero()) {
        send_init(peer, now);
    }
}

void Manager::State::tick_sessions(Peer& peer, TimePoint now) {
    std::erase_if(peer.old, [&](const Session& session) {
        const bool over = now >= session.retire_at;
        if (over) {
            retire(peer, session);
        }
        return over;
    });
    if (peer.next && now >= peer.next->retire_at) {
        retire(peer, *peer.next);
        peer.next.reset();
    }
    if (peer.current && now >= peer.current->retire_at) {
        retire(peer, *peer.current);
        peer.current.reset();
        actions.emplace_back(SessionDown{peer.id, DownReason::expired, peer.hint});
    }
}

void Manager::State::tick(Peer& peer, TimePoint now) {
    tick_sessions(peer, now);
    if (peer.trying && now >= peer.give_up_at) {
        stop_trying(peer);
        peer.suite_slot = 0;
        if (peer.current) {
            peer.current->rekey_at = now + settings.give_up_after;
        } else {
            actions.emplace_back(SessionDown{peer.id, DownReason::gave_up, peer.hint});
        }
    } else if (peer.trying && now >= peer.retry_at) {
        send_init(peer, now);
    } else if (!peer.trying && peer.current && now >= peer.current->rekey_at) {
        begin(peer, now, Duration::zero());
    }
}

TimePoint Manager::State::deadline(const Peer& peer) const {
    TimePoint due = TimePoint::max();
    if (peer.trying) {
        due = std::min(peer.give_up_at, peer.retry_at);
    }
    if (peer.current) {
        due = std::min(due, peer.current->retire_at);
        if (!peer.trying) {
            due = std::min(due, peer.current->rekey_at);
        }
    }
    if (peer.next) {
        due = std::min(due, peer.next->retire_at);
    }
    for (const Session& session : peer.old) {
        due = std::min(due, session.retire_at);
    }
    return due;
}

Manager::Manager(Settings settings, Local local, RandomSource random)
    : state_(std::make_unique<State>(settings, std::move(local), std::move(random))) {
    assert(!state_->local.secrets.empty() && !state_->local.suites.empty());
    assert(settings.lanes >= 1 && settings.lanes <= wire::kMaxLanes);
}

Manager::~Manager() = default;

void Manager::set_peer(const NodeId& node,
                       const crypto::PublicKey& static_key,
                       std::uint64_t boot_epoch) {
    State::Peer* known = state_->find(node);
    if (known != nullptr && known->static_key == static_key) {
        known->raise_epoch(boot_epoch);
        return;
    }
    remove_peer(node);
    if (static_key == state_->local.identity->static_public() ||
        state_->by_static.contains(static_key)) {
        state_->count("session.peer_key_taken");
        return;
    }
    if (state_->peers.size() >= state_->settings.max_peers) {
        state_->count("session.too_many_peers");
        return;
    }
    State::Peer peer;
    peer.id = node;
    peer.static_key = static_key;
    peer.mac1 = mac1_key(static_key);
    peer.cookie_key = cookie_key(static_key);
    peer.raise_epoch(boot_epoch);
    state_->by_static.emplace(static_key, node);
    state_->peers.emplace(node, std::move(peer));
}

void Manager::remove_peer(const NodeId& node) {
    State::Peer* peer = state_->find(node);
    if (peer == nullptr) {
        return;
    }
    const bool had_something = peer->trying || peer->current || peer->next;
    state_->drop_sessions(*peer);
    if (had_something) {
        state_->actions.emplace_back(SessionDown{node, DownReason::peer_removed, std::nullopt});
    }
    state_->deadlines.set(node, TimePoint::max());
    state_->by_static.erase(peer->static_key);
    state_->peers.erase(node);
}

bool Manager::open(const NodeId& node, TimePoint now) {
    State::Peer* peer = state_->find(node);
    if (peer == nullptr) {
        state_->count("session.open_unknown_peer");
        return false;
    }
    const bool begins = !peer->trying && !peer->current;
    if (begins) {
        // An answered handshake of theirs is about to become a session: only insist if it does not.
        state_->begin(*peer,
                      now,
                      peer->next ? state_->jittered(state_->settings.retry_first)
                                 : Duration::zero());
    } else if (peer->trying) {
        peer->give_up_at = now + state_->settings.give_up_after;
    }
    state_->plan(*peer);
    return begins;
}

void Manager::suspect(const NodeId& node, TimePoint now) {
    State::Peer* peer = state_->find(node);
    if (peer == nullptr || peer->trying ||
        (peer->current && now - peer->current->created < kTooYoung)) {
        return;
    }
    state_->count("session.suspected");
    state_->begin(*peer, now, Duration::zero());
    state_->plan(*peer);
}

void Manager::close(const NodeId& node) {
    State::Peer* peer = state_->find(node);
    if (peer == nullptr || (!peer->trying && !peer->current && !peer->next)) {
        return;
    }
    state_->drop_sessions(*peer);
    state_->plan(*peer);
    state_->actions.emplace_back(SessionDown{node, DownReason::closed, std::nullopt});
}

void Manager::on_peer_closed(std::uint32_t local_index) {
    const std::uint32_t index = wire::session_of(local_index);
    const State::Peer* peer = state_->find_index(index);
    if (peer != nullptr && peer->current && peer->current->local_index == index) {
        close(peer->id);
    }
}

void Manager::set_secrets(std::vector<ClusterSecret> secrets) {
    assert(!secrets.empty());
    state_->local.secrets = std::move(secrets);
    for (auto& [node, peer] : state_->peers) {
        peer.secret_slot = 0;
    }
}

void Manager::set_boot_epoch(std::uint64_t epoch) {
    state_->local.boot_epoch = std::max(state_->local.boot_epoch, epoch);
}

void Manager::on_datagram(ByteView datagram, const Origin& from, TimePoint now) {
    const auto type = wire::datagram_type(datagram);
    if (type == wire::DatagramType::init) {
        state_->on_init(datagram, from, now);
    } else if (type == wire::DatagramType::response) {
        state_->on_response(datagram, from, now);
    } else if (type == wire::DatagramType::cookie) {
        state_->on_cookie(datagram, now);
    } else if (type == wire::DatagramType::refusal) {
        state_->on_refusal(datagram, now);
    } else {
        state_->count("session.unknown_type");
    }
}

void Manager::on_authenticated(std::uint32_t local_index, TimePoint now) {
    const std::uint32_t index = wire::session_of(local_index);
    State::Peer* peer = state_->find_index(index);
    if (peer == nullptr) {
        return;
    }
    if (peer->next && peer->next->local_index == index) {
        state_->promote(*peer, now);
    } else if (peer->current && peer->current->local_index == index && !peer->current->confirmed) {
        state_->confirm(*peer, now);
    }
    state_->plan(*peer);
}

void Manager::on_key_usage(std::uint32_t local_index, std::uint64_t records, TimePoint now) {
    if (records < state_->settings.rekey_records) {
        return;
    }
    const std::uint32_t index = wire::session_of(local_index);
    State::Peer* peer = state_->find_index(index);
    if (peer != nullptr && peer->current && peer->current->local_index == index && !peer->trying) {
        state_->begin(*peer, now, Duration::zero());
        state_->plan(*peer);
    }
}

void Manager::on_failed_opens(std::uint32_t local_index, std::uint64_t records, TimePoint now) {
    if (records < state_->settings.max_failed_opens) {
        return;
    }
    State::Peer* peer = state_->find_index(local_index);
    if (peer == nullptr) {
        return;
    }
    state_->count("session.forgery_limit");
    state_->drop_sessions(*peer);
    state_->actions.emplace_back(SessionDown{peer->id, DownReason::forgeries, std::nullopt});
    state_->begin(*peer, now, Duration::zero());
    state_->plan(*peer);
}

void Manager::tick(TimePoint now) {
    for (const NodeId& node : state_->deadlines.take_due(now)) {
        State::Peer& peer = *state_->find(node);
        state_->tick(peer, now);
        state_->plan(peer);
    }
}

TimePoint Manager::next_deadline() const {
    return state_->deadlines.next();
}

std::vector<Action> Manager::take_actions() {
    return std::exchange(state_->actions, {});
}

bool Manager::usable(const NodeId& node) const {
    const State::Peer* peer = state_->find(node);
    return peer != nullptr && peer->current.has_value();
}

std::size_t Manager::peer_count() const {
    return state_->peers.size();
}

Manager::Sizes Manager::sizes() const {
    return {std::max(state_->peers.size(), state_->by_static.size()), state_->indexes.size()};
}

} // namespace weave::session
