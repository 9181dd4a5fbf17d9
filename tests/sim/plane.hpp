// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/aead.hpp"
#include "crypto/identity.hpp"
#include "crypto/replay.hpp"
#include "dataplane/forwarding.hpp"
#include "dataplane/pending.hpp"
#include "mesh/mesh.hpp"
#include "mesh/routes.hpp"
#include "session/manager.hpp"
#include "session/path.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace weave::sim {

/** What became of a datagram so far: it grows as relays pass the datagram on. */
struct Trace {
    /** Who has handled it, in order. */
    std::vector<std::size_t> nodes;
    /** The hop limit with which the last of them sent it. */
    std::uint8_t ttl = 0;
    /** The calm phase of the world in which it set out; 0: none. */
    std::uint64_t calm = 0;
};

/** What a pod sends, as far as the simulator cares. */
struct Frame {
    /** Unique in the world. */
    std::uint64_t id = 0;
    /** For every node, not for one. */
    bool group = false;
};

/** What the packet side of a node asks of its surroundings. */
struct PlanePorts {
    std::function<void(const Endpoint& to, Bytes bytes, const Trace& trace)> send;
    /** The last node of the trace handed over a datagram to be relayed, or relayed to us. */
    std::function<void(const Trace& trace)> relayed;
    /** A frame that `from` sealed. */
    std::function<void(const NodeId& from, const Frame& frame)> deliver;
    /** No direct path to the node (true), or one again. */
    std::function<void(const NodeId& node, bool unreachable)> on_direct;
    /** This initiation made the keys of a session. */
    std::function<void(const NodeId& from, ByteView initiation)> answered;
    std::function<void(std::string_view name)> count;
    session::RandomSource random;
    /** What the mesh knows of a node. */
    std::function<std::optional<mesh::NodeInfo>(const NodeId& node)> known;
    /** Who sends from there. */
    std::function<std::optional<NodeId>(const session::Origin& origin)> node_at;
};

/** Who the node is. The identity outlives the plane. */
struct PlaneSelf {
    const crypto::Identity* identity = nullptr;
    NodeId id;
    std::uint64_t boot_epoch = 0;
    std::uint8_t lanes = 1;
};

struct PlaneSizes {
    session::Manager::Sizes sessions;
    session::PathMonitor::Sizes path; ///< most ever of any peer
    dataplane::PendingFrames::Sizes pending;
};

/**
 * The packet side of one node: the real session manager and path monitors, real keys, replay
 * windows and sealed datagrams, the lanes' own decisions about who gets a frame or a relayed
 * datagram and their queue of waiting frames, and a plain stand-in for the lanes that carries out
 * what these ask for. Everything is driven by deadlines, so that a machine that names a wrong one
 * stands still. Whatever happens costs what the peers cost that it is about, not all of them.
 *
 * Peers are the nodes that are watched, those that frames are for, and those that come with keys;
 * the last two until neither end had a frame for the other for a while.
 */
class Plane {
  public:
    Plane(const PlaneSelf& self, PlanePorts ports);

    void on_node(const mesh::NodeInfo& info, TimePoint now);
    void on_gone(const NodeId& node, TimePoint now);
    void set_routes(mesh::RoutesPtr routes, TimePoint now);

    void set_boot_epoch(std::uint64_t epoch) { sessions().set_boot_epoch(epoch); }

    void on_datagram(Bytes bytes, const Endpoint& from, const Trace& trace, TimePoint now);
    /** To one node, or one copy for each that can be reached. Waits for a session where there is
     * none. */
    void send_frame(const std::optional<NodeId>& to, const Frame& frame, TimePoint now);
    /** As if so many records had been sealed for each peer that new keys are due. */
    void use_up_keys(TimePoint now);

    void tick(TimePoint now);
    [[nodiscard]] TimePoint next_deadline() const;

    /** Records to the peer can be sealed now, and there is a way for them. */
    [[nodiscard]] bool ready(const NodeId& peer) const;
    [[nodiscard]] const session::PathMonitor* path(const NodeId& peer) const;

