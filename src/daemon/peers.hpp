// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/ciphers.hpp"
#include "daemon/handover.hpp"
#include "daemon/lanes.hpp"
#include "daemon/log.hpp"
#include "daemon/refusals.hpp"
#include "mesh/mesh.hpp"
#include "session/manager.hpp"
#include "session/path.hpp"
#include "session/train_probe.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace weave::daemon {

/** What peers tell the rest of the router. */
struct PeerEvents {
    /** The peer was tried by UDP and cannot (true), or can (false), be reached directly. */
    std::function<void(const NodeId&, bool unreachable)> on_direct;
    /** MTU of the interface towards an endpoint, 0 when unknown. */
    std::function<std::uint16_t(const Endpoint&)> interface_mtu;
    /** How datagrams to an endpoint leave past the kernel, if they do. */
    std::function<dataplane::FastHop(const Endpoint&, const IpAddress&)> fast_hop;
    /** The peer table has to be published again, soon, and on_published() called. */
    std::function<void()> on_table_changed;
    /** The same, before this returns. */
    std::function<void()> publish_now;
};

/** One row for status pages. */
struct PeerView {
    NodeId node;
    session::Use use;
    std::uint16_t mtu = 0;
    std::optional<Duration> rtt;
    dataplane::PeerState::Totals totals;
    std::optional<Duration> key_age;
    std::optional<crypto::Suite> suite;
    /** Nothing goes to it and nobody has to know whether it could. */
    bool idle = false;
    session::Trains trains = session::Trains::untested;
};

/**
 * Everything about carrying packets to other nodes: their data sessions, their paths, and the peer
 * table that lanes read. Runs the session machines and performs their actions through the lanes.
 * Control thread only.
 */
class Peers {
  public:
    Peers(Lanes& lanes,
          session::Settings settings,
          session::Local local,
          crypto::Ciphers ciphers,
          session::PathSettings paths,
          PeerEvents events);

    /** A node is known, or what is known of it changed. */
    void on_node(const mesh::NodeInfo& node, TimePoint now);
    void on_node_gone(const NodeId& node);
    /** As if a packet went to it: a session is opened, or kept. */
    void want(const NodeId& node, TimePoint now);
    /** Which node to hand datagrams to for each node that cannot be reached directly. */
    void set_routes(const mesh::Routes& routes, TimePoint now);
    /** Interfaces changed; `own` are the addresses of the host now. */
    void on_underlay(const std::set<IpAddress>& own, TimePoint now);

    /** What PeerEvents::fast_hop answers is no longer what it was. */
    void on_fast_path() { touch(); }

    void on_punt(const dataplane::Punt& punt, TimePoint now);
    /** Lanes have table() as it is now: what is said under new sessions can go out. */
    void on_published();
    void tick(TimePoint now);

    void set_boot_epoch(std::uint64_t epoch) { sessions_.set_boot_epoch(epoch); }

    /** Tells every peer that its session with this node ends: to be called before lanes stop. */
    void say_goodbye();

    // peers_handover.cpp
    /** Fills in what a successor goes on with; nothing changes here. */
    void describe(Handover& handover) const;
    /** How far the keys were used. They are of no more use here; lanes must have stopped. */
    HandoverProgress hand_over();
    /** After hand_over(), when nobody took them over after all: makes new ones. */
    void renew(TimePoint now);
    /** Before anything else, and before lanes start. */
    void take_over(Handover&& handover, TimePoint now);
    void take_over(const HandoverProgress& progress);

    /** Some path to the node works. */
    [[nodiscard]] bool reaches(const NodeId& node) const;
    /** Over the path in use; nullopt as long as none was measured. */
    [[nodiscard]] std::optional<Duration> rtt(const NodeId& node) const;
    /** kNoPeer when unknown. */
    [[nodiscard]] dataplane::PeerIndex index_of(const NodeId& node) const;
    /** The same one as long as nothing in it changed. */
    [[nodiscard]] const std::shared_ptr<const dataplane::PeerTable>& table();
    [[nodiscard]] std::vector<PeerView> view(TimePoint now) const;

    [[nodiscard]] std::uint64_t handshakes() const { return handshakes_; }

    [[nodiscard]] std::uint64_t rekeys() const { return rekeys_; }

    /** Events the session machine counted, by name. */
    [[nodiscard]] const EventCounts& counted() const { return counted_; }

  private:
    /** Without a direct path for this long the mesh is told, so that others can relay. */
    static constexpr Duration kTellAfter = std::chrono::milliseconds(1200);
    /** A session with a node that is not watched is kept for so long after its last packet. */
    static constexpr Duration kIdle = std::chrono::seconds(60);
    /** One with a node that is watched no more, and has no packets: the other end may watch for a
     * moment more. */
    static constexpr Duration kLinger = std::chrono::seconds(5);

