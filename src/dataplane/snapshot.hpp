// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"
#include "dataplane/counters.hpp"
#include "dataplane/data_session.hpp"
#include "dataplane/kernel_errors.hpp"
#include "dataplane/marks.hpp"
#include "dataplane/tables.hpp"
#include "dataplane/underlay_frame.hpp"
#include "wire/datagram.hpp"
#include "wire/packet.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace weave::dataplane {

/** At most this many lanes: the receiver index has six bits for them. */
using crypto::kMaxLanes;

/** How datagrams reach a peer now. */
struct Path {
    enum class Kind : std::uint8_t { none, direct, relay };
    Kind kind = Kind::none;
    Endpoint endpoint; ///< direct
    IpAddress source;  ///< direct: local address to send from; unspecified = the kernel's choice
    PeerIndex via = kNoPeer; ///< relay: the next hop, itself a peer with a direct path
    FastHop fast{};          ///< direct: past the kernel, where that can be
};

/** The bound on frames that all lanes together keep for a peer without a session. Any thread. */
class WaitingRoom {
  public:
    static constexpr std::size_t kMaxFrames = 64;
    static constexpr std::size_t kMaxBytes = 256 * 1024;

    /** False when there is no room. */
    bool enter(std::size_t bytes) {
        const std::size_t frames = frames_.fetch_add(1) + 1;
        const std::size_t total = bytes_.fetch_add(bytes) + bytes;
        if (frames <= kMaxFrames && total <= kMaxBytes) {
            return true;
        }
        leave(bytes);
        return false;
    }

    [[nodiscard]] bool occupied() const { return frames_.load() != 0; }

    void leave(std::size_t bytes) {
        frames_.fetch_sub(1);
        bytes_.fetch_sub(bytes);
    }

  private:
    std::atomic<std::size_t> frames_{0};
    std::atomic<std::size_t> bytes_{0};
};

/** Which trains get to a peer, as tests by probes found. */
enum class TrainShape : std::uint8_t {
    any,
    short_tail, ///< those whose last datagram is shorter than the others
    none,
};

/** What lanes keep about a peer from snapshot to snapshot. Each lane writes its own part only. */
class PeerState {
  public:
    struct alignas(64) LanePart {
        Counter tx_bytes, tx_packets; ///< inner frames and their bytes, chunks counted one by one
        Counter tx_large;             ///< datagrams that need the size the path is taken to carry
        Counter rx_bytes, rx_packets;
        Counter last_tx, last_rx; ///< Clock time in nanoseconds, 0 = never
        Abstinence no_trains;     ///< the lane's own: the way to the peer refused trains
        Endpoint reported;        ///< the lane's own: the endpoint last punted as roamed
        TimePoint told_relayed{}; ///< the lane's own: when it last punted what came by a relay
        TimePoint asked{};        ///< the lane's own: when it last punted for a session
    };

    explicit PeerState(unsigned lanes)
        : parts_(lanes) {}

    [[nodiscard]] LanePart& lane(unsigned index) { return parts_[index]; }

    [[nodiscard]] unsigned lanes() const { return static_cast<unsigned>(parts_.size()); }

    /** Any thread. */
    [[nodiscard]] TrainShape trains() const { return trains_.load(std::memory_order_relaxed); }

    void set_trains(TrainShape shape) { trains_.store(shape, std::memory_order_relaxed); }

    [[nodiscard]] WaitingRoom& waiting() { return waiting_; }

    /** A lane, when it needs a session or a path: whether it is time to ask for one. */
    bool ask(unsigned lane, TimePoint now) {
        constexpr Duration kAskAgain = std::chrono::seconds{1};
        TimePoint& asked = parts_[lane].asked;
        const bool due = asked == TimePoint{} || now - asked >= kAskAgain;
        asked = due ? now : asked;
        return due;
    }

    /** A lane, after LanePart::last_tx: so that the control thread need not look at every peer to
     * find those that are sent to. */
    void note_sent() {
        if (!sent_.load(std::memory_order_relaxed)) {
            sent_.store(true, std::memory_order_release);
        }
    }

