// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/store.hpp"

#include <algorithm>
#include <utility>

namespace weave::mesh {
namespace {

/** splitmix64's finaliser. */
std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

/**
 * Hash of one digest line. Not cryptographic: whoever crafts a collision hides only records from
 * those it gossips with, for as long as the bucket does not change.
 */
std::uint64_t line_hash(const wire::Record& record) {
    std::uint64_t hash = mix(record.kind);
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            word = (word << 8) | record.node.octets[half * 8 + i];
        }
        hash = mix(hash ^ word);
    }
    return mix(mix(hash ^ record.stamp.epoch) ^ record.stamp.version);
}

} // namespace

const Store::Channel& Store::channel(std::uint16_t kind) const {
    return channels_[kind == wire::kTopologyKind ? 0 : kind == wire::kAddressesKind ? 1 : 2];
}

Store::Channel& Store::channel(std::uint16_t kind) {
    return const_cast<Channel&>(std::as_const(*this).channel(kind));
}

std::size_t Store::bytes() const {
    return channels_[0].bytes + channels_[1].bytes + channels_[2].bytes;
}

wire::RecordPtr Store::find(const wire::RecordId& id) const {
    const auto node = nodes_.find(id.node);
    if (node == nodes_.end()) {
        return nullptr;
    }
    const auto record = node->second.find(id.kind);
    return record == node->second.end() ? nullptr : record->second;
}

bool Store::is_newer(const wire::RecordId& id, wire::Stamp stamp) const {
    if (const auto held = find(id)) {
#ifdef WEAVE_BREAK_STAMP_ORDER // the simulator proves that it notices
        return stamp != held->stamp;
#else
        return stamp > held->stamp;
#endif
    }
    const auto gone = tombstones_.find(id.node);
    if (gone == tombstones_.end()) {
        return true;
    }
    const auto last = gone->second.kinds.find(id.kind);
    return stamp > gone->second.greatest ||
           (gone->second.lifted && (last == gone->second.kinds.end() || stamp >= last->second));
}

bool Store::has_room(const wire::RecordId& id) const {
    const bool free = channel(id.kind).bytes < channel(id.kind).limit;
    const auto node = nodes_.find(id.node);
    if (node == nodes_.end()) {
        return nodes_.size() < limits_.nodes && free;
    }
    return node->second.contains(id.kind) ||
           (node->second.size() < limits_.records_per_node && free);
}

/** Why it cannot be taken; nothing when it can. What replaces a record and is no longer always can.
 */
std::optional<Store::Put> Store::refused(const wire::Record& record) const {
#ifdef WEAVE_BREAK_STORE_LIMIT // the simulator proves that it notices this missing
    return std::nullopt;
#endif
    const auto node = nodes_.find(record.node);
    if (node == nodes_.end() && nodes_.size() >= limits_.nodes) {
        return Put::too_many_nodes;
    }
    const auto held = find(record.id());
    if (!held && node != nodes_.end() && node->second.size() >= limits_.records_per_node) {
        return Put::too_many_records;
    }
    const std::size_t freed = held ? held->raw.size() : 0;
    const Channel& kind = channel(record.kind);
    if (record.raw.size() > freed && kind.bytes - freed + record.raw.size() > kind.limit) {
        return Put::too_many_bytes;
    }
    return std::nullopt;
}

Store::Put Store::put(wire::RecordPtr record, bool ours) {
    if (!is_newer(record->id(), record->stamp)) {
        return Put::not_newer;
    }
    if (const auto reason = refused(*record); reason && !ours) {
        return *reason;
    }
    wire::RecordPtr& slot = nodes_[record->node][record->kind];
    if (slot) {
        drop(*slot);
    }
    toggle(*record);
    ++size_;
    channel(record->kind).bytes += record->raw.size();
    slot = std::move(record);
    return Put::stored;
}

void Store::drop(const wire::Record& record) {
    toggle(record);
    --size_;
    channel(record.kind).bytes -= record.raw.size();
}

void Store::forget(const NodeId& node, TimePoint until) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) {
        return;
    }
    const auto [entry, inserted] = tombstones_.try_emplace(node);
    if (inserted) {
        tombstone_order_.push_back(node);
    }
    Tombstone& stone = entry->second;
    stone.until = until;
    stone.lifted = false;
    if (stone.kinds.size() > limits_.records_per_node) {
        stone.kinds.clear(); // it came and went with ever new kinds
    }
    for (const auto& [kind, record] : found->second) {
        stone.greatest = std::max(stone.greatest, record->stamp);
        stone.kinds[kind] = record->stamp;
        drop(*record);
    }
    nodes_.erase(found);
    while (tombstones_.size() > limits_.tombstones) {
        tombstones_.erase(tombstone_order_.front());
        tombstone_order_.pop_front();
    }
}

std::optional<wire::Stamp> Store::tombstone(const NodeId& node) const {
    const auto found = tombstones_.find(node);
    return found == tombstones_.end() || found->second.lifted
               ? std::nullopt
               : std::optional(found->second.greatest);
}

void Store::lift_tombstone(const NodeId& node) {
    if (const auto found = tombstones_.find(node); found != tombstones_.end()) {
        found->second.lifted = true;
    }
}

void Store::expire_tombstones(TimePoint now) {
    std::erase_if(tombstone_order_, [&](const NodeId& node) {
        const auto found = tombstones_.find(node);
        if (found->second.until > now) {
            return false;
        }
        tombstones_.erase(found);
        return true;
    });
}

void Store::toggle(const wire::Record& record) {
    digest_.hashes[wire::digest_bucket(record.node)] ^= line_hash(record);
}

} // namespace weave::mesh
