// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What must hold after every step of every node, and what must hold once the world has come to
// rest.
#include "sim/world.hpp"

#include <algorithm>

namespace weave::sim {

void World::violate(const char* name, const std::string& detail) {
    stopped_ = stopped_ || stop_at_ == name;
    if (++violated_[name] <= 10) {
        violations_.push_back({name, detail});
    }
}

/** Within one life a node accepts only rising stamps; an equal one only for a node it had
 * forgotten. */
void World::check_accepted(std::size_t index, const wire::Record& record) {
    Node& node = nodes_[index];
    const auto [at, first] = node.accepted.try_emplace(record.id(), record.stamp);
    if (!first &&
        (record.stamp < at->second || (record.stamp == at->second && counted("node_gone") == 0))) {
        violate("stamp_order",
                node.name + " accepted version " + std::to_string(record.stamp.version) +
                    " after " + std::to_string(at->second.version));
    }
    at->second = std::max(at->second, record.stamp);
}

void World::check_step(std::size_t index) {
    Node& node = nodes_[index];
    const auto& store = node.mesh->store();
    if (node.mesh->waiting() > store.size()) {
        violate("bounded_queues", node.name + " holds more than one entry per record for a link");
    }
    if (store.nodes().size() > node_limit_) {
        violate("bounded_store", node.name + " knows more nodes than the limit");
    }
    check_routes(index);
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

/** Routes are exactly the shortest paths over the edges that both ends, as this node sees them,
 * claim. */
void World::check_routes(std::size_t index) {
    Node& node = nodes_[index];
    const auto routes = node.mesh->routes();
    if (routes == node.checked_routes) {
        return;
    }
    node.checked_routes = routes;
    const auto distances = true_distances(index);
    if (distances.size() != routes->size() + 1 && !distances.empty()) {
        violate("routes",
                node.name + " has " + std::to_string(routes->size()) + " routes of " +
                    std::to_string(distances.size() - 1));
    }
    for (const auto& [to, route] : *routes) {
        const auto hop = distances.find(route.next_hop);
        const auto goal = distances.find(to);
        if (hop == distances.end() || hop->second != 1 || goal == distances.end() ||
            goal->second != route.hops) {
            violate("routes",
                    node.name + " goes to " + to.fingerprint() + " in " +
                        std::to_string(route.hops) + " hops by " + route.next_hop.fingerprint());
        }
    }
}

/** Plain breadth first by the definition, sharing no code with the router. */
std::map<NodeId, unsigned> World::true_distances(std::size_t index) {
    std::map<NodeId, std::set<NodeId>> lists;
    for (const mesh::NodeInfo& info : nodes_[index].mesh->nodes()) {
        lists[info.id].insert(info.unreachable.begin(), info.unreachable.end());
    }
    std::map<NodeId, unsigned> distances;
    if (!lists.contains(nodes_[index].id)) {
        return distances;
    }
    distances[nodes_[index].id] = 0;
    for (std::vector<NodeId> ring{nodes_[index].id}; !ring.empty();) {
        std::vector<NodeId> next;
        for (const NodeId& from : ring) {
            for (const auto& [to, listed] : lists) {
                if (!listed.contains(from) && !lists.at(from).contains(to) &&
                    distances.try_emplace(to, distances.at(from) + 1).second) {
                    next.push_back(to);
                }
            }
        }
        ring.swap(next);
    }
    return distances;
}

bool World::lacks(std::string why) {
    unconverged_ = std::move(why);
    return false;
}

/** Two nodes on one side of every cut: one link, the same at both ends, the same records. */
bool World::pair_converged(std::size_t a, std::size_t b) {
    const auto ab = nodes_[a].connector->link_to(nodes_[b].id);
    const auto ba = nodes_[b].connector->link_to(nodes_[a].id);
    const std::string names = nodes_[a].name + " and " + nodes_[b].name;
    if (tcp_works(a, b)) {
        const auto end = ab ? ends_.find(*ab) : ends_.end();
        if (!ab || !ba || end == ends_.end()) {
            return lacks(names + " are not connected");
        }
        const auto& [connection, side] = end->second;
        if (connection->ends[1 - side].link != *ba) {
            return lacks(names + " use different links");
        }
    }
    const bool same_side = cut_.contains(a) == cut_.contains(b);
    if (same_side &&
        nodes_[a].mesh->store().digest().hashes != nodes_[b].mesh->store().digest().hashes) {
        return lacks(names + " hold different records");
    }
    return true;
}

bool World::converged() {
    for (std::size_t a = 0; a < nodes_.size(); ++a) {
        if (!nodes_[a].up) {
            continue;
        }
        for (std::size_t b = 0; b < nodes_.size(); ++b) {
            if (a != b && nodes_[b].up && !pair_converged(a, b)) {
                return false;
            }
        }
        std::map<NodeId, unsigned> peers;
        for (const auto& [link, peer] : nodes_[a].mesh->links()) {
            if (++peers[peer] > 1) {
                return lacks(nodes_[a].name + " has two links to one node");
            }
        }
        for (const mesh::NodeInfo& info : nodes_[a].mesh->nodes()) {
            const std::size_t b = by_id_.at(info.id);
            const auto own = nodes_[a].mesh->node(nodes_[a].id).value_or(mesh::NodeInfo{});
            const auto& listed = own.unreachable;
            const bool lists = std::find(listed.begin(), listed.end(), info.id) != listed.end();
            if (a != b && lists == udp_works(a, b)) {
                return lacks(nodes_[a].name + " has not noticed a path");
            }
        }
    }
    return true;
}

void World::check_paths() {
    for (std::size_t from = 0; from < nodes_.size(); ++from) {
        if (!nodes_[from].up) {
            continue;
        }
        const mesh::RoutesPtr routes = nodes_[from].mesh->routes();
        for (const auto& [to, first] : *routes) {
            std::size_t at = from;
            unsigned steps = 0;
            while (nodes_[at].id != to && steps <= nodes_.size()) {
                if (!nodes_[at].up) {
                    break;
                }
                const auto at_routes = nodes_[at].mesh->routes();
                const auto route = at_routes->find(to);
                if (route == at_routes->end()) {
                    break;
                }
                at = by_id_.at(route->second.next_hop);
                ++steps;
            }
            if (nodes_[at].id != to) {
                violate(steps > nodes_.size() ? "loop" : "dead_end",
                        nodes_[from].name + " does not reach " + to.fingerprint());
            }
        }
    }
}

} // namespace weave::sim
