// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "mesh/active_view.hpp"
#include "mesh/link_id.hpp"
#include "mesh/processes.hpp"
#include "mesh/sizes.hpp"
#include "wire/link_message.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace weave::mesh {

using DialId = std::uint64_t;

struct ConnectorSettings {
    Duration first_retry = std::chrono::seconds(2);
    double growth = 1.5;
    Duration retry_cap = std::chrono::minutes(6);
    Duration target_retry_cap = std::chrono::seconds(60);
    /** A connection that lived at least this long is redialled at once. */
    Duration long_lived = std::chrono::minutes(1);
    /** Between parallel candidates of one node. */
    Duration stagger = std::chrono::milliseconds(250);
    /** How long the higher node id leaves dialling to the lower. */
    Duration courtesy = std::chrono::seconds(2);
    /** Before the next try at a node that says another process uses our identity: its links to us
     * and to the copy would replace each other all the time. */
    Duration identity_twice_pause = std::chrono::seconds(6);
    /** For how long an address at which we met ourselves is not tried again: it may have moved. */
    Duration self_for = std::chrono::minutes(5);
    /** A dial the driver has not reported on after this long is given up. */
    Duration dial_limit = std::chrono::seconds(30);
    std::size_t max_targets = 1024;
    std::size_t max_nodes = 20000;
    /** Dials to nodes under way at once; those to targets are not held up by them. */
    std::size_t max_dials = 128;
    ActiveViewSettings view;
};

/** Why a dial or a link ended: decides about the next try. */
enum class Failure {
    unreachable,    ///< No connection, or it broke: back off and retry.
    refused,        ///< Wrong secret, version, cluster or name: retry at the slowest pace, show the
                    ///< sentence.
    self,           ///< The address is our own: shown as such, and not tried again for a while.
    duplicate,      ///< The peer has another link to us: not a failure of the endpoint.
    crowded,        ///< The peer has enough links: neither is this.
    identity_twice, ///< The peer has a link to another process with our identity.
};

/** Open a TCP connection; answer with on_connected() or on_failed(). */
struct Dial {
    DialId dial;
    Endpoint endpoint;
};

/** Give up a dial, if it is still going; no answer is needed. */
struct CancelDial {
    DialId dial;
};

/** Close a link, and tell the peer why; answer with on_closed() or not at all. One that is crowded
 * counts as closed already. */
struct Close {
    LinkId link;
    std::string reason;
    wire::NoticeCode code = wire::NoticeCode::unspecified;
    /** With identity_twice: where the other process is. */
    std::optional<IpAddress> address = std::nullopt;
};

/** Tell the peer of a link that another process, at `other`, uses its identity. */
struct TellCopied {
    LinkId link;
    IpAddress other;
};

/** Two processes speak with one node's identity, and both live: their state was copied. */
struct IdentityTwice {
    NodeId node;
    Endpoint one;
    Endpoint other;
};

using ConnectorAction = std::variant<Dial, CancelDial, Close, TellCopied, IdentityTwice>;

/** A finished handshake. */
struct Connected {
    LinkId link = 0;
    /** Empty for a connection that the peer opened. */
    std::optional<DialId> dial;
    NodeId node;
    Endpoint remote;
    std::uint64_t local_nonce = 0;
    std::uint64_t remote_nonce = 0;
    /** Which process of the node this is: another one after a restart. */
    std::uint32_t remote_instance = 0;
    /** The boot epochs both ends said in this handshake: a link to an earlier life gives way. */
    std::uint64_t boot_epoch = 0;
    std::uint64_t own_boot_epoch = 0;
};

struct ConnectionStatus {
    /** `spare`: a target of a large mesh that need not be linked, as others lead to it. */
    enum class State { established, connecting, retrying, failed, waiting, self, spare };
    enum class Direction { none, outbound, inbound };

    State state = State::waiting;
    Direction direction = Direction::none;
    /** The first candidate when nothing is connected. */
    Endpoint endpoint;
    std::optional<NodeId> node;
    /** Asked for by the user. */
    bool target = false;
    /** The last failure, a sentence; kept while retrying. */
    std::string reason;
    /** Dials of this goal since the last connection. */
    std::uint32_t attempts = 0;
    /** When state is retrying, failed or waiting. */
    std::optional<Duration> next_retry_in;
    std::optional<LinkId> link;
};

/**
 * Decides whom to dial and which of two links to one node survives, so that every node ends with
 * exactly one link to every other; in a large mesh, to those that the active view wants. Sans-I/O;
 * one thread.
 */
class Connector {
  public:
    Connector(const NodeId& self, Random random, ConnectorSettings settings = {});

    /** To be set before anything else, or the mesh is taken for small. It is asked in tick(). */
    void set_directory(Directory directory) { view_.set_directory(std::move(directory)); }

    /** False when the endpoint is already a target or there are too many. A known one is retried at
     * once. In a large mesh a target is dialled until its node is known, and as long as there is no
     * link at all; then it is a node as any other. */
    bool add_target(const Endpoint& endpoint, TimePoint now);
    /** Stops dialling it; a link that stands stays, as the mesh keeps one to every node. False when
     * unknown. */
    bool forget(const Endpoint& endpoint);

    /** The endpoints a node advertises; replaces what was known of it. An empty list is kept: it
     * may dial us. Of no consequence in a large mesh: there the directory is asked. */
    void on_discovered(const NodeId& node, const std::vector<Endpoint>& endpoints, TimePoint now);
    void on_gone(const NodeId& node);

    /** The node names this one among its neighbours, or no longer does. */
    void on_names_us(const NodeId& node, bool names) { view_.on_names_us(node, names); }

