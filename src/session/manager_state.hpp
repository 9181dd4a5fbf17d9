// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/deadlines.hpp"
#include "session/flood_guard.hpp"
#include "session/manager.hpp"

#include <map>
#include <unordered_map>
#include <utility>

namespace weave::session {

/** What Manager hides. One handshake at a time per peer as initiator; any number, checked, as
 * responder. */
struct Manager::State {
    using Session = SessionAge;

    struct Attempt {
        crypto::Handshake noise;
        /** As sent: its index is ours, its suite the proposed one. */
        wire::ClearHeader header;
        std::array<std::uint8_t, wire::kMacSize> mac1{};
        Bytes datagram;
        unsigned bad_responses = 0;
    };

    struct Cookie {
        Bytes value;
        TimePoint until;
    };

    struct Peer {
        NodeId id;
        crypto::PublicKey static_key{};
        StaticHashKey mac1{};
        StaticHashKey cookie_key{};
        /** The greatest (boot epoch, handshake counter) an initiation of this peer carried. */
        std::pair<std::uint64_t, std::uint64_t> greatest{0, 0};
        TimePoint greatest_at{};

        /** Initiating: between begin() and a session, or giving up. The attempt is empty while we
         * wait for theirs. */
        bool trying = false;
        std::optional<Attempt> attempt;
        unsigned tries = 0;
        Duration backoff{};
        TimePoint retry_at;
        TimePoint give_up_at;
        std::optional<Cookie> cookie;
        std::size_t secret_slot = 0;
        std::size_t suite_slot = 0; ///< of Local::suites: what to propose
        std::optional<wire::RefusalCode> hint;

        std::optional<Session> current;
        /** Answered, but the initiator has not sent under it yet. */
        std::optional<Session> next;
        /** The response that made `next`, for copies of its initiation that came another way. */
        Bytes response;
        unsigned response_copies = 0;
        /** Superseded; still open what was in flight. Oldest first, at most kMaxOld. */
        std::vector<Session> old;

        /** It signed for this boot epoch: what it said in earlier ones is over, also where it was
         * not heard then. What was learned from hints is asked anew. */
        void raise_epoch(std::uint64_t boot_epoch) {
            if (boot_epoch > greatest.first) {
                greatest = {boot_epoch, 0};
                suite_slot = 0;
            }
        }
    };

    static constexpr std::size_t kMaxOld = 3;

    State(Settings settings_in, Local local_in, RandomSource random_in);

    // manager.cpp: peers, keys' ages, timers
    Peer* find(const NodeId& node);
    Peer* find_index(std::uint32_t index);
    void drop_sessions(Peer& peer);
    void retire(const Peer& peer, const Session& session);
    void supersede(Peer& peer, const Session& session);
    void confirm(Peer& peer, TimePoint now);
    void promote(Peer& peer, TimePoint now);
    void begin(Peer& peer, TimePoint now, Duration delay);
    void stop_trying(Peer& peer);
    void drop_attempt(Peer& peer);
    void tick(Peer& peer, TimePoint now);
    void tick_sessions(Peer& peer, TimePoint now);
    TimePoint deadline(const Peer& peer) const;

    /** After whatever may have moved deadline(peer). */
    void plan(const Peer& peer) { deadlines.set(peer.id, deadline(peer)); }

    std::uint32_t fresh_index(const NodeId& node);
    Duration jittered(Duration duration);

    void count(std::string_view name) { actions.emplace_back(Counted{name}); }

    // manager_handshake.cpp: the four datagrams
    void send_init(Peer& peer, TimePoint now);
    void on_init(ByteView datagram, const Origin& from, TimePoint now);
    bool acceptable(const wire::InitView& init, const Origin& from, TimePoint now);
    void answer(Peer& peer,
                const wire::InitView& init,
                const wire::InitPayload& payload,
                crypto::Handshake& noise,
                const Origin& from,
                TimePoint now);
    bool answer_again(Peer& peer, const wire::InitView& init, const Origin& from);
    bool yields(Peer& peer, const Origin& from, TimePoint now);
    void on_response(ByteView datagram, const Origin& from, TimePoint now);
    void install_as_initiator(Peer& peer,
                              const wire::ResponsePayload& payload,
                              const Origin& from,
                              TimePoint now);
    Install install(const Peer& peer,
                    std::shared_ptr<crypto::TransportKeys> keys,
                    std::uint32_t features,
                    bool send_now,
                    const Origin& from,
                    TimePoint now) const;
    void on_cookie(ByteView datagram, TimePoint now);
    void on_refusal(ByteView datagram, TimePoint now);
    void
    refuse(const wire::InitView& init, wire::RefusalCode code, const Origin& from, TimePoint now);
    void hasten(Peer& peer, TimePoint now);
    const ClusterSecret* secret(std::uint32_t id) const;
    std::size_t slot_of(std::uint8_t suite) const;

    Settings settings;
    Local local;
    RandomSource random;
    FloodGuard guard;
    StaticHashKey own_mac1;
    TokenBucket refusals;
    TokenBucket cookies;
    std::uint64_t handshake_counter = 0;
    std::unordered_map<NodeId, Peer> peers;
    Deadlines<NodeId> deadlines; ///< deadline() of each peer
    std::map<crypto::PublicKey, NodeId> by_static;
    /** Our indexes in use, of attempts and sessions. */
    std::unordered_map<std::uint32_t, NodeId> indexes;
    std::vector<Action> actions;
};

} // namespace weave::session
