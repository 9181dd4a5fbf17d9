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

/** Orders records before ids and nodes. */
struct ById {
    bool operator()(const wire::RecordPtr& record, const wire::RecordId& id) const {
        return record->node != id.node ? record->node < id.node : record->kind < id.kind;
    }

    bool operator()(const wire::RecordPtr& record, const NodeId& node) const {
        return record->node < node;
    }

    bool operator()(const NodeId& node, const wire::RecordPtr& record) const {
        return node < record->node;
    }
};

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
    const Bucket& bucket = buckets_[wire::digest_bucket(id.node)];
    const auto at = std::lower_bound(bucket.begin(), bucket.end(), id, ById{});
    return at == bucket.end() || (*at)->node != id.node || (*at)->kind != id.kind ? nullptr : *at;
}

std::span<const wire::RecordPtr> Store::of(const NodeId& node) const {
    const Bucket& bucket = buckets_[wire::digest_bucket(node)];
    const auto [begin, end] = std::equal_range(bucket.begin(), bucket.end(), node, ById{});
    return {begin, end};
}

const NodeId& Store::node(std::size_t number) const {
    std::size_t at = 0;
    while (number >= nodes_of_bucket_[at]) {
        number -= nodes_of_bucket_[at++];
    }
    const Bucket& bucket = buckets_[at];
    std::size_t record = 0;
    for (; number > 0; --number) {
        const NodeId& node = bucket[record]->node;
        while (bucket[record]->node == node) {
            ++record;
        }
    }
    return bucket[record]->node;
}

Store::Bucket& Store::bucket_of(const NodeId& node) {
    return buckets_[wire::digest_bucket(node)];
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
    const auto held = of(id.node);
    if (held.empty()) {
        return nodes_ < limits_.nodes && free;
    }
    return find(id) != nullptr || (held.size() < limits_.records_per_node && free);
}

/** Why it cannot be taken; nothing when it can. What replaces a record and is no longer always can.
 */
std::optional<Store::Put> Store::refused(const wire::Record& record) const {
#ifdef WEAVE_BREAK_STORE_LIMIT // the simulator proves that it notices this missing
    return std::nullopt;
#endif
    const auto all = of(record.node);
    if (all.empty() && nodes_ >= limits_.nodes) {
        return Put::too_many_nodes;
    }
    const auto held = find(record.id());
    if (!held && all.size() >= limits_.records_per_node) {
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
    toggle(*record);
    ++size_;
    channel(record->kind).bytes += record->raw.size();
    Bucket& bucket = bucket_of(record->node);
    const auto at = std::lower_bound(bucket.begin(), bucket.end(), record->id(), ById{});
    if (at != bucket.end() && (*at)->id() == record->id()) {
        drop(**at);
        *at = std::move(record);
    } else {
        const std::size_t added = of(record->node).empty() ? 1 : 0;
        nodes_ += added;
        nodes_of_bucket_[wire::digest_bucket(record->node)] += added;
        bucket.insert(at, std::move(record));
    }
    return Put::stored;
}

void Store::drop(const wire::Record& record) {
    toggle(record);
    --size_;
    channel(record.kind).bytes -= record.raw.size();
}

void Store::forget(const NodeId& node, TimePoint until) {
    const auto records = of(node);
    if (records.empty()) {
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
    for (const wire::RecordPtr& record : records) {
        stone.greatest = std::max(stone.greatest, record->stamp);
        stone.kinds[record->kind] = record->stamp;
        drop(*record);
    }
    Bucket& bucket = bucket_of(node);
    const auto first = bucket.begin() + (records.data() - bucket.data());
    bucket.erase(first, first + static_cast<std::ptrdiff_t>(records.size()));
    --nodes_;
    --nodes_of_bucket_[wire::digest_bucket(node)];
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
