// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What must hold after every step of every node.
#include "sim/world.hpp"
#include "support/fake_ports.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

/** Three superseded sessions, the current one and the next. */
constexpr std::size_t kMaxKeys = 5;

std::string text(wire::Stamp stamp) {
    return "(" + std::to_string(stamp.epoch) + ", " + std::to_string(stamp.version) + ")";
}

} // namespace

void World::violate(const char* name, const std::string& detail) {
    stopped_ = stopped_ || stop_at_ == name;
    if (++violated_[name] <= 10) {
        violations_.push_back({name, detail});
    }
}

/** Within one life a node accepts only rising stamps. Of a node that it had forgotten it may take
 * the last one again, and anything once the tombstone is gone. */
void World::check_accepted(std::size_t index, const wire::Record& record) {
    if (!looked_at(index)) {
        return;
    }
    Node& node = nodes_[index];
    const auto forgotten = node.forgotten.find(record.node);
    const bool was_forgotten = forgotten != node.forgotten.end();
    if (was_forgotten && local_time(index) >= forgotten->second) {
        std::erase_if(node.accepted, [&](const auto& it) { return it.first.node == record.node; });
        node.forgotten.erase(forgotten);
    }
    const auto [at, first] = node.accepted.try_emplace(record.id(), record.stamp);
    const bool again = record.stamp == at->second && !was_forgotten;
    if (!first && (record.stamp < at->second || again)) {
        violate("stamp_order",
                node.name + " accepted " + text(record.stamp) + " of " + record.node.fingerprint() +
                    " after " + text(at->second));
    }
    at->second = std::max(at->second, record.stamp);
}

/** What mesh and connector keep is within its limits, at its most: before what they queued is
 * taken.
 */
void World::check_mesh(std::size_t index) {
    if (!looked_at(index)) {
        return;
    }
    const Node& node = nodes_[index];
    const mesh::Store& store = node.mesh->store();
    const mesh::MeshSizes mesh = node.mesh->sizes();
    const mesh::ConnectorSizes connector = node.connector->sizes();
    const std::size_t dials = connector.targets + mesh::ConnectorSettings{}.max_dials;
    const auto bound = [&](std::size_t size, std::size_t limit, const char* what) {
        if (size > limit) {
            violate("bounded_queues", node.name + " holds too many " + what);
        }
    };
    bound(mesh.waiting, store.size(), "records for a link");
    bound(mesh.requested, mesh::MeshSizes::kMaxRequested, "requests");
    bound(mesh.sends, mesh::MeshSizes::kMaxSends, "messages");
    bound(mesh.dead, store.nodes(), "dead nodes");
    bound(mesh.unreachable, wire::kMaxUnreachable, "unreachable nodes");
    bound(mesh.tombstones, mesh::StoreLimits{}.tombstones, "tombstones");
    bound(connector.targets, node.targets.size(), "targets");
    bound(connector.nodes,
          node.connector->partial() ? view_.least + 1 : node_limit_,
          "nodes to dial");
    bound(connector.avoided, view_.max_avoided, "nodes to avoid");
    bound(connector.namers, node_limit_, "nodes that name it");
    bound(connector.dials, dials, "dials");
    bound(connector.links, mesh.links, "links");
    bound(connector.processes, node_limit_, "nodes with processes");
    bound(connector.most_processes, mesh::Processes::kMaxOfNode, "processes of a node");
    bound(connector.self_endpoints, mesh::ConnectorSizes::kMaxSelfEndpoints, "own addresses");
    if (store.nodes() > node_limit_) {
        violate("bounded_store", node.name + " knows more nodes than the limit");
    }
}

/** So is what sessions, paths and waiting frames take. */
void World::check_plane(std::size_t index) {
    if (!looked_at(index)) {
        return;
    }
    const Node& node = nodes_[index];
    const PlaneSizes plane = node.plane->sizes();
    const auto bound = [&](std::size_t size, std::size_t limit, const char* what) {
        if (size > limit) {
            violate("bounded_queues", node.name + " holds too many " + what);
        }
    };
    bound(plane.sessions.peers, session::Settings{}.max_peers, "peers");
    bound(plane.sessions.indexes,
          plane.sessions.peers * session::Manager::Sizes::kIndexesPerPeer,
          "handshakes and sessions");
    bound(plane.path.ways, session::PathSettings{}.max_candidates + 1, "ways to a peer");
    bound(plane.path.flying, session::PathMonitor::Sizes::kMaxFlying, "probes on a way");
    bound(plane.pending.frames, dataplane::WaitingRoom::kMaxFrames, "waiting frames for a peer");
    bound(plane.pending.bytes, dataplane::WaitingRoom::kMaxBytes, "waiting bytes for a peer");
    bound(plane.pending.total, dataplane::PendingFrames::kMemory, "waiting bytes");
    if (node.plane->most_keys() > kMaxKeys) {
        violate("bounded_keys", node.name + " holds too many keys for one peer");
    }
}

/** Each relay lowers the hop limit, whatever else it believes. */
void World::check_hop_limit(std::size_t from, const Trace& before, const Trace& after) {
    const bool relayed = !before.nodes.empty();
    if ((relayed && after.ttl >= before.ttl) || after.nodes.size() > wire::kRelayTtl) {
        violate("hop_limit",
                nodes_[from].name + " relays with " + std::to_string(after.ttl) + " after " +
                    std::to_string(before.ttl));
    }
}

/** Nobody ever gets back what it has just sent, and while all nodes agree on the routes what sets
 * out then comes by no node twice. */
