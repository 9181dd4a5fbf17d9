// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Whether the world is calm, and whether it has come to rest.
#include "sim/world.hpp"

#include <algorithm>

namespace weave::sim {

bool World::lacks(std::string why) {
    unconverged_ = std::move(why);
    return false;
}

/** One link between two nodes, the same at both ends. */
bool World::same_link(std::size_t a, std::size_t b) {
    const auto ab = nodes_[a].connector->link_to(nodes_[b].id);
    const auto ba = nodes_[b].connector->link_to(nodes_[a].id);
    const auto end = ab ? ends_.find(*ab) : ends_.end();
    if (!ab || !ba || end == ends_.end()) {
        return lacks(nodes_[a].name + " and " + nodes_[b].name + " are not connected");
    }
    const auto& [connection, side] = end->second;
    if (connection->ends[1 - side].link != *ba) {
        return lacks(nodes_[a].name + " and " + nodes_[b].name + " use different links");
    }
    return true;
}

/** One link to each node that can be reached, in a large world to each that it has one to. */
bool World::links_converged(std::size_t index) {
    std::set<std::size_t> others;
    for (const auto& [link, peer] : nodes_[index].mesh->links()) {
        const auto end = ends_.find(link);
        if (end == ends_.end()) {
            return lacks(nodes_[index].name + " holds a link that is closed");
        }
        const auto& [connection, side] = end->second;
        const std::size_t other = connection->ends[1 - side].node;
        if (!others.insert(other).second) {
            return lacks(nodes_[index].name + " has two links to one node");
        }
        if (tcp_works(index, other) && !same_link(index, other)) {
            return false;
        }
    }
    if (nodes_[index].connector->partial()) {
        return !others.empty() || lacks(nodes_[index].name + " has no link");
    }
    for (std::size_t other = 0; stride_ == 1 && other < nodes_.size(); ++other) {
        if (other != index && tcp_works(index, other) && !same_link(index, other)) {
            return false;
        }
    }
    return true;
}

/** It lists those that it cannot reach, and no other. */
bool World::paths_noticed(std::size_t index) {
    const auto own = nodes_[index].mesh->node(nodes_[index].id).value_or(mesh::NodeInfo{});
    const std::set<NodeId> listed(own.unreachable.begin(), own.unreachable.end());
    for (const mesh::NodeInfo& info : nodes_[index].mesh->nodes()) {
        const auto other = by_id_.find(info.id);
        if (other != by_id_.end() && watched(index, other->second) &&
            listed.contains(info.id) == udp_works(index, other->second)) {
            return lacks(nodes_[index].name + " has not noticed that the path to " +
                         nodes_[other->second].name +
                         (listed.contains(info.id) ? " works" : " does not work"));
        }
    }
    return true;
}

/** All nodes that can hear of each other hold what the first of them holds. */
bool World::same_records() {
    std::optional<std::size_t> first[2];
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        if (!nodes_[index].up) {
            continue;
        }
        std::optional<std::size_t>& other = first[cut_.contains(index) ? 1U : 0U];
        if (!other) {
            other = index;
        } else if (nodes_[index].mesh->store().digest().hashes !=
                   nodes_[*other].mesh->store().digest().hashes) {
            return lacks(nodes_[*other].name + " and " + nodes_[index].name +
                         " hold different records");
        }
    }
    return true;
}

/** Both ends agree on keys and have a way, direct where there is one. */
bool World::packets_converged(std::size_t a, std::size_t b) {
    const std::string names = nodes_[a].name + " and " + nodes_[b].name;
    const Plane& here = *nodes_[a].plane;
    const auto index = here.sealing_for(nodes_[b].id);
    if (!here.ready(nodes_[b].id) || !index || !nodes_[b].plane->opens(*index)) {
        return lacks(names + " have no session that works");
    }
    const bool direct = here.path(nodes_[b].id)->in_use().kind == session::Use::Kind::direct;
    if (direct != udp_works(a, b)) {
        return lacks(names + " use the wrong way");
    }
    return true;
}

bool World::converged() {
    if (!records_converged()) {
        return false;
    }
    for (std::size_t a = 0; a < nodes_.size(); a += stride_) {
        for (std::size_t b = 0; b < nodes_.size(); ++b) {
            const bool both = watched(a, b) && nodes_[a].up && nodes_[b].up;
            if (both && cut_.contains(a) == cut_.contains(b) && !packets_converged(a, b)) {
                return false;
            }
        }
    }
    return true;
}

/** Everybody knows the same, so routes are final. */
bool World::records_converged() {
    if (!same_records()) {
        return false;
    }
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        if (nodes_[index].up && !links_converged(index)) {
            return false;
        }
    }
    for (std::size_t index = 0; index < nodes_.size(); index += stride_) {
        if (nodes_[index].up && !paths_noticed(index)) {
            return false;
        }
    }
    return true;
}

/** All nodes that may hear of each other hold the same records and act on them, so that nothing but
 * another record changes routes. */
bool World::agree() {
    return same_records() && std::ranges::all_of(nodes_, [](const Node& node) {
               return !node.up || node.mesh->routes() == node.plane_routes;
           });
}

/** Whether a calm phase begins, in any weather. */
void World::look() {
    if (!stable_ && agree()) {
        stable_ = true;
        ++calm_;
        check_paths(false);
    }
}

} // namespace weave::sim