    /** This node holds keys that open what `peer_index` of the other end seals. */
    [[nodiscard]] bool opens(std::uint32_t local_index) const {
        return keys_.contains(local_index);
    }

    /** The index under which the peer is to open what is sealed for it now. */
    [[nodiscard]] std::optional<std::uint32_t> sealing_for(const NodeId& peer) const;

    /** Most sets of keys ever held at once for any one peer. */
    [[nodiscard]] std::size_t most_keys() const { return most_keys_; }

    [[nodiscard]] PlaneSizes sizes() const;

    [[nodiscard]] std::size_t peers() const { return peers_.size(); }

  private:
    struct Receiver {
        crypto::OpeningKey key;
        crypto::ReplayWindow<> window;
    };

    struct Keys {
        NodeId peer;
        std::uint32_t remote_index = 0;
        std::vector<crypto::SealingKey> send;
        std::vector<Receiver> receive;
        /** Something was opened with them, and the sessions know. */
        bool heard = false;
    };

    struct Peer {
        NodeId node;
        dataplane::PeerIndex index = dataplane::kNoPeer;
        std::shared_ptr<dataplane::PeerState> state = std::make_shared<dataplane::PeerState>(1);
        /** Frames do, for a way or keys. */
        bool waiting = false;
        /** A session is kept up while it is known, frames or not. */
        bool watched = false;
        std::unique_ptr<session::PathMonitor> path;
        std::vector<Endpoint> candidates;
        std::uint64_t epoch = 0;
        std::optional<NodeId> next_hop;
        std::optional<std::uint32_t> sending;
        std::optional<TimePoint> installed;
        TimePoint last_received = TimePoint::min();
        TimePoint last_sent = TimePoint::min();
        /** Anything, to be opened by the peer. */
        TimePoint last_sealed = TimePoint::min();
        /** A frame for or of it, or another's through it. */
        TimePoint last_used;
        std::optional<TimePoint> undirected_since;
        /** What the mesh was told last; nothing yet of a node that is new, or back after it was
         * forgotten, when the mesh may still list it. */
        std::optional<bool> told_unreachable;
        /** Sets of keys that are held. */
        std::size_t keys = 0;
        bool was_up = false;
        /** In touched_. */
        bool touched = false;
        /** As in deadlines_. */
        TimePoint due = TimePoint::max();
    };

    /** Where a datagram came from, beyond what the sessions want to know. */
    struct Arrival {
        session::Origin origin;
        /** The peer that handed it to us, when relayed. */
        NodeId hop;
        const Trace* trace = nullptr;
    };

    /** One way to a peer: an endpoint of its own, or the hop before it. */
    struct Way {
        std::optional<Endpoint> direct;
        NodeId via;
    };

    // plane_peers.cpp: who they are, and what is due at them
    Peer* find(const NodeId& node);
    Peer* find(const RelayAddress& address);
    Peer* find(dataplane::PeerIndex index);
    /** A peer from now on; nothing when the mesh does not know it. */
    Peer* meet(const NodeId& node, TimePoint now);
    Peer* meet(const RelayAddress& address, TimePoint now);
    Peer& make(const mesh::NodeInfo& info, TimePoint now);
    static void watch(Peer& peer, const mesh::NodeInfo& info, TimePoint now);
    void update(Peer& peer, const mesh::NodeInfo& info, TimePoint now);
    void admit(const mesh::NodeInfo& info);
    void admit_sender(const session::Origin& origin);
    void set_hop(Peer& peer, TimePoint now);
    void drop(Peer& peer);
    void note_unused(Peer& peer, TimePoint now);
    static void keep(Peer& peer, TimePoint until);
    [[nodiscard]] bool idle(const Peer& peer, TimePoint now) const;
    void close_idle(Peer& peer, TimePoint now);
    [[nodiscard]] std::optional<NodeId> next_hop_of(const NodeId& node) const;
    /** Something happened to the peer: run() looks at it. */
    void touch(Peer& peer);
    void run(TimePoint now);
    bool run_sessions(TimePoint now);
    void run_path(Peer& peer, TimePoint now);
    void watch_direct(Peer& peer, TimePoint now);
    void watch_session(const Peer& peer, TimePoint now);
    void schedule(Peer& peer);
    void note_sizes(const Peer& peer);
    [[nodiscard]] TimePoint sessions_due() const;

