// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/mesh.hpp"

#include <algorithm>

namespace weave::mesh {
namespace {

constexpr Duration kForgetCheck = std::chrono::seconds(5);
/** A forgotten node stays in our unreachable list and among the tombstones until all have forgotten
 * it. */
constexpr unsigned kLingerFactor = 3;

} // namespace

void Mesh::decode_node(const wire::Record& record) {
    const wire::Topology* topology = record.topology.get();
    if (topology == nullptr) {
        count("mesh_malformed_topology");
        infos_.erase(record.node);
        return;
    }
    NodeInfo& info = infos_[record.node];
    info.id = record.node;
    info.key = record.key;
    info.name = topology->name.empty() ? record.node.fingerprint() : topology->name;
    info.endpoints = topology->endpoints;
    info.static_key = topology->static_key;
    info.unreachable = topology->unreachable;
    info.flags = topology->flags;
    info.lanes = std::max<std::uint8_t>(topology->lanes, 1);
    info.grace = topology->grace == 0 ? settings_.forget_after
                                      : std::clamp(Duration{std::chrono::seconds(topology->grace)},
                                                   settings_.least_grace,
                                                   settings_.most_grace);
    info.software = topology->software;
    info.epoch = record.stamp.epoch;
    info.self = record.node == self_;
    actions_.emplace_back(NodeChanged{record.node});
}

void Mesh::refresh_view() {
    if (!view_dirty_) {
        return;
    }
    view_dirty_ = false;
    update_reachability();
    update_names();
    report_collisions();
}

void Mesh::update_reachability() {
    std::vector<Adjacency> graph;
    graph.reserve(infos_.size());
    for (const auto& [id, info] : infos_) {
        graph.push_back({id, &info.unreachable});
    }
    auto routes = compute_routes(self_, graph);
    if (routes != *routes_) {
        routes_ = std::make_shared<Routes>(std::move(routes));
    }
    for (auto& [id, info] : infos_) {
        const bool reachable = info.self || routes_->contains(id);
        if (reachable != info.reachable) {
            info.reachable = reachable;
            actions_.emplace_back(NodeChanged{id});
        }
    }
    for (const auto& bucket : store_.buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            const auto info = infos_.find(record->node);
            if (info != infos_.end() && info->second.reachable) {
                dead_since_.erase(record->node);
            } else {
                dead_since_.try_emplace(record->node, now_);
            }
        }
    }
}

void Mesh::update_names() {
    // Reachable before unreachable, then who had it first, then the lower id, alike on all nodes:
    // the first of a name shows it plainly.
    const auto claim = [](const NodeInfo& info) {
        return std::pair{info.reachable, (info.flags & wire::Topology::kHoldsName) != 0};
    };
    std::map<std::string, NodeInfo*> holders;
    for (auto& [id, info] : infos_) {
        NodeInfo*& holder = holders.try_emplace(info.name, &info).first->second;
        if (claim(info) > claim(*holder)) {
            holder = &info;
        }
    }
    for (const auto& [id, info] : infos_) {
        const NodeInfo& holder = *holders.at(info.name);
        if (info.shown_name == info.name && &holder != &info && !info.reachable) {
            actions_.emplace_back(NameTaken{info.name, holder.id, id});
        }
    }
    for (auto& [id, info] : infos_) {
        const bool holds = holders.at(info.name) == &info;
        std::string shown = holds ? info.name : info.name + "~" + id.fingerprint();
        if (shown != info.shown_name) {
            info.shown_name = std::move(shown);
            actions_.emplace_back(NodeChanged{id});
        }
    }
}

/** Says that the name is ours once nobody alive has it, so that no later namesake takes it away. */
void Mesh::claim_name(TimePoint now) {
    const auto self = infos_.find(self_);
    if (self == infos_.end()) {
        claim_name_at_ = std::max(claim_name_at_, now + settings_.claim_name_after);
        return; // not said yet
    }
    const bool shown = self->second.shown_name == self->second.name;
    if (!shown) {
        claim_name_at_ = now + settings_.claim_name_late;
    }
    const bool holds = shown && (holds_name_ || now >= claim_name_at_);
    if (std::exchange(holds_name_, holds) != holds) {
        refresh_own_topology(now);
    }
}

/** Tells of each pair once, and again only after it was gone in between. */
void Mesh::report_collisions() {
    std::set<std::pair<NodeId, NodeId>> names;
    std::set<std::pair<NodeId, NodeId>> relays;
    std::map<std::string, NodeId> holders;
    std::map<RelayAddress, NodeId> addresses;
    for (const auto& [id, info] : infos_) {
        if (info.reachable && info.shown_name == info.name) {
            holders.emplace(info.name, id);
        }
    }
    for (const auto& [id, info] : infos_) {
        if (!info.reachable) {
            continue;
        }
        const NodeId& first = holders.at(info.name);
        if (first != id && names.emplace(first, id).second &&
            !name_collisions_.contains({first, id})) {
            actions_.emplace_back(NameCollision{info.name, first, id});
        }
        const NodeId& same = addresses.try_emplace(relay_address(id), id).first->second;
        if (same != id && relays.emplace(same, id).second &&
            !relay_collisions_.contains({same, id})) {
            actions_.emplace_back(RelayCollision{same, id});
        }
    }
    name_collisions_.swap(names);
    relay_collisions_.swap(relays);
}

Duration Mesh::grace_of(const NodeId& node) const {
    const auto info = infos_.find(node);
    return info == infos_.end() ? settings_.forget_after : info->second.grace;
}

void Mesh::forget_dead(TimePoint now) {
    next_forget_ = now + kForgetCheck;
    refresh_view();
    std::set<NodeId> linked;
    for (const auto& [id, link] : links_) {
        linked.insert(link.peer);
    }
    std::vector<NodeId> dead;
    for (const auto& [node, since] : dead_since_) {
        if (node != self_ && now - since >= grace_of(node) && !linked.contains(node)) {
            dead.push_back(node);
        }
    }
    for (const NodeId& node : dead) {
        forget(node, now);
    }
    const auto gone = std::erase_if(unreachable_, [&](const auto& entry) {
        return entry.second <= now && !infos_.contains(entry.first);
    });
    if (gone > 0) {
        refresh_own_topology(now);
    }
}

void Mesh::forget(const NodeId& node, TimePoint now) {
    const TimePoint until = now + kLingerFactor * grace_of(node);
    store_.forget(node, until);
#ifndef WEAVE_BREAK_FORGET_PENDING // the simulator proves that it notices this missing
    for (auto& [id, link] : links_) {
        const auto of_node = [&](const wire::RecordId& it) { return it.node == node; };
        std::erase_if(link.records, of_node);
        std::erase_if(link.lines, of_node);
    }
#endif
    infos_.erase(node);
    dead_since_.erase(node);
    // Unlisting at once would give the node a usable edge in the eyes of those who still know it.
    const auto listed = unreachable_.find(node);
    if (listed != unreachable_.end()) {
        listed->second = until;
    }
    view_dirty_ = true;
    actions_.emplace_back(NodeGone{node});
}

std::vector<NodeInfo> Mesh::nodes() {
    refresh_view();
    std::vector<NodeInfo> out;
    out.reserve(infos_.size());
    for (const auto& [id, info] : infos_) {
        out.push_back(info);
    }
    return out;
}

std::optional<NodeInfo> Mesh::node(const NodeId& id) {
    refresh_view();
    const auto found = infos_.find(id);
    return found == infos_.end() ? std::nullopt : std::optional(found->second);
}

RoutesPtr Mesh::routes() {
    refresh_view();
    return routes_;
}

} // namespace weave::mesh
