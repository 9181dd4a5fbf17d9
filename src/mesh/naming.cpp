// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/mesh.hpp"

#include <algorithm>

namespace weave::mesh {

/** Looks at the names that more than one node has. */
void Mesh::update_names() {
    std::vector<NodeInfo> shared;
    for (const Store::Bucket& bucket : store_.buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            if (record->topology && names_.shared(record->topology->name)) {
                shared.push_back(info_of(*record));
            }
        }
    }
    // Reachable before unreachable, then who had it first, then the lower id, alike on all nodes:
    // the first of a name shows it plainly.
    const auto claim = [](const NodeInfo& info) {
        return std::pair{info.reachable, (info.flags & wire::Topology::kHoldsName) != 0};
    };
    std::map<std::string, const NodeInfo*> holders;
    for (const NodeInfo& info : shared) {
        const NodeInfo*& holder = holders.try_emplace(info.name, &info).first->second;
        holder = claim(info) > claim(*holder) ? &info : holder;
    }
    std::set<NodeId> suffixed;
    std::set<std::pair<NodeId, NodeId>> collisions;
    for (const NodeInfo& info : shared) {
        const NodeInfo& holder = *holders.at(info.name);
        if (&holder == &info) {
            continue;
        }
        suffixed.insert(info.id);
        if (!suffixed_.contains(info.id)) {
            if (!info.reachable) {
                actions_.emplace_back(NameTaken{info.name, holder.id, info.id});
            }
            actions_.emplace_back(NodeChanged{info.id});
        }
        // Each pair is told of once, and again only after it was gone in between.
        if (info.reachable && collisions.emplace(holder.id, info.id).second &&
            !name_collisions_.contains({holder.id, info.id})) {
            actions_.emplace_back(NameCollision{info.name, holder.id, info.id});
        }
    }
    for (const NodeId& node : suffixed_) {
        if (!suffixed.contains(node)) {
            actions_.emplace_back(NodeChanged{node});
        }
    }
    suffixed_.swap(suffixed);
    name_collisions_.swap(collisions);
}

/** Says that the name is ours once nobody alive has it, so that no later namesake takes it away. */
void Mesh::claim_name(TimePoint now) {
    if (described(self_) == nullptr) {
        claim_name_at_ = std::max(claim_name_at_, now + settings_.claim_name_after);
        return; // not said yet
    }
    const bool shown = !suffixed_.contains(self_);
    if (!shown) {
        claim_name_at_ = now + settings_.claim_name_late;
    }
    const bool holds = shown && (holds_name_ || now >= claim_name_at_);
    if (std::exchange(holds_name_, holds) != holds) {
        refresh_own_topology(now);
    }
}

/** Tells of pairs of nodes with one relay address: they are next to each other in order of id. */
void Mesh::report_alike() {
    std::set<std::pair<NodeId, NodeId>> alike;
    for (const NodeId& node : alike_) {
        const NodeId* first = nullptr;
        for (const wire::RecordPtr& record : store_.buckets()[wire::digest_bucket(node)]) {
            if (!record->topology || relay_address(record->node) != relay_address(node) ||
                (record->node != self_ && !routes_->reaches(record->node))) {
                continue;
            }
            if (first == nullptr) {
                first = &record->node;
            } else if (alike.emplace(*first, record->node).second &&
                       !relay_collisions_.contains({*first, record->node})) {
                actions_.emplace_back(RelayCollision{*first, record->node});
            }
        }
    }
    relay_collisions_.swap(alike);
}

} // namespace weave::mesh