void World::check_relayed(std::size_t index, const Trace& trace) {
    const auto& nodes = trace.nodes;
    if (nodes.size() >= 2 && nodes[nodes.size() - 2] == index) {
        violate("straight_back", nodes_[nodes.back()].name + " sent back what it was given");
        return;
    }
    const bool calm = stable_ && trace.calm == calm_;
    calm_relays_ += calm && nodes.size() >= 2 ? 1u : 0u;
    if (calm && std::find(nodes.begin(), nodes.end(), index) != nodes.end()) {
        violate("loop",
                nodes_[index].name + " relays again after " + std::to_string(nodes.size()) +
                    " hops");
    }
}

/** A node that was only started again, at whatever moment, is never taken for two. */
void World::check_identity(std::size_t index, const NodeId& twice) {
    if (copied_.contains(twice)) {
        counted_["identity_twice"] += nodes_[index].id != twice ? 1u : 0u;
    } else {
        violate("identity_twice",
                nodes_[index].name + " takes " + twice.fingerprint() + " for two machines");
    }
}

/** A frame arrives where it was sent to, sealed by who sent it, and once. */
void World::check_delivered(std::size_t index, const NodeId& from, const Frame& frame) {
    Sent& sent = frames_.at(frame.id);
    if (nodes_[sent.from].id != from || frame.group == sent.to.has_value() ||
        (sent.to && *sent.to != index)) {
        violate("misdelivered", nodes_[index].name + " got a frame that was not for it");
    }
    if (!sent.delivered.insert(index).second) {
        violate("duplicate_delivery",
                nodes_[index].name + " got " + (frame.group ? "a broadcast" : "a frame") + " of " +
                    nodes_[sent.from].name + " twice");
    }
}

/** Within one life a node answers the initiations of another in the order in which they were made,
 * each once. */
void World::check_answered(std::size_t index, const NodeId& from, ByteView initiation) {
    const auto known = initiations_.find(test::fake_hash(initiation));
    if (known == initiations_.end() || nodes_[known->second.from].id != from) {
        violate("handshake_order", nodes_[index].name + " answered what nobody initiated");
        return;
    }
    const std::pair order{known->second.epoch, known->second.number};
    auto& greatest = nodes_[index].answered[known->second.from];
    if (order <= greatest) {
        violate("handshake_order", nodes_[index].name + " answered an old initiation again");
    }
    greatest = std::max(greatest, order);
}

/** Of two links between two nodes each end drops one: never each the one that the other keeps. */
void World::check_survivors(std::size_t a, std::size_t b) {
    if (a != b && holds_what_the_other_dropped(a, b) && holds_what_the_other_dropped(b, a)) {
        violate("crossed_close",
                nodes_[a].name + " and " + nodes_[b].name + " kept different links");
    }
}

bool World::holds_what_the_other_dropped(std::size_t a, std::size_t b) {
    const auto held = nodes_[a].connector->link_to(nodes_[b].id);
    const auto end = held ? ends_.find(*held) : ends_.end();
    if (end == ends_.end()) {
        return false;
    }
    const auto& [connection, side] = end->second;
    return alive(connection->ends[0]) && alive(connection->ends[1]) &&
           connection->ends[1 - side].duplicate;
}

/** Routes go over edges that both ends, as this node sees them, claim, and to all that these reach.
 * Whether they are the shortest shows in check_paths() and check_relayed(): detours make loops. */
void World::check_routes(std::size_t index) {
    Node& node = nodes_[index];
    const auto routes = node.mesh->routes();
    if (!looked_at(index) || node.mesh->routes_pending() ||
        (routes == node.checked_routes && !node.view_changed)) {
        return;
    }
    node.checked_routes = routes;
    node.view_changed = false;
    const Distances distances = true_distances(node.id, node.mesh->nodes());
    for (std::size_t i = 0; i < distances.nodes.size(); ++i) {
        const NodeId& to = distances.nodes[i];
        const auto route = to == node.id ? std::nullopt : routes->to(to);
        const unsigned nearest = distances.hops[i];
        if (route.has_value() != (nearest != 0) && to != node.id) {
            violate("routes",
                    node.name + (route ? " has a route to " : " has no route to ") +
                        to.fingerprint());
        } else if (route && (distances.to(route->next_hop) != 1 || route->hops < nearest)) {
            violate("routes",
                    node.name + " goes to " + to.fingerprint() + " in " +
                        std::to_string(route->hops) + " hops by " + route->next_hop.fingerprint());
        }
    }
}

/** Follows next hops between all pairs: never in a circle, and at rest to where they lead. */
void World::check_paths(bool at_rest) {
    for (std::size_t from = 0; from < nodes_.size(); from += stride_) {
        if (!nodes_[from].up) {
            continue;
        }
        const mesh::RoutesPtr routes = nodes_[from].mesh->routes();
        for (const mesh::NodeInfo& info : nodes_[from].mesh->nodes()) {
            const NodeId& to = info.id;
            if (info.self || !routes->reaches(to)) {
                continue;
            }
            std::size_t at = from;
            unsigned steps = 0;
            while (nodes_[at].id != to && steps <= nodes_.size()) {
                if (!nodes_[at].up || cut_.contains(at) != cut_.contains(from)) {
                    break; // nobody there, or somebody who knows other things
                }
                const auto route =
                    nodes_[at].mesh->node(to) ? nodes_[at].mesh->routes()->to(to) : std::nullopt;
                if (!route) {
                    break;
                }
                at = by_id_.at(route->next_hop);
                ++steps;
            }
            const bool circle = steps > nodes_.size();
            if (circle || (at_rest && nodes_[at].id != to)) {
                violate(circle ? "loop" : "dead_end",
                        nodes_[from].name + " does not reach " + to.fingerprint());
            }
        }
    }
}

} // namespace weave::sim
