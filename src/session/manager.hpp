// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "crypto/identity.hpp"
#include "crypto/transport_keys.hpp"
#include "session/types.hpp"
#include "wire/datagram.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weave::session {

/** Why a peer has no session any more. */
enum class DownReason : std::uint8_t {
    expired,      ///< the last key reached its age limit and no newer one came
    gave_up,      ///< nobody answered for Settings::give_up_after
    peer_removed, ///< remove_peer(), or set_peer() with another key
    closed,       ///< close(), or the peer said that it closes
    forgeries,    ///< Settings::max_failed_opens forged records came under one key
};
/** A sentence for a person. */
std::string_view sentence(DownReason reason);
/** What a refusal claims, for a person. Anybody can send one. */
std::string_view sentence(wire::RefusalCode code);

struct Settings {
    /** Age at which the side that initiated starts a new handshake; the other side waits 10 s more.
     */
    Duration rekey_after = std::chrono::seconds(120);
    /** Age at which a key is not used any more, in either direction. */
    Duration reject_after = std::chrono::seconds(180);
    /** How long a superseded key still opens what was in flight. */
    Duration grace = std::chrono::seconds(10);
    Duration retry_first = std::chrono::milliseconds(500);
    Duration retry_longest = std::chrono::seconds(5);
    Duration give_up_after = std::chrono::seconds(90);
    /** Records under one key after which a new handshake starts (the hard limit is crypto's, 2^36).
     */
    std::uint64_t rekey_records = std::uint64_t{1} << 34;
    /** Records that did not open under one key after which its peer gets new ones. RFC 9001, 6.6
     * grants ChaCha20-Poly1305 2^36; fewer leave more of a margin and are seen in attacks only. */
    std::uint64_t max_failed_opens = std::uint64_t{1} << 30;
    /** Initiations answered per second without a cookie, from all sources and from each one. */
    unsigned handshakes_per_second = 200;
    unsigned handshakes_per_source = 20;
    /** Refusals sent per second, all of them together. */
    unsigned refusals_per_second = 20;
    std::uint8_t lanes = 1;
    /** What this node can take; bits of wire/packet.hpp. */
    std::uint32_t features = 0;
    std::size_t max_peers = 4096;
};

/** Who this node is. The identity must outlive the manager. */
struct Local {
    const crypto::Identity* identity = nullptr;
    wire::ClusterId cluster_id{};
    /** One or two; the first is proposed, any is accepted. */
    std::vector<ClusterSecret> secrets;
    std::uint64_t boot_epoch = 0;
    /** At least one. Proposed in this order, the next when a peer refuses the one before; any is
     * accepted, and no other. */
    std::vector<crypto::Suite> suites = crypto::available_suites();
};

/** A datagram for a peer. Without `reply_to` it goes by the current path, or by every one that may
 * work. */
struct SendTo {
    NodeId peer;
    Bytes datagram;
    std::optional<Origin> reply_to;
};

/** A datagram for whoever is at `to`, member or not. */
struct Reply {
    Origin to;
    Bytes datagram;
};

/** New keys. With `send_now` send with them, and send something at once; otherwise only receive
 * until Promote. */
struct Install {
    NodeId peer;
    std::shared_ptr<crypto::TransportKeys> keys;
    bool send_now = false;
    /** Where the handshake message came from. With `send_now` it answers a message of ours; else it
     * may be a replay, and proves nothing before a record opens. */
    Origin from;
    TimePoint seal_until;       ///< nothing is sealed with them from then on
    TimePoint open_until;       ///< nor opened
    std::uint32_t features = 0; ///< what the peer says it can take
};

/** The peer has proved that it has these keys: send with them. */
struct Promote {
    NodeId peer;
    std::uint32_t local_index = 0;
};

/** Forget these keys. */
struct Retire {
    NodeId peer;
    std::uint32_t local_index = 0;
};

/** Nothing can be sent to the peer now. `hint` is what the peer last refused with, if it did (not
 * authenticated). */
struct SessionDown {
    NodeId peer;
    DownReason reason = DownReason::expired;
    std::optional<wire::RefusalCode> hint;
};

/** Something to count under this name; static storage. */
struct Counted {
    std::string_view name;
};

using Action = std::variant<SendTo, Reply, Install, Promote, Retire, SessionDown, Counted>;

