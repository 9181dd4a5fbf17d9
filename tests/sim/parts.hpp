// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mesh/connector.hpp"
#include "mesh/mesh.hpp"
#include "sim/agenda.hpp"
#include "sim/distances.hpp"
#include "sim/plane.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/** What a World is made of. */
namespace weave::sim {

using mesh::LinkId;

/** How the underlay treats datagrams, and the control links messages. Real links are TCP; the
 * machines must not need that. */
struct Weather {
    double loss = 0;
    double duplication = 0;
    Duration delay_min = std::chrono::milliseconds(1);
    Duration delay_max = std::chrono::milliseconds(30);
};

/** A broken invariant: `name` is one of the literals in invariants.cpp. */
struct Violation {
    std::string name;
    std::string detail;
};

/** What a node sent and received, without the headers of TCP, UDP and IP. Dialling is free. */
struct Traffic {
    std::uint64_t tcp_bytes = 0;
    std::uint64_t tcp_messages = 0;
    std::uint64_t udp_bytes = 0;
    std::uint64_t udp_datagrams = 0;

    void add_message(std::size_t bytes) {
        tcp_bytes += bytes;
        ++tcp_messages;
    }

    void add_datagram(std::size_t bytes) {
        udp_bytes += bytes;
        ++udp_datagrams;
    }

    bool operator==(const Traffic&) const = default;
};

/** Orders what one node ever initiates. */
struct InitOrder {
    std::size_t from = 0;
    std::uint64_t epoch = 0;
    std::uint64_t number = 0;
};

struct Node {
    std::unique_ptr<crypto::Identity> identity;
    wire::RecordKey key{};
    NodeId id;
    std::string name;
    Endpoint endpoint;
    std::uint64_t epoch = 0;
    bool up = false;
    /** Counts starts: whatever was under way for an earlier life is dropped. */
    std::uint64_t life = 0;
    /** Which process this life is: the upper half of its links' nonces. */
    std::uint32_t instance = 0;
    Duration offset{};
    std::unique_ptr<mesh::Mesh> mesh;
    std::unique_ptr<mesh::Connector> connector;
    std::unique_ptr<Plane> plane;
    /** They were told something since their last tick. */
    bool mesh_stirred = false;
    bool connector_stirred = false;
    /** When the next one is due, by the node's clock; min(): to be asked. */
    TimePoint mesh_due;
    TimePoint connector_due;
    std::vector<Endpoint> targets;
    /** Of links that it dialled or was dialled for, open or not yet. */
    std::set<LinkId> ends;
    /** The next step of mesh and connector, and that of the plane. */
    Agenda::Handle wake = Agenda::kNone;
    Agenda::Handle plane_wake = Agenda::kNone;
    mesh::RoutesPtr plane_routes;
    /** Of all its lives. */
    Traffic carried;
    /** Checked by the invariants. */
    std::map<wire::RecordId, wire::Stamp> accepted;
    /** Until when, by its own clock, it refuses what it knew of nodes that it forgot. */
    std::map<NodeId, TimePoint> forgotten;
    std::map<std::size_t, std::pair<std::uint64_t, std::uint64_t>> answered;
    mesh::RoutesPtr checked_routes;
    bool view_changed = false;

    /** For whatever a machine is told. */
    mesh::Mesh& mesh_input() {
        mesh_stirred = true;
        return *mesh;
    }

    mesh::Connector& connector_input() {
        connector_stirred = true;
        return *connector;
    }
};

struct End {
    std::size_t node = 0;
    std::uint64_t life = 0;
    LinkId link = 0;
    bool open = false;
    bool closed = false;
    /** Closed by this end because it had a better link to the same node. */
    bool duplicate = false;
};

/** One TCP connection: ends[0] dialled. */
struct Connection {
    End ends[2];
    mesh::DialId dial = 0;
    std::uint64_t nonces[2] = {0, 0};
    std::uint64_t epochs[2] = {0, 0};
    /** Each end learns that it is connected before it can learn that it is closed. */
    TimePoint opens[2];
};

struct Captured {
    std::size_t to = 0;
    Endpoint from;
    Bytes bytes;
    Trace trace;
};

/** A frame and where it was delivered. */
struct Sent {
    std::size_t from = 0;
    std::optional<std::size_t> to;
    std::set<std::size_t> delivered;
};

/** In meshes of up to 128 nodes all watch all, so that every session can be looked at. */
mesh::ActiveViewSettings watching_all();

} // namespace weave::sim
