// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "session/types.hpp"
#include "wire/packet.hpp"

#include <optional>
#include <variant>
#include <vector>

namespace weave::session {

struct PathSettings {
    /** One-way silence (we send, nothing comes back) after which probing starts, and its pace. */
    Duration silence = std::chrono::milliseconds(170);
    Duration fast_probe = std::chrono::milliseconds(130);
    /** Unanswered fast probes that make a path down. */
    unsigned lost_limit = 3;
    /** Pace of probes on a path without traffic, and on candidates that are not in use. */
    Duration idle_probe = std::chrono::seconds(2);
    Duration candidate_probe = std::chrono::seconds(5);
    /** Silence of a peer that should probe this end, after which this end does. Longer than
     * idle_probe with its jitter. */
    Duration missed_probe = std::chrono::milliseconds(2500);
    /** Pace of probes where nobody watches. */
    Duration unwatched_probe = std::chrono::seconds(20);
    /** First pace of probes on a way that is down; it slows down to the two above. */
    Duration eager_probe = std::chrono::milliseconds(250);
    /** How much faster, as a ratio of round-trip times, another direct path must be to take over.
     */
    double switch_ratio = 0.7;
    /** Sizes are of whole IP packets, headers included. */
    std::uint16_t base_mtu = wire::kBaseMtu;
    std::uint16_t interface_mtu = 1500;
    Duration mtu_verify = std::chrono::seconds(2);
    Duration mtu_raise = std::chrono::seconds(60);
    /** Unanswered probes of one size that fail it. */
    unsigned mtu_lost_limit = 3;
    std::size_t max_candidates = 16;
};

/** Which end finds out whether a path without traffic works. Under traffic both do. */
enum class Watch : std::uint8_t {
    leads,   ///< this one, by a probe each PathSettings::idle_probe
    follows, ///< the other one: this one probes when it hears nothing for missed_probe
    none,    ///< none: a probe each unwatched_probe, and no search for larger packets
};

/** Send a probe record with this id; pad it so that the IP packet has `datagram_size` bytes (0: do
 * not pad). */
struct SendProbe {
    std::uint64_t id = 0;
    std::optional<Endpoint> direct; ///< nullopt: via the relay
    std::uint16_t datagram_size = 0;
};

/** Send records this way from now on. */
struct Use {
    enum class Kind : std::uint8_t { none, direct, relay };

    Kind kind = Kind::none;
    Endpoint direct; ///< with Kind::direct
    NodeId relay;    ///< with Kind::relay: the next hop

    bool operator==(const Use&) const = default;
};

/** The greatest IP packet to send on the path in use. */
struct Mtu {
    std::uint16_t size = 0;
    /** Probes proved it, and no search that would change it runs: worth telling to others. */
    bool settled = false;

    bool operator==(const Mtu&) const = default;
};

/** Some path works again, or none does any more. */
struct PathUp {};

struct PathDown {};

using PathAction = std::variant<SendProbe, Use, Mtu, PathUp, PathDown>;

/** What a path monitor knows of the way in use, for a process that goes on with it. */
struct PathState {
    Use use;
    Mtu mtu;
    std::optional<Duration> rtt;
    std::uint16_t interface_mtu = 0;

    bool operator==(const PathState&) const = default;
};

/**
 * Watches the ways to one peer: every candidate endpoint and the relay. Says which one to use, when
 * none works, and how large a packet may be (in the manner of RFC 8899). Sans-I/O, one thread,
 * bounded by PathSettings::max_candidates.
 */
class PathMonitor {
  public:
    PathMonitor(PathSettings settings, RandomSource random);

    /** Endpoints where the peer may be; those that are gone are dropped, state of others is kept.
     */
    void set_candidates(const std::vector<Endpoint>& candidates, TimePoint now);
    /** The next hop towards the peer, where the mesh knows one. */
    void set_relay(std::optional<NodeId> relay, TimePoint now);
    /** An authenticated datagram came from here: roaming and NAT make candidates nobody announced.
     */
    void on_received(const Endpoint& from, TimePoint now);
    /** A datagram of the peer came by a relay although a direct way is in use: perhaps that does
     * not work any more. It is probed at once, at most once a second. */
    void on_relayed(TimePoint now);
    /** The peer has new keys: what could not be probed before can be now. */
    void on_session(TimePoint now);
    /** Last authenticated receipt from, and last send to, the peer on the path in use. What answers
     * its probes should not count as sent; what was just asked for by SendProbe may. */
    void on_traffic(TimePoint last_received, TimePoint last_sent, TimePoint now);
    /** At the beginning this end leads. */
    void set_watch(Watch watch, TimePoint now);
    /** Packets close to the current size are flowing: its verification is worth the probes. */
    void on_large_packets(TimePoint now);
    /** The kernel said a packet was too big for the path in use (EMSGSIZE or an ICMP message's
     * effect). */
    void on_too_big(TimePoint now);
    /** The MTU of the interface, or route, that the path in use leaves by. */
    void set_interface_mtu(std::uint16_t size, TimePoint now);
    /**
     * An answer. The way is the one the probe with this id went, wherever the answer came from, and
     * an authenticated probe arrives whole or not at all: origin and size are for the caller's
     * statistics.
     */
    void on_probe_ack(std::uint64_t id,
                      const std::optional<Endpoint>& direct,
                      std::uint16_t size,
                      TimePoint now);
    void tick(TimePoint now);
    /** When tick() has something to do, unless something is heard or sent before. */
    [[nodiscard]] TimePoint next_deadline() const;
    std::vector<PathAction> take_actions();

