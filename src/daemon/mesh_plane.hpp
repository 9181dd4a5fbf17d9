// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/cluster_file.hpp"
#include "daemon/log.hpp"
#include "daemon/node_state.hpp"
#include "daemon/refusals.hpp"
#include "daemon/targets.hpp"
#include "mesh/connector.hpp"
#include "mesh/mesh.hpp"
#include "net/control_links.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::daemon {

struct MeshPlaneSettings {
    std::string name;
    std::uint16_t port = 0;
    std::vector<IpAddress> listen;
};

/** What the mesh tells the rest of the router. */
struct MeshPlaneEvents {
    std::function<void(const mesh::NodeInfo&)> on_node;
    std::function<void(const NodeId&)> on_gone;
    std::function<void(const wire::RecordPtr&)> on_record;
    std::function<void(const mesh::Routes&)> on_routes;
    std::function<void(std::uint64_t)> on_epoch;
    /** Another node that is alive has this node's name. */
    std::function<void(const NodeId& other)> on_same_name;
};

/** An identity that more than one router uses, and where they were seen. */
struct CopiedIdentity {
    std::set<IpAddress> seen_at;
    TimePoint last_seen;

    /** "10.0.0.1, 10.0.0.2" */
    [[nodiscard]] std::string places() const;
};

/**
 * Gossip, connections and targets: runs the mesh and connector machines over TCP links. Control
 * thread only.
 */
class MeshPlane {
  public:
    MeshPlane(boost::asio::io_context& io,
              MeshPlaneSettings settings,
              NodeState& state,
              const Cluster& cluster,
              MeshPlaneEvents events);
    ~MeshPlane();

    /** Throws std::system_error when a port is taken. */
    void listen();

    /** Before anything else: what a process of the same node and boot epoch knew. */
    void
    take_over(std::uint64_t version, const std::vector<wire::RecordPtr>& records, TimePoint now) {
        mesh_.take_over(version, records, now);
        run_mesh(now);
    }

    /** Before anything else: what an earlier process of this node, which crashed, knew of others.
     */
    void recall(const std::vector<wire::RecordPtr>& records, TimePoint now) {
        mesh_.recall(records, now);
        run_mesh(now);
    }

    void set_own_topology(const wire::Topology& topology);
    /** Whether they fit one record. */
    [[nodiscard]] static bool publishable(const wire::Addresses& addresses);
    /** False, and peers keep the old ones, when they are not publishable(). */
    bool set_own_addresses(const wire::Addresses& addresses);
    /** Replaces this node's record of another kind. */
    void set_own(std::uint16_t kind, Bytes tlvs);
    void mark_unreachable(const NodeId& node, bool unreachable);
    void tick(TimePoint now);

    [[nodiscard]] mesh::Mesh& mesh() { return mesh_; }

    /** As people know it; the fingerprint of one that is not known. */
    [[nodiscard]] std::string name_of(const NodeId& node) {
        const auto info = mesh_.node(node);
        return info ? info->shown_name : node.fingerprint();
    }

    [[nodiscard]] const std::string& own_name() const { return settings_.name; }

    [[nodiscard]] std::vector<mesh::ConnectionStatus> connections(TimePoint now) const {
        return connector_.status(now);
    }

    Targets& targets() { return targets_; }

    /** The addresses of this host changed. */
    void on_underlay(TimePoint now);

    /** How long until connected peers know the addresses that were set last, if all goes well.
     * `rtt`: the round trip to a peer, where one was measured. */
    [[nodiscard]] std::chrono::milliseconds
    until_known(TimePoint now,
                const std::function<std::optional<Duration>(const NodeId&)>& rtt) const;

    [[nodiscard]] const EventCounts& counted() const { return counted_; }

    /** The last refusals of inbound connections: endpoint and sentence, newest last, at most 16. */
    [[nodiscard]] const std::vector<std::pair<Endpoint, std::string>>& refused() const {
        return refused_;
    }

    /** Identities in use twice within the last minutes, this node's own perhaps among them. */
    [[nodiscard]] const std::map<NodeId, CopiedIdentity>& copied_identities(TimePoint now);

    /** Pairs of nodes whose ids start alike, the newest last, at most 16. */
    [[nodiscard]] const std::vector<mesh::RelayCollision>& relay_collisions() const {
        return relay_collisions_;
    }

  private:
    // mesh_links.cpp: the links below the mesh
    net::LinkEvents link_events();
    session::ControlLocal control_local(std::uint64_t nonce) const;
    void on_link_up(const net::LinkUp& up);
    void on_message(net::LinkId link, ByteView message);
    void on_close(net::LinkId link, const wire::Notice& notice, TimePoint now);
    void on_link_ended(net::LinkId link,
                       mesh::Failure failure,
                       const std::string& reason,
                       TimePoint now);
    void on_dial_failed(net::LinkId link,
                        const Endpoint& to,
                        std::optional<session::ControlFailure> refusal,
                        const std::string& reason);
    void on_refused(const Endpoint& from,
                    std::optional<session::ControlFailure> failure,
                    const std::string& reason);
    void run_connector(TimePoint now);
    void carry_out(const mesh::ConnectorAction& action, TimePoint now);
    // mesh_plane.cpp: the mesh
    void run_mesh(TimePoint now);
    void settle_mesh(TimePoint now);
    void flush_addresses();
    void on_node_changed(const NodeId& node, TimePoint now);
    void note_copy(const NodeId& node, const std::vector<Endpoint>& at, TimePoint now);
    void carry_out(const mesh::MeshAction& action, TimePoint now);
    void on_collision(const mesh::NameCollision& names, TimePoint now);
    void on_collision(const mesh::RelayCollision& ids);

    MeshPlaneSettings settings_;
    NodeState& state_;
    const Cluster& cluster_;
    MeshPlaneEvents events_;
    mesh::Mesh mesh_;
    mesh::Connector connector_;
    net::ControlLinks links_;
    Targets targets_;
    boost::asio::steady_timer flush_; ///< for addresses that have to wait, less than a tick
    std::map<net::LinkId, mesh::DialId> dials_;
    std::map<mesh::DialId, net::LinkId> dialled_;
    mesh::RoutesPtr routes_;
    EventCounts counted_;
    std::vector<std::pair<Endpoint, std::string>> refused_;
    std::map<NodeId, CopiedIdentity> copied_;
    std::vector<mesh::RelayCollision> relay_collisions_;
    log::RateLimit rate_;
    bool running_ = false;
};

} // namespace weave::daemon
