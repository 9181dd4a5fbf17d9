// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/mesh.hpp"

#include <algorithm>
#include <iterator>

namespace weave::mesh {
namespace {

constexpr Duration kForgetCheck = std::chrono::seconds(5);
/** A forgotten node stays in our unreachable list and among the tombstones until all have forgotten
 * it. */
constexpr unsigned kLingerFactor = 3;
/** In a mesh of more than kLarge nodes news of edges is gathered for so long before routes are
 * computed again: each computation looks at all nodes. */
constexpr std::size_t kLarge = 256;
constexpr Duration kRoutesPause = std::chrono::milliseconds(50);

bool contains(const std::optional<std::vector<NodeId>>& nodes, const NodeId& node) {
    return nodes && std::find(nodes->begin(), nodes->end(), node) != nodes->end();
}

/** Who has just come has no neighbours yet, only links. */
bool is_newcomer(const std::optional<std::vector<NodeId>>& neighbours) {
    return !neighbours || neighbours->empty();
}

bool same_edges(const wire::RecordPtr& before, const wire::RecordPtr& after) {
    return before && before->topology && after->topology &&
           before->topology->unreachable == after->topology->unreachable &&
           before->topology->neighbours == after->topology->neighbours;
}

} // namespace

const wire::Record* Mesh::described(const NodeId& node) const {
    const auto record = store_.find({node, wire::kTopologyKind});
    return record && record->topology ? record.get() : nullptr;
}

bool Mesh::is_linked(const NodeId& node) const {
    return std::any_of(
        links_.begin(), links_.end(), [&](const auto& entry) { return entry.second.peer == node; });
}

NodeInfo Mesh::info_of(const wire::Record& record) const {
    const wire::Topology& topology = *record.topology;
    NodeInfo info;
    info.id = record.node;
    info.key = record.key;
    info.name = topology.name.empty() ? record.node.fingerprint() : topology.name;
    info.shown_name =
        suffixed_.contains(info.id) ? info.name + "~" + info.id.fingerprint() : info.name;
    info.endpoints = topology.endpoints;
    info.static_key = topology.static_key;
    info.unreachable = topology.unreachable;
    info.neighbours = topology.neighbours;
    info.flags = topology.flags;
    info.lanes = std::max<std::uint8_t>(topology.lanes, 1);
    info.grace = grace_of(info.id);
    info.software = topology.software;
    info.epoch = record.stamp.epoch;
    info.self = record.node == self_;
    info.reachable = info.self || routes_->reaches(info.id);
    info.names_us = named_by_.contains(info.id);
    const bool names = own_topology_ && own_topology_->neighbours;
    const bool all = !names && store_.nodes() <= settings_.watch_all;
    const bool named = names && contains(own_topology_->neighbours, info.id);
    const bool meeting =
        is_newcomer(topology.neighbours) || !names || is_newcomer(own_topology_->neighbours);
    info.watched = !info.self && (all || named || info.names_us || (meeting && is_linked(info.id)));
    info.leads = named != info.names_us ? named : self_ < info.id;
    return info;
}

/** The record is in the store, in the place of `before` where there was one. */
void Mesh::look_at_topology(const wire::RecordPtr& record, const wire::RecordPtr& before) {
    const std::size_t listed = listings_;
    if (before && before->topology) {
        count_out(*before);
    }
    if (record->topology) {
        undescribed_.erase(record->node);
        if (routes_->reaches(record->node)) {
            dead_since_.erase(record->node);
        }
        count_in(*record);
        if (!before && has_double(record->node)) {
            alike_.insert(record->node);
        }
        actions_.emplace_back(NodeChanged{record->node});
    } else {
        count("mesh_malformed_topology");
        undescribed_.insert(record->node);
        dead_since_.try_emplace(record->node, now_);
    }
    view_dirty_ = true;
    const bool any = listed + listings_ > 0;
    routes_dirty_ = routes_dirty_ || (any && !same_edges(before, record));
}

/** Whether another node has the same relay address: then it is next to it in the store. */
bool Mesh::has_double(const NodeId& node) const {
    const Store::Bucket& bucket = store_.buckets()[wire::digest_bucket(node)];
    const auto records = store_.of(node);
    const auto alike = [&](const wire::RecordPtr& other) {
        return relay_address(other->node) == relay_address(node);
    };
    const wire::RecordPtr* first = bucket.data();
    const wire::RecordPtr* end = first + bucket.size();
    const wire::RecordPtr* after = records.data() + records.size();
    return (records.data() != first && alike(*(records.data() - 1))) ||
           (after != end && alike(*after));
}

void Mesh::count_in(const wire::Record& record) {
    names_.add(record.topology->name);
    listings_ += record.topology->unreachable.size();
    if (contains(record.topology->neighbours, self_)) {
        named_by_.insert(record.node);
    }
}

void Mesh::count_out(const wire::Record& record) {
    names_.remove(record.topology->name);
    listings_ -= record.topology->unreachable.size();
    named_by_.erase(record.node);
}

void Mesh::refresh_view() {
    if (!view_dirty_) {
        return;
    }
    if (routes_dirty_) {
        if (now_ < next_routes_) {
            return;
        }
        next_routes_ = store_.nodes() > kLarge ? now_ + kRoutesPause : now_;
        update_routes();
    }
    view_dirty_ = routes_dirty_ = false;
    if (names_.any_shared() || !suffixed_.empty()) {
        update_names();
    }
    report_alike();
}

void Mesh::update_routes() {
    Routes routes;
    if (listings_ > 0) {
        std::vector<Adjacency> graph;
        graph.reserve(store_.nodes());
        for (const Store::Bucket& bucket : store_.buckets()) {
            for (const wire::RecordPtr& record : bucket) {
                if (record->topology) {
                    const auto& neighbours = record->topology->neighbours;
                    graph.push_back({record->node,
                                     &record->topology->unreachable,
                                     neighbours ? &*neighbours : nullptr});
                }
            }
        }
        routes = compute_routes(self_, graph);
    }
    if (routes != *routes_) {
        const RoutesPtr before =
            std::exchange(routes_, std::make_shared<Routes>(std::move(routes)));
        note_reachable(*before);
    }
}

/** Of whom it changed whether they can be reached. */
void Mesh::note_reachable(const Routes& before) {
    std::vector<NodeId> changed;
    std::set_symmetric_difference(before.unreachable.begin(),
                                  before.unreachable.end(),
                                  routes_->unreachable.begin(),
                                  routes_->unreachable.end(),
                                  std::back_inserter(changed));
    for (const NodeId& node : changed) {
        if (described(node) == nullptr) {
            continue; // forgotten since
        }
        if (routes_->reaches(node)) {
            dead_since_.erase(node);
        } else {
            dead_since_.try_emplace(node, now_);
        }
        actions_.emplace_back(NodeChanged{node});
    }
}

/** Our own list of neighbours was `before`. */
void Mesh::note_watched(const std::optional<std::vector<NodeId>>& before) {
    const auto& named = own_topology_->neighbours;
    const bool met = is_newcomer(before) != is_newcomer(named);
    for (const Store::Bucket& bucket : store_.buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            const bool changed = before.has_value() != named.has_value() ||
                                 contains(before, record->node) != contains(named, record->node) ||
                                 (met && is_linked(record->node));
            if (record->topology && changed) {
                actions_.emplace_back(NodeChanged{record->node});
            }
        }
    }
}