    [[nodiscard]] bool up() const { return use_.kind != Use::Kind::none; }

    [[nodiscard]] const Use& in_use() const { return use_; }

    [[nodiscard]] std::uint16_t mtu() const { return mtu_.current; }

    /** Smoothed round-trip time of the path in use. */
    [[nodiscard]] std::optional<Duration> rtt();

    [[nodiscard]] PathState state();
    /** Before anything else: the way that a predecessor of this process used is in use. No action
     * tells of it. */
    void take_over(const PathState& state, TimePoint now);

    /** How much is held, for the bounds that tests watch. */
    struct Sizes {
        static constexpr std::size_t kMaxFlying = 16;
        std::size_t ways = 0;   ///< at most PathSettings::max_candidates, and the relay
        std::size_t flying = 0; ///< most probes of any one way
    };

    [[nodiscard]] Sizes sizes() const;

  private:
    struct Probe {
        std::uint64_t id = 0;
        TimePoint sent;
    };

    /** One way to the peer: a candidate endpoint, or the relay (no endpoint). */
    struct Way {
        std::optional<Endpoint> endpoint;
        bool announced = true;
        bool up = false;
        /** Has been down: from then on only an answered probe counts as proof. */
        bool failed = false;
        /** Probes sent since the last answer, and when the first of them was. */
        unsigned unanswered = 0;
        TimePoint unanswered_since;
        std::optional<Duration> rtt;
        /** Between probes on a way that is down. */
        Duration interval{};
        /** At the slow pace. Where there is doubt probe_at() is earlier. */
        TimePoint next_probe;
        /** The last probe but those of the size search: when it was due, and when it was sent. */
        TimePoint paced{}, asked{};
        std::vector<Probe> flying;
        /** Proved when it was last in use; 0: never was. */
        std::uint16_t mtu = 0;
    };

    struct MtuSearch {
        std::uint16_t current = 0; ///< to send at most
        std::uint16_t low = 0;     ///< proved, or assumed
        std::uint16_t high = 0;    ///< fails (exclusive upper bound)
        std::uint16_t probing = 0; ///< size in flight; 0: none
        bool proved = false;       ///< `current` is
        Mtu announced;             ///< to the driver
        unsigned lost = 0;         ///< probes of `probing` that were lost while a small one was not
        std::uint64_t probe_id = 0;
        std::uint64_t small_id = 0;
        bool small_through = false;
        TimePoint probe_sent;
        TimePoint next = TimePoint::max();     ///< when to probe, while `probing` is 0
        TimePoint raise_at = TimePoint::max(); ///< when to try larger sizes again
        TimePoint large_until = TimePoint::min();
    };

    Way* find(const std::optional<Endpoint>& endpoint);
    Way* active();
    Way* add_way(const std::optional<Endpoint>& endpoint, bool announced, TimePoint now);
    void answered(Way& way, TimePoint sent, TimePoint now);
    [[nodiscard]] bool in_use(const Way& way) const;
    void ask(Way& used, TimePoint now);
    Duration jittered(Duration duration);
    std::uint64_t fresh_id();
    void choose(TimePoint now);
    void use(Way* way, TimePoint now);

    // path_watch.cpp
    void tick_way(Way& way, TimePoint now);
    void schedule(Way& way, TimePoint now);
    [[nodiscard]] Duration slow_pace(const Way& way) const;
    [[nodiscard]] TimePoint missed_at() const;
    void probe_others(TimePoint now);
    std::uint64_t send_small(Way& way, TimePoint now);
    [[nodiscard]] TimePoint silent_at() const;
    [[nodiscard]] TimePoint probe_at(const Way& way) const;
    [[nodiscard]] TimePoint dead_at(const Way& way) const;
    [[nodiscard]] Duration timeout(const Way& way) const;

    // path_mtu.cpp
    void restart_mtu(Way& way, TimePoint now);
    void take_over_mtu(Way& way, const Mtu& known, TimePoint now);
    void tick_mtu(TimePoint now);
    void send_mtu_probe(Way& way, std::uint16_t size, TimePoint now);
    void mtu_answered(TimePoint now);
    void mtu_failed(TimePoint now);
    void search_on(TimePoint now);
    void rest(TimePoint now);
    void fall_back(TimePoint now);
    void set_mtu(std::uint16_t size);
    void announce(bool settled);
    [[nodiscard]] TimePoint mtu_deadline() const;

    PathSettings settings_;
    RandomSource random_;
    std::vector<Way> ways_;
    std::optional<NodeId> relay_;
    Use use_;
    TimePoint last_received_ = TimePoint::min();
    TimePoint last_sent_ = TimePoint::min();
    TimePoint last_asked_ = TimePoint::min(); ///< last_sent_, unless it was with a probe
    /** The first moment at which something may have been sent since something was received. */
    std::optional<TimePoint> waiting_since_;
    TimePoint looked_ = TimePoint::min(); ///< the last on_traffic()
    TimePoint probed_ = TimePoint::min(); ///< the last SendProbe
    TimePoint moved_until_ = TimePoint::min();
    Watch watch_ = Watch::leads;
    TimePoint watched_since_ = TimePoint::min(); ///< in this manner
    MtuSearch mtu_;
    std::vector<PathAction> actions_;
};

} // namespace weave::session