    /** The control thread: whether a lane has sent since the last call. */
    bool take_sent() {
        return sent_.load(std::memory_order_relaxed) &&
               sent_.exchange(false, std::memory_order_acquire);
    }

    struct Totals {
        std::uint64_t tx_bytes = 0, tx_packets = 0, rx_bytes = 0, rx_packets = 0, tx_large = 0;
        TimePoint last_tx{}, last_rx{};
    };

    /** Sums over all lanes. Any thread. */
    [[nodiscard]] Totals totals() const;

  private:
    std::vector<LanePart> parts_;
    std::atomic<TrainShape> trains_{TrainShape::any};
    std::atomic<bool> sent_{false};
    WaitingRoom waiting_;
};

struct PeerEntry {
    NodeId node;
    RelayAddress relay{};
    Path path;
    /** Path MTU in bytes: the largest IP packet, headers included, that the first hop carries. */
    std::uint16_t mtu = 1280;
    /** `mtu` was measured; while it is being searched nobody is told of it. */
    bool mtu_settled = true;
    bool wants_broadcast = true;
    std::shared_ptr<PeerState> state;
    /** The session frames are sealed under; empty until one is up (a responder's: once promoted).
     */
    std::shared_ptr<DataSession> session;

    /** A free slot keeps its place so that the indexes of others stay. */
    [[nodiscard]] bool vacant() const { return state == nullptr; }
};

/** All peers and all sessions that may still receive. Immutable after construction. */
class PeerTable {
  public:
    PeerTable() = default;
    /** `receiving`: every session whose records are still opened, also those not (or no longer)
     * sent on. */
    PeerTable(std::vector<PeerEntry> peers,
              std::span<const std::shared_ptr<DataSession>> receiving);

    /** nullptr for an index that names no peer (kNoPeer, kLocalPeer, vacant). */
    [[nodiscard]] const PeerEntry* peer(PeerIndex index) const {
        return index < peers_.size() && !peers_[index].vacant() ? &peers_[index] : nullptr;
    }

    [[nodiscard]] std::span<const PeerEntry> all() const { return peers_; }

    /** Peers that take group frames. */
    [[nodiscard]] std::span<const PeerIndex> broadcast() const { return broadcast_; }

    /** The session a receiver index names; its low six bits (the sender's lane) are ignored. */
    [[nodiscard]] DataSession* session(std::uint32_t receiver) const;
    [[nodiscard]] PeerIndex by_relay_address(const RelayAddress& address) const;

  private:
    std::vector<PeerEntry> peers_;
    std::vector<PeerIndex> broadcast_;
    std::unordered_map<std::uint32_t, std::shared_ptr<DataSession>> sessions_;
    std::unordered_map<std::uint64_t, PeerIndex> relays_;
};

/** What changes seldom. */
struct Settings {
    RelayAddress own_relay{};
    /** Frames to this MAC go by destination IP (routed mode); zero = none. */
    MacAddress router_mac{};
    /** What the receiver puts in place of router_mac where no pod of its bridge has the address. */
    MacAddress bridge_mac{};
    /** Refuse source IPs that no node owns (link-local and unspecified ones always pass). */
    bool strict_source = true;
    /** Finish every checksum before a frame goes to the TAP (for pods that read raw frames). */
    bool finish_checksums = false;
    /** Frames of one flow that come together go to the TAP as one. */
    bool join_frames = true;
    /** What of a frame's DSCP and ECN the underlay is shown. */
    MarksKept marks;
    /** Hop limit of relayed datagrams. */
    std::uint8_t relay_ttl = wire::kRelayTtl;
};

/** All that lanes read. Parts are immutable and shared between successive snapshots. */
struct Snapshot {
    std::shared_ptr<const PeerTable> peers = std::make_shared<PeerTable>();
    std::shared_ptr<const AddressTable> addresses = std::make_shared<AddressTable>();
    std::shared_ptr<const Settings> settings = std::make_shared<Settings>();
};

} // namespace weave::dataplane