/** A link to the node came or went: while either has no neighbours that decides who is watched. */
void Mesh::note_link(const NodeId& node) {
    const wire::Record* record = described(node);
    if (record != nullptr && (is_newcomer(record->topology->neighbours) || !own_topology_ ||
                              is_newcomer(own_topology_->neighbours))) {
        actions_.emplace_back(NodeChanged{node});
    }
}

Duration Mesh::grace_of(const NodeId& node) const {
    const wire::Record* record = described(node);
    return record == nullptr || record->topology->grace == 0
               ? settings_.forget_after
               : std::clamp(Duration{std::chrono::seconds(record->topology->grace)},
                            settings_.least_grace,
                            settings_.most_grace);
}

void Mesh::forget_dead(TimePoint now) {
    next_forget_ = now + kForgetCheck;
    refresh_view();
    std::vector<NodeId> dead;
    for (const auto& [node, since] : dead_since_) {
        if (node != self_ && now - since >= grace_of(node) && !is_linked(node)) {
            dead.push_back(node);
        }
    }
    for (const NodeId& node : dead) {
        forget(node, now);
    }
    const auto gone = std::erase_if(unreachable_, [&](const auto& entry) {
        return entry.second <= now && described(entry.first) == nullptr;
    });
    if (gone > 0) {
        refresh_own_topology(now);
    }
}

void Mesh::forget(const NodeId& node, TimePoint now) {
    const TimePoint until = now + kLingerFactor * grace_of(node);
    if (const wire::Record* record = described(node)) {
        count_out(*record);
    }
    store_.forget(node, until);
#ifndef WEAVE_BREAK_FORGET_PENDING // the simulator proves that it notices this missing
    for (auto& [id, link] : links_) {
        const auto of_node = [&](const wire::RecordId& it) { return it.node == node; };
        std::erase_if(link.records, of_node);
        std::erase_if(link.lines, of_node);
    }
#endif
    undescribed_.erase(node);
    suffixed_.erase(node);
    alike_.erase(node);
    dead_since_.erase(node);
    // Unlisting at once would give the node a usable edge in the eyes of those who still know it.
    const auto listed = unreachable_.find(node);
    if (listed != unreachable_.end()) {
        listed->second = until;
    }
    view_dirty_ = routes_dirty_ = true;
    actions_.emplace_back(NodeGone{node});
}

Directory Mesh::directory() {
    return {
        .size = [this] { return store_.nodes(); },
        .at = [this](std::size_t number) { return store_.node(number); },
        .knows = [this](const NodeId& node) { return !store_.of(node).empty(); },
        .endpoints =
            [this](const NodeId& node) {
                const wire::Record* record = described(node);
                return record == nullptr ? std::vector<Endpoint>{} : record->topology->endpoints;
            },
        .reachable = [this](const NodeId& node) { return routes_->reaches(node); },
    };
}

std::vector<NodeInfo> Mesh::nodes() {
    refresh_view();
    std::vector<NodeInfo> out;
    out.reserve(store_.nodes());
    for (const Store::Bucket& bucket : store_.buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            if (record->topology) {
                out.push_back(info_of(*record));
            }
        }
    }
    return out;
}

std::optional<NodeInfo> Mesh::node(const NodeId& id) {
    refresh_view();
    const wire::Record* record = described(id);
    return record == nullptr ? std::nullopt : std::optional(info_of(*record));
}

RoutesPtr Mesh::routes() {
    refresh_view();
    return routes_;
}

} // namespace weave::mesh