    void on_connected(const Connected& connected, TimePoint now);
    /** `reason` is a sentence for people. An unknown dial is ignored. */
    void on_failed(DialId dial, Failure failure, const std::string& reason, TimePoint now);
    void on_closed(LinkId link, Failure failure, const std::string& reason, TimePoint now);
    /** The addresses of this host changed: none is held to be our own any more. */
    void forget_self(TimePoint now);

    void tick(TimePoint now);
    [[nodiscard]] TimePoint next_deadline() const;
    std::vector<ConnectorAction> take_actions();

    [[nodiscard]] std::vector<ConnectionStatus> status(TimePoint now) const;
    /** The link that survives to this node. */
    [[nodiscard]] std::optional<LinkId> link_to(const NodeId& node) const;
    /** True when every known endpoint of the node failed since the last link to it. */
    [[nodiscard]] bool failing(const NodeId& node) const;

    /** The mesh is so large that only some of the nodes are linked. */
    [[nodiscard]] bool partial() const { return view_.partial(); }

    /** A link to this node stands or is wanted. */
    [[nodiscard]] bool wants(const NodeId& node) const { return view_.wants(node); }

    /** Whom to name in this node's record; nothing in a small mesh. As of the last tick(). */
    [[nodiscard]] const std::optional<std::set<NodeId>>& neighbours() const {
        return view_.neighbours();
    }

    [[nodiscard]] ConnectorSizes sizes() const;

  private:
    /** One thing to be connected to: a target of the user, or a node. */
    struct Goal {
        /** v6 before v4. */
        std::vector<Endpoint> candidates;
        /** The next candidate to dial in this round; candidates.size() when all were. */
        std::size_t next_candidate = 0;
        bool in_round = false;
        std::set<DialId> dials;
        /** Who answers there: known from the first connection on. */
        std::optional<NodeId> node;
        bool target = false;
        /** Until a dial says otherwise. */
        bool is_self = false;
        /** Since the last connection. */
        bool failed = false;
        bool refused = false;
        /** The node has enough links. */
        bool crowded = false;
        std::string reason;
        std::uint32_t attempts = 0; ///< since the last connection
        Duration interval{};
        /** The next round, or within a round the next candidate. */
        TimePoint next_try;
    };

    struct Dialing {
        Endpoint endpoint;
        /** The goal: a target by its endpoint or a node by its id. */
        std::variant<Endpoint, NodeId> goal;
        TimePoint started;
    };

    struct Link {
        NodeId node;
        Endpoint remote;
        bool outbound = false;
        /** XOR of the nonces: the same at both ends. */
        std::uint64_t order = 0;
        /** Sum of the boot epochs: the same at both ends, greater after a restart of either. */
        std::uint64_t epochs = 0;
        std::uint32_t instance = 0;
        TimePoint since;
    };

    /** v6 first, otherwise in the order given; each endpoint once. */
    static std::vector<Endpoint> ordered(const std::vector<Endpoint>& endpoints);
    void settle_duplicate(const Connected& connected,
                          const std::optional<Endpoint>& copy,
                          TimePoint now);
    void run(Goal& goal, const std::variant<Endpoint, NodeId>& key, TimePoint now);
    void dial_next(Goal& goal, const std::variant<Endpoint, NodeId>& key, TimePoint now);
    void finish_round(Goal& goal, TimePoint now);
    void cancel_dials(Goal& goal);
    void restart(Goal& goal, TimePoint at);
    void satisfied(const NodeId& node);
    void found_self(const Connected& connected, TimePoint now);
    void note_self(const Endpoint& endpoint, TimePoint now);
    [[nodiscard]] bool is_self(const Endpoint& endpoint, TimePoint now) const;
    /** True when `challenger` is to replace `holder`: both ends decide alike. */
    static bool survives(const Link& challenger, const Link& holder);
    [[nodiscard]] TimePoint polite(const NodeId& node, TimePoint now) const;
    [[nodiscard]] bool connected(const Goal& goal) const;
    [[nodiscard]] Goal* find_goal(const std::variant<Endpoint, NodeId>& key);
    [[nodiscard]] bool being_dialed(const Endpoint& endpoint) const;
    [[nodiscard]] TimePoint deadline_of(const Goal& goal) const;
    [[nodiscard]] ConnectionStatus describe(const Goal& goal, TimePoint now) const;
    [[nodiscard]] ConnectionStatus describe(LinkId id, const Link& link) const;
    // connector_view.cpp: what follows from the active view
    void follow_view(TimePoint now);
    void discover_all(TimePoint now);
    void add_goal(const NodeId& node, std::vector<Endpoint> candidates, TimePoint at);
    void close_surplus(const NodeId& node, TimePoint now);
    void lost_crowded(Goal& goal, TimePoint now);
    void retry_crowded(TimePoint now);
    [[nodiscard]] bool spare(const Goal& goal) const;

    NodeId self_;
    Random random_;
    ConnectorSettings settings_;
    ActiveView view_;
    /** In the order the user gave them. */
    std::vector<Endpoint> target_order_;
    std::map<Endpoint, Goal> targets_;
    /** In a large mesh only those that are wanted and not linked. */
    std::map<NodeId, Goal> nodes_;
    /** All that are known have a goal. */
    bool complete_ = true;
    /** Addresses at which we met ourselves, and until when that is believed. */
    std::map<Endpoint, TimePoint> self_endpoints_;
    std::map<DialId, Dialing> dialing_;
    std::map<LinkId, Link> links_;
    std::map<NodeId, LinkId> link_of_;
    Processes processes_;
    DialId next_dial_ = 1;
    std::vector<ConnectorAction> actions_;
};

} // namespace weave::mesh
