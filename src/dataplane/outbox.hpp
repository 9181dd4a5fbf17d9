// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/equal.hpp"
#include "dataplane/fast_port.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/punter.hpp"
#include "dataplane/segment.hpp"
#include "dataplane/snapshot.hpp"
#include "os/udp_socket.hpp"

#include <array>
#include <optional>

namespace weave::dataplane {

/** Where and under which keys records to one peer go now. */
struct Route {
    PeerIndex index = kNoPeer;
    const PeerEntry* peer = nullptr;
    DataSession* session = nullptr;
    DataSession* hop = nullptr; ///< relayed: the session with the next hop
    PeerState* first = nullptr; ///< of the peer that gets the datagram: itself or the hop
    Endpoint to;
    IpAddress source;              ///< unspecified = the kernel's choice
    std::uint8_t marks = 0;        ///< DSCP and ECN of the underlay's packets
    const FastHop* fast = nullptr; ///< past the kernel, where the lane has that port
    /** The largest plaintext of a datagram that fits the path, in bytes; 0 when nothing does. */
    std::size_t room = 0;
    /** A larger one shows whether the path still carries what it is taken to carry. */
    std::size_t large = 0;
    /** `room` was measured: senders may be told of it. */
    bool settled = true;

    /** Whoever opens it and, relayed, whoever passes it on can take this. */
    [[nodiscard]] bool takes(wire::Features feature) const {
        return session->peer_takes(feature) && (hop == nullptr || hop->peer_takes(feature));
    }

    /** In one datagram, or one train: nothing may differ, the marks neither. */
    [[nodiscard]] bool same_target(const Route& other) const {
        return session == other.session && hop == other.hop && index == other.index &&
               marks == other.marks && equal(to, other.to);
    }
};

/** IP and UDP headers in front of a datagram. */
inline std::size_t underlay_overhead(const IpAddress& to) {
    return to.is_v4() ? 28 : 48;
}

/** Sends what goes to `route.to` as everything else that goes there directly. */
inline void take_fast_hop(const PeerEntry& peer, Route& route) {
    if (peer.path.kind == Path::Kind::direct && peer.path.fast.port != FastHop::kNoPort &&
        equal(peer.path.endpoint, route.to)) {
        route.fast = &peer.path.fast;
    }
}

/** Fills `route` for a peer by its path; nullopt on success, else why nothing can be sent. */
std::optional<Drop> find_route(const PeerTable& peers, PeerIndex index, Route& route);
/** The hop's part of a route: through peer `via`, which must be reached directly. */
std::optional<Drop> route_through(const PeerTable& peers, PeerIndex via, Route& route);

/**
 * Seals records into a send arena and sends runs of equal-sized datagrams to one target as trains.
 * Small frames for one peer share a record as long as nothing else goes out between them.
 */
class Outbox {
  public:
    struct Config {
        unsigned lane = 0;
        const os::UdpSocket* udp4 = nullptr;
        const os::UdpSocket* udp6 = nullptr;
    };

    Outbox(const Config& config, LaneCounters& counters, Punter& punter);

    /** Between batches. nullptr: that interface is served no more. */
    void set_fast_port(std::uint8_t port, FastPort* served) { fast_[port] = served; }

    /** Starts a batch. `settings` is valid until flush(). */
    void begin(const Settings& settings, TimePoint now);
    /** Seals `plaintext` (records with their headers) as one datagram. The bytes are read before
     * this returns. */
    void seal(const Route& route, ByteView plaintext);
    /** Seals one frame, perhaps together with others. Four bytes in front of it are overwritten. */
    void send_frame(const Route& route, ByteSpan frame, std::uint8_t flags);
    /** The same of all frames of `pieces`. */
    void send_frames(const Route& route, Segmenter& pieces, std::uint8_t flags);
    /** Wraps `inner` for a relay hop: `route` needs `hop` and `to` only. */
    void relay(const Route& route,
               std::uint8_t ttl,
               const RelayAddress& to,
               const RelayAddress& from,
               ByteView inner);
    /** Sends a datagram in clear (handshakes). */
    void send_plain(const Endpoint& to, const IpAddress& source, ByteView datagram);
    /** Seals and sends all that waits. */
    void flush();

    /** In this batch the kernel's send buffer was full: whoever can wait should. */
    [[nodiscard]] bool congested() const { return waits_ != 0; }

  private:
    static constexpr std::size_t kTrainBytes = 65000;
    static constexpr std::size_t kTrainFrames = 64;
    /** A datagram that comes to another lane than its own must fit the way there. */
    static constexpr std::size_t kSharedBytes =
        Handoff::kMaxDatagram - wire::kDataOverhead - wire::kRelayOverhead;

    void note_sent(const Route& route, std::size_t frames, std::size_t bytes);
    void put_frame(const Route& route, ByteSpan frame, std::uint8_t flags);
    void seal_shared();
    /** Room for a datagram of `size` bytes behind the current train, which is sent first where it
     * must. */
    std::uint8_t* reserve(const Route& route, std::size_t size);
    void commit(std::size_t size);
    bool wrap(const Route& route,
              std::uint8_t* at,
              std::size_t inner_size,
              std::uint8_t ttl,
              const RelayAddress& to,
              const RelayAddress& from);
    /** False: the key may seal no more. It was counted, and the control thread told. */
    bool seal_one(DataSession& session, PeerIndex peer, crypto::SealItem& item);
    void refuse_seal(DataSession& session, PeerIndex peer, Drop reason);
    void report_too_big();
    void send_train_now();
    [[nodiscard]] bool trains_arrive();
    bool shorten_tail();
    [[nodiscard]] const os::UdpSocket* socket() const;
    bool wait_for_room();
    void finish_train();
    /** True when an interface's own socket took the train. */
    bool send_fast();

    Config config_;
    std::array<FastPort*, kMaxFastPorts> fast_{};
    LaneCounters& counters_;
    Punter& punter_;
    const Settings* settings_ = nullptr;
    TimePoint now_{};

    Route train_;
    std::size_t used_ = 0;
    std::size_t segment_ = 0;
    std::size_t count_ = 0;
    bool closed_ = false;
    TimePoint too_big_told_{};
    int waits_ = 0;

    Route shared_;
    std::size_t shared_used_ = 0;
    std::array<std::uint8_t, kSharedBytes> share_;
    alignas(64) std::array<std::uint8_t, 65536 + 4096> arena_;
};

} // namespace weave::dataplane