    struct Peer {
        NodeId node;
        dataplane::PeerIndex index = dataplane::kNoPeer;
        std::unique_ptr<session::PathMonitor> path;
        std::unique_ptr<session::TrainProbe> trains;
        std::shared_ptr<dataplane::PeerState> state;
        std::map<std::uint32_t, std::shared_ptr<dataplane::DataSession>> receiving;
        std::shared_ptr<dataplane::DataSession> sending;
        /** Used until the path monitor has proved one: where the answer to our handshake, or the
         * first record under new keys, came from. */
        std::optional<session::Origin> heard;
        std::vector<Endpoint> candidates;
        std::optional<NodeId> next_hop;
        /** Ticks before this pass it by, unless a lane sent to it: with many peers most ticks
         * would find nothing to do at most of them. */
        TimePoint look_at{};
        TimePoint open_again{};
        TimePoint next_drop{};
        std::uint64_t epoch = 0;
        bool watched = false;
        bool leads = false;
        /** Until when a session and a path are kept for packets, of those that are not watched. */
        TimePoint used_until{};
        std::uint64_t seen_packets = 0;
        bool wants_broadcast = true;
        /** Lanes could not be told yet that what waits can go. */
        bool flush_owed = false;
        session::Mtu mtu{1280, false};
        std::optional<TimePoint> installed;
        /** What it said to a process before this one is not known. */
        TimePoint listening_since{};
        /** Since when there is no direct path. */
        std::optional<TimePoint> undirected_since;
        /** What the mesh was told last; nothing yet after a node came back. */
        std::optional<bool> told_unreachable;
        std::uint64_t seen_large = 0;

        /** There is to be a session with it, and a path. */
        [[nodiscard]] bool wanted(TimePoint now) const { return watched || now < used_until; }
    };

    Peer* find(const NodeId& node);
    Peer* find(dataplane::PeerIndex index);
    Peer* find(const RelayAddress& address);
    Peer& make(const NodeId& node);

    /** Sealed and opened by whom this process picked. */
    [[nodiscard]] std::shared_ptr<dataplane::DataSession>
    data_session(dataplane::PeerIndex index, crypto::TransportKeys&& keys) const {
        const crypto::Provider provider = ciphers_.of(keys.suite);
        return std::make_shared<dataplane::DataSession>(index, std::move(keys), provider);
    }

    void want(Peer& peer, TimePoint now);
    void want_hop(const Peer& peer, TimePoint now);
    void begin(Peer& peer, TimePoint now);
    void close(Peer& peer, TimePoint now);
    void open(Peer& peer, TimePoint now);
    void set_next_hop(const NodeId& node, const mesh::Routes& routes, TimePoint now);
    void release_slot(dataplane::PeerIndex index);
    void run_sessions(TimePoint now);
    void perform(session::SendTo& action);
    void perform(session::Reply& action);
    void perform(session::Install& action, TimePoint now);
    void perform(const session::Promote& action, TimePoint now);
    void perform(const session::Retire& action);
    void perform(const session::SessionDown& action);
    void run_path(Peer& peer, TimePoint now);
    void fit_to_interface(Peer& peer, TimePoint now);
    void send_probe(const Peer& peer, const session::SendProbe& probe);
    void run_trains(Peer& peer, TimePoint now);
    void send_train(const Peer& peer, const session::SendTrain& train);
    void watch_direct(Peer& peer, TimePoint now);
    void feed_traffic(Peer& peer, TimePoint now);
    void watch_session(const Peer& peer, const dataplane::PeerState::Totals& totals, TimePoint now);
    void watch_use(Peer& peer, const dataplane::PeerState::Totals& totals, TimePoint now);
    void on_first_record(Peer& peer, const dataplane::Punt& punt, TimePoint now);

    void send_datagram(const Endpoint& to, ByteView bytes);
    void send_relayed(const NodeId& via, dataplane::PeerIndex destination, ByteView bytes);
    void answer(const session::Origin& to, ByteView bytes);
    void touch();
    void say_hello(const Peer& peer);
    void flush(Peer& peer);
    void look(Peer& peer, TimePoint now);
    [[nodiscard]] TimePoint next_look(const Peer& peer, TimePoint now) const;
    void drop_stale(Peer& peer, TimePoint now);
    [[nodiscard]] dataplane::Path path_of(const Peer& peer) const;
    void remember_local(const dataplane::Origin& origin);
    [[nodiscard]] std::optional<IpAddress> local_for(const Endpoint& to) const;

    Lanes& lanes_;
    session::Manager sessions_;
    crypto::Ciphers ciphers_;
    session::PathSettings path_settings_;
    PeerEvents events_;
    std::unordered_map<NodeId, Peer> peers_;
    std::vector<std::optional<NodeId>> slots_;
    /** Those that are reached over others. */
    std::set<NodeId> relayed_;
    /** The address of ours that a remote endpoint used: answers leave from it. */
    std::map<Endpoint, IpAddress> locals_;
    /** The datagram being handled: who sent it is not proved. */
    std::optional<dataplane::Origin> answering_;
    /** Slots of nodes that are gone and that lanes could not be told of yet. */
    std::vector<dataplane::PeerIndex> releasing_;
    /** To be told, by their first record, that this node has the keys. */
    std::vector<NodeId> greeting_;
    /** Handshakes started, and trains of probes sent, since the last tick. */
    unsigned opened_ = 0;
    unsigned trains_sent_ = 0;
    std::uint64_t handshakes_ = 0;
    std::uint64_t rekeys_ = 0;
    EventCounts counted_;
    log::RateLimit rate_;
    /** Not published yet. */
    bool table_changed_ = false;
    std::shared_ptr<const dataplane::PeerTable> table_;
};

} // namespace weave::daemon