    /** For whatever may change when they are due. */
    session::Manager& sessions() {
        sessions_due_.reset();
        return sessions_;
    }

    /** The peers that take group frames. */
    [[nodiscard]] std::vector<dataplane::PeerIndex> group_takers() const;

    void perform(const session::SendTo& action, TimePoint now);
    void perform(const session::Reply& action, TimePoint now);
    void perform(const session::Install& action, TimePoint now);
    void perform(const session::Promote& action, TimePoint now);
    void perform(const session::Retire& action, TimePoint now);
    void perform(const session::SessionDown& action, TimePoint now);
    void perform(const session::Counted& action, TimePoint now);

    // plane_packets.cpp: what lanes do
    void dispatch(Bytes bytes, const Arrival& arrival, TimePoint now);
    void take_data(ByteView bytes, const Arrival& arrival, TimePoint now);
    void take_records(
        ByteSpan plain, std::uint32_t index, Keys& keys, const Arrival& arrival, TimePoint now);
    void note_opened(std::uint32_t index, Keys& keys, TimePoint now);
    void note_arrival(Peer& peer, const Arrival& arrival, TimePoint now);
    void take_relay(const Bytes& bytes, const Arrival& arrival, TimePoint now);
    void forward(ByteView bytes, const NodeId& from, const Trace& trace, TimePoint now);
    Receiver* receiver_of(ByteView bytes);
    [[nodiscard]] std::optional<Way> way_in_use(const Peer& peer) const;
    [[nodiscard]] Bytes seal(Keys& keys, ByteView plain);
    void send_record(Peer& peer, const Way& way, Keys& keys, ByteView plain, TimePoint now);
    /** A datagram of ours. */
    void send_relayed(const NodeId& to, const NodeId& via, ByteView datagram, TimePoint now);
    void hand_to_hop(const NodeId& via,
                     std::uint8_t ttl,
                     const RelayAddress& to,
                     const RelayAddress& from,
                     ByteView inner,
                     const Trace& trace,
                     TimePoint now);
    /** A record without a body, by the way in use. */
    void send_empty(Peer& peer, wire::RecordKind kind, TimePoint now);
    void send_probe(Peer& peer, const session::SendProbe& probe, TimePoint now);
    void flush(Peer& peer, TimePoint now);
    void drop_waiting(const Peer& peer);
    void send_or_wait(Peer& peer, const Bytes& frame, TimePoint now);

    PlaneSelf self_;
    PlanePorts ports_;
    session::Manager sessions_;
    mutable std::optional<TimePoint> sessions_due_;
    mesh::RoutesPtr routes_ = std::make_shared<mesh::Routes>();
    /** Whom the sessions let in, peers and former peers: what these initiated must not be answered
     * again. */
    std::unordered_set<NodeId> admitted_;
    std::unordered_map<NodeId, Peer> peers_;
    /** By their indexes, which go to others when they are gone. */
    std::vector<Peer*> by_index_;
    std::vector<dataplane::PeerIndex> vacant_;
    std::map<RelayAddress, Peer*> by_address_;
    /** When something is due at the peer with this index. */
    std::set<std::pair<TimePoint, dataplane::PeerIndex>> deadlines_;
    std::vector<dataplane::PeerIndex> touched_;
    /** Nothing: it has to be found out again. */
    std::optional<std::vector<dataplane::PeerIndex>> takers_;
    std::unordered_map<std::uint32_t, Keys> keys_;
    /** The initiation that is being looked at. */
    ByteView initiation_;
    std::size_t most_keys_ = 0;
    session::PathMonitor::Sizes most_of_path_;
    /** From the first frame that waits: thousands of nodes share a machine. */
    std::unique_ptr<dataplane::PendingFrames> pending_;
};

} // namespace weave::sim