/** One session's part in the machine's timing. */
struct SessionAge {
    std::uint32_t local_index = 0;
    TimePoint created;
    TimePoint rekey_at = TimePoint::max();
    TimePoint retire_at;
    /** The peer has proved that it has the keys. */
    bool confirmed = false;
};

/** What the machine knows of a peer, for a process that goes on with its keys. */
struct PeerSessions {
    NodeId node;
    crypto::PublicKey static_key{};
    /** The greatest (boot epoch, handshake counter) an initiation of this peer carried, and when.
     */
    std::pair<std::uint64_t, std::uint64_t> greatest{0, 0};
    TimePoint greatest_at{};
    std::optional<SessionAge> current;
    /** Answered, but the initiator has not sent under it yet. */
    std::optional<SessionAge> next;
    /** Superseded; still open what was in flight. Oldest first. */
    std::vector<SessionAge> old;
};

/**
 * All UDP data sessions of a node: Noise IKpsk2 handshakes, rekeying, retries, expiry and
 * protection against floods. Sans-I/O: the driver passes datagrams and time in and carries actions
 * out, in order. One thread. Memory is bounded by Settings::max_peers.
 */
class Manager {
  public:
    Manager(Settings settings, Local local, RandomSource random);
    ~Manager();
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    /**
     * Lets `node` in under this X25519 key. A changed key ends the sessions under the old one.
     * `boot_epoch` is the one it signed for: initiations of earlier ones are replays.
     */
    void
    set_peer(const NodeId& node, const crypto::PublicKey& static_key, std::uint64_t boot_epoch = 0);
    void remove_peer(const NodeId& node);
    /** Someone wants to send: starts a handshake when there is no usable session. Cheap when there
     * is. True when this started one. */
    bool open(const NodeId& node, TimePoint now);
    /**
     * Records go out and nothing comes back, for seconds: the peer may have lost its keys (a
     * restart). Starts a handshake unless the session is very young; the session stays in use
     * meanwhile.
     */
    void suspect(const NodeId& node, TimePoint now);
    /** Drops the sessions of a peer without telling it. */
    void close(const NodeId& node);
    /** The peer said, under this key, that it closes. Under one that was superseded it means
     * nothing. */
    void on_peer_closed(std::uint32_t local_index);
    /** Replaces the live secrets; running sessions go on until their next handshake. */
    void set_secrets(std::vector<ClusterSecret> secrets);
    /** A greater epoch than before, after someone else was heard to use ours. */
    void set_boot_epoch(std::uint64_t epoch);

    /** Types 1, 2, 3 and 6; others are counted and dropped. */
    void on_datagram(ByteView datagram, const Origin& from, TimePoint now);
    /** A record under this key opened. Needed once per key; more calls are harmless. */
    void on_authenticated(std::uint32_t local_index, TimePoint now);
    /** Records sealed so far under this key, on the lane with most. */
    void on_key_usage(std::uint32_t local_index, std::uint64_t records, TimePoint now);
    /** Records so far that did not open under this key, all lanes together. */
    void on_failed_opens(std::uint32_t local_index, std::uint64_t records, TimePoint now);
    void tick(TimePoint now);
    /** When tick() is due; TimePoint::max() when nothing is waiting. */
    [[nodiscard]] TimePoint next_deadline() const;

    std::vector<Action> take_actions();

    /** A session that can send exists. */
    [[nodiscard]] bool usable(const NodeId& node) const;
    [[nodiscard]] std::size_t peer_count() const;

    /** For a successor of this process that has the same identity and boot epoch. Attempts are not
     * handed over. */
    [[nodiscard]] std::vector<PeerSessions> sessions() const;
    [[nodiscard]] std::uint64_t handshake_counter() const;
    /** Before anything else: goes on with the sessions of a predecessor. */
    void take_over(const std::vector<PeerSessions>& peers, std::uint64_t handshake_counter);
    /** Another process may have spoken in this one's name meanwhile: no initiation is taken for
     * one of its, and every session is ended and made anew. */
    void renew(TimePoint now);

    /** How much is held, for the bounds that tests watch. */
    struct Sizes {
        /** Of an attempt, a session in use and one to come, three old ones. */
        static constexpr std::size_t kIndexesPerPeer = 6;
        std::size_t peers = 0; ///< at most Settings::max_peers
        std::size_t indexes = 0;
    };

    [[nodiscard]] Sizes sizes() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weave::session
