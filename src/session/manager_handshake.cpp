// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/manager_state.hpp"

#include <algorithm>

namespace weave::session {

namespace {

constexpr Duration kCookieLife = std::chrono::seconds(120);
/** Forged responses to one initiation that are looked at; each costs two Diffie-Hellman operations.
 */
constexpr unsigned kMaxBadResponses = 16;
/** Hints may make us hurry only this often in a row, so that nobody can make us spin. */
constexpr unsigned kMaxHastened = 4;
/** With the winning key, how many of our initiations go unanswered before theirs is accepted after
 * all. */
constexpr unsigned kInsist = 3;
/** An initiation is sent by every way there may be; so many of its copies get the response, too. */
constexpr unsigned kMaxCopies = 8;
/** An initiation goes to all addresses of a peer at once: for this long a second one of the same is
 * a copy, and later a replay. */
constexpr Duration kCopyWindow = std::chrono::milliseconds(500);
constexpr unsigned kCookieRepliesPerSecond = 500;
/** How long the side that gives way waits for the other's session before it tries again: theirs may
 * have been a replay. */
constexpr Duration kGiveWay = std::chrono::seconds(1);

/** The rest of a response's header is not authenticated otherwise: it has to repeat what was sent.
 */
bool answers(const wire::ClearHeader& response, const wire::ClearHeader& init) {
    return response.version_min == wire::kProtocolVersion &&
           response.version_max == wire::kProtocolVersion && response.suite == init.suite &&
           response.secret_id == init.secret_id && response.cluster_id == init.cluster_id;
}

bool mac1_valid(const StaticHashKey& key, ByteView before, ByteView mac1) {
    return crypto::equal(crypto::keyed_mac16(key, before), mac1);
}

void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

} // namespace

const ClusterSecret* Manager::State::secret(std::uint32_t id) const {
    for (const ClusterSecret& candidate : local.secrets) {
        if (candidate.id == id) {
            return &candidate;
        }
    }
    return nullptr;
}

/** Past the last when it is none of ours. */
std::size_t Manager::State::slot_of(std::uint8_t suite) const {
    const auto& all = local.suites;
    const auto found = std::find(all.begin(), all.end(), static_cast<crypto::Suite>(suite));
    return static_cast<std::size_t>(found - all.begin());
}

void Manager::State::send_init(Peer& peer, TimePoint now) {
    drop_attempt(peer);
    const ClusterSecret& proposed = local.secrets[peer.secret_slot % local.secrets.size()];
    const crypto::Suite suite = local.suites[peer.suite_slot];
    wire::ClearHeader header;
    header.suite = static_cast<std::uint8_t>(suite);
    header.sender_index = fresh_index(peer.id);
    header.secret_id = proposed.id;
    header.cluster_id = local.cluster_id;
    Bytes datagram = header.encode();
    Attempt attempt{crypto::Handshake(crypto::Pattern::ik_psk2,
                                      suite,
                                      true,
                                      datagram,
                                      local.identity->static_pair().clone(),
                                      peer.static_key,
                                      proposed.key->clone()),
                    header,
                    {},
                    {},
                    0};
    const wire::InitPayload payload{
        local.boot_epoch, ++handshake_counter, settings.lanes, settings.features};
    const auto message = attempt.noise.write(payload.encode());
    if (!message) {
        indexes.erase(header.sender_index);
        stop_trying(peer);
        count("session.init_impossible");
        return;
    }
    append(datagram, *message);
    attempt.mac1 = crypto::keyed_mac16(peer.mac1, datagram);
    append(datagram, attempt.mac1);
    crypto::Mac16 mac2{};
    if (peer.cookie && now < peer.cookie->until) {
        mac2 = crypto::keyed_mac16(peer.cookie->value, datagram);
    }
    append(datagram, mac2);
    attempt.datagram = datagram;
    peer.attempt.emplace(std::move(attempt));
    ++peer.tries;
    peer.retry_at = now + jittered(peer.backoff);
    peer.backoff = std::min(peer.backoff * 2, settings.retry_longest);
    count("session.init_sent");
    actions.emplace_back(SendTo{peer.id, std::move(datagram), std::nullopt});
}

void Manager::State::refuse(const wire::InitView& init,
                            wire::RefusalCode code,
                            const Origin& from,
                            TimePoint now) {
    if (!refusals.take(settings.refusals_per_second, now)) {
        count("session.refusal_suppressed");
        return;
    }
    count("session.refused");
    actions.emplace_back(Reply{from, wire::Refusal{code, init.header.sender_index}.encode()});
}

/** Everything that can be judged from the clear header, and the load. */
bool Manager::State::acceptable(const wire::InitView& init, const Origin& from, TimePoint now) {
    if (!mac1_valid(own_mac1, init.before_mac1, init.mac1)) {
        count("session.bad_mac1");
        return false;
    }
    const wire::ClearHeader& header = init.header;
    std::optional<wire::RefusalCode> code;
    if (header.version_min > wire::kProtocolVersion ||
        header.version_max < wire::kProtocolVersion) {
        code = wire::RefusalCode::version;
    } else if (header.cluster_id != local.cluster_id) {
        code = wire::RefusalCode::cluster;
    } else if (secret(header.secret_id) == nullptr) {
        code = wire::RefusalCode::secret;
    } else if (slot_of(header.suite) == local.suites.size()) {
        code = wire::RefusalCode::suite;
    }
    if (code) {
        refuse(init, *code, from, now);
        return false;
    }
    const FloodGuard::Verdict verdict = guard.judge(init, from, now);
    if (verdict == FloodGuard::Verdict::demand_cookie &&
        cookies.take(kCookieRepliesPerSecond, now)) {
        count("session.cookie_sent");
        actions.emplace_back(Reply{from, guard.cookie_reply(init, from, now)});
    } else if (verdict != FloodGuard::Verdict::allow) {
        count("session.init_over_limit");
    }
    return verdict == FloodGuard::Verdict::allow;
}

void Manager::State::on_init(ByteView datagram, const Origin& from, TimePoint now) {
    const auto init = wire::InitView::parse(datagram);
    if (!init) {
        count("session.malformed");
        return;
    }
    if (!acceptable(*init, from, now)) {
        return;
    }
    crypto::Handshake noise(crypto::Pattern::ik_psk2,
                            static_cast<crypto::Suite>(init->header.suite),
                            false,
                            init->prologue,
                            local.identity->static_pair().clone(),
                            std::nullopt,
                            secret(init->header.secret_id)->key->clone());
    const auto plain = noise.read(init->noise);
    const auto payload = plain ? wire::InitPayload::parse(*plain) : std::nullopt;
    if (!payload) {
        count("session.bad_init");
        return;
    }
    const auto owner = by_static.find(noise.remote_static());
    if (owner == by_static.end()) {
        if (noise.remote_static() != local.identity->static_public()) {
            refuse(*init, wire::RefusalCode::unknown_peer, from, now);
        }
        count("session.unknown_peer");
        return;
    }
    Peer& peer = peers.at(owner->second);
    const std::pair order{payload->boot_epoch, payload->handshake_counter};
#ifdef WEAVE_BREAK_HANDSHAKE_ORDER // the simulator proves that it notices
    peer.greatest = {0, 0};
#endif
    if (order <= peer.greatest) {
        const bool copy = order == peer.greatest &&
                          (answer_again(peer, *init, from) || now - peer.greatest_at < kCopyWindow);
        count(copy ? "session.init_copy" : "session.replayed_init");
        return;
    }
    peer.raise_epoch(payload->boot_epoch);
    peer.greatest = order;
    peer.greatest_at = now;
    if (yields(peer, from, now)) {
        answer(peer, *init, *payload, noise, from, now);
    }
    plan(peer);
}

/**
 * The same initiation came another way: perhaps only that one leads back. The keys are the same, so
 * the response is repeated, word for word. False: it is not, or no more.
 */
bool Manager::State::answer_again(Peer& peer, const wire::InitView& init, const Origin& from) {
    const auto response = wire::ResponseView::parse(peer.response);
    if (!peer.next || !response || response->receiver_index != init.header.sender_index ||
        peer.response_copies >= kMaxCopies) {
        return false;
    }
    ++peer.response_copies;
    actions.emplace_back(SendTo{peer.id, peer.response, from});
    return true;
}

/** Both initiate: the lower static key's initiation wins, and the other side answers it. */
bool Manager::State::yields(Peer& peer, const Origin& from, TimePoint now) {
    if (!peer.trying) {
        return true;
    }
    const bool ours_wins = local.identity->static_public() < peer.static_key;
    if (ours_wins && peer.attempt && peer.tries <= kInsist) {
        // Theirs got here, so the way back is open even where ours is not: say it again, that way.
        count("session.tie_won");
        actions.emplace_back(SendTo{peer.id, peer.attempt->datagram, from});
        return false;
    }
    count("session.tie_lost");
    drop_attempt(peer);
    peer.retry_at = now + jittered(kGiveWay);
    return true;
}

void Manager::State::answer(Peer& peer,
                            const wire::InitView& init,
                            const wire::InitPayload& payload,
                            crypto::Handshake& noise,
                            const Origin& from,
                            TimePoint now) {
    wire::ClearHeader header = init.header;
    header.type = wire::DatagramType::response;
    header.version_min = header.version_max = wire::kProtocolVersion;
    header.sender_index = fresh_index(peer.id);
    const auto message = noise.write(
        wire::ResponsePayload{settings.lanes, settings.features, header.sender_index}.encode());
    if (!message) {
        indexes.erase(header.sender_index);
        count("session.bad_init");
        return;
    }
    Bytes datagram = header.encode();
    std::array<std::uint8_t, 4> receiver{};
    wire::store_u32(receiver.data(), init.header.sender_index);
    append(datagram, receiver);
    append(datagram, *message);
    append(datagram, crypto::keyed_mac16(peer.mac1, datagram));
    append(datagram, crypto::Mac16{});
    if (peer.next) {
        retire(peer, *peer.next);
    }
    peer.next =
        Session{header.sender_index, now, TimePoint::max(), now + settings.reject_after, false};
    auto keys = std::make_shared<crypto::TransportKeys>(
        crypto::make_transport_keys(noise.split(),
                                    false,
                                    static_cast<crypto::Suite>(init.header.suite),
                                    settings.lanes,
                                    payload.lanes,
                                    header.sender_index,
                                    init.header.sender_index));
    peer.response = datagram;
    peer.response_copies = 0;
    actions.emplace_back(install(peer, std::move(keys), payload.features, false, from, now));
    actions.emplace_back(SendTo{peer.id, std::move(datagram), from});
    count("session.response_sent");
}

Install Manager::State::install(const Peer& peer,
                                std::shared_ptr<crypto::TransportKeys> keys,
                                std::uint32_t features,
                                bool send_now,
                                const Origin& from,
                                TimePoint now) const {
    const TimePoint seal_until = now + settings.reject_after;
    return {peer.id,
            std::move(keys),
            send_now,
            from,
            seal_until,
            seal_until + settings.grace,
            features};
}

void Manager::State::on_response(ByteView datagram, const Origin& from, TimePoint now) {
    const auto response = wire::ResponseView::parse(datagram);
    if (!response) {
        count("session.malformed");
        return;
    }
    if (!mac1_valid(own_mac1, response->before_mac1, response->mac1)) {
        count("session.bad_mac1");
        return;
    }
    Peer* peer = find_index(response->receiver_index);
    if (peer == nullptr || !peer->attempt ||
        peer->attempt->header.sender_index != response->receiver_index) {
        count("session.late_response");
        return;
    }
    Attempt& attempt = *peer->attempt;
    if (attempt.bad_responses >= kMaxBadResponses || !answers(response->header, attempt.header)) {
        count("session.bad_response");
        return;
    }
    const auto plain = attempt.noise.read(response->noise);
    if (!plain) {
        ++attempt.bad_responses;
        count("session.bad_response");
        return;
    }
    const auto payload = wire::ResponsePayload::parse(*plain);
    if (!payload) {
        // Authentic and yet wrong: this attempt can go nowhere, the next one may.
        drop_attempt(*peer);
        count("session.bad_response");
        return;
    }
    install_as_initiator(*peer, *payload, from, now);
}

void Manager::State::install_as_initiator(Peer& peer,
                                          const wire::ResponsePayload& payload,
                                          const Origin& from,
                                          TimePoint now) {
    const std::uint32_t index = peer.attempt->header.sender_index;
    auto keys = std::make_shared<crypto::TransportKeys>(
        crypto::make_transport_keys(peer.attempt->noise.split(),
                                    true,
                                    static_cast<crypto::Suite>(peer.attempt->header.suite),
                                    settings.lanes,
                                    payload.lanes,
                                    index,
                                    payload.sender_index)); // the one in clear may be forged
    stop_trying(peer);
    indexes.emplace(index, peer.id);
    for (auto* session : {&peer.current, &peer.next}) {
        if (*session) {
            supersede(peer, **session);
            session->reset();
        }
    }
    peer.current = Session{index,
                           now,
                           now + settings.rekey_after + jittered(settings.rekey_after / 32),
                           now + settings.reject_after,
                           false};
    peer.hint.reset();
    peer.suite_slot = 0; // anybody may have said so: the next handshake asks again
    plan(peer);
    count("session.established");
    actions.emplace_back(install(peer, std::move(keys), payload.features, true, from, now));
}

void Manager::State::hasten(Peer& peer, TimePoint now) {
    if (peer.tries <= kMaxHastened) {
        peer.retry_at = std::min(peer.retry_at, now + jittered(std::chrono::milliseconds(100)));
        plan(peer);
    }
}

void Manager::State::on_cookie(ByteView datagram, TimePoint now) {
    const auto reply = wire::CookieReply::parse(datagram);
    Peer* peer = reply ? find_index(reply->receiver_index) : nullptr;
    if (peer == nullptr || !peer->attempt ||
        peer->attempt->header.sender_index != reply->receiver_index) {
        count("session.late_cookie");
        return;
    }
    Bytes cookie;
    if (!crypto::xchacha_open(
            peer->cookie_key, reply->nonce, peer->attempt->mac1, reply->sealed, cookie)) {
        count("session.bad_cookie");
        return;
    }
    peer->cookie = Cookie{std::move(cookie), now + kCookieLife};
    count("session.cookie_received");
    hasten(*peer, now);
}

void Manager::State::on_refusal(ByteView datagram, TimePoint now) {
    const auto refusal = wire::Refusal::parse(datagram);
    Peer* peer = refusal ? find_index(refusal->receiver_index) : nullptr;
    if (peer == nullptr || !peer->attempt ||
        peer->attempt->header.sender_index != refusal->receiver_index) {
        count("session.late_refusal");
        return;
    }
    count("session.refusal_received");
    peer->hint = refusal->code;
    // Of the one that was sent: its copies by other ways are refused, too.
    const std::size_t next_suite = slot_of(peer->attempt->header.suite) + 1;
    if (refusal->code == wire::RefusalCode::suite && next_suite < local.suites.size()) {
        peer->suite_slot = next_suite;
        hasten(*peer, now);
    } else if (refusal->code == wire::RefusalCode::secret && local.secrets.size() > 1) {
        const auto sent =
            std::ranges::find(local.secrets, peer->attempt->header.secret_id, &ClusterSecret::id);
        peer->secret_slot = static_cast<std::size_t>(sent - local.secrets.begin() + 1);
        hasten(*peer, now);
    }
}

} // namespace weave::session
