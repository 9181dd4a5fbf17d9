// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "wire/link_message.hpp"
#include "wire/record.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace weave::mesh {

/** Of what others say: this node's own records always find room. */
struct StoreLimits {
    std::size_t nodes = 20000;
    std::size_t records_per_node = 16;
    std::size_t tombstones = 4096;
    /** Of all records of a channel together, as they travel: topologies, addresses, and all other
     * kinds. Whoever fills one takes no room from the others. */
    std::size_t topology_bytes = std::size_t{32} << 20;
    std::size_t address_bytes = std::size_t{64} << 20;
    std::size_t other_bytes = std::size_t{32} << 20;
};

/**
 * The newest record of each (node, kind), with the digest over all of them kept up to date: an
 * index to shared records, a pointer each, in order of id within each bucket of the digest.
 * A stamp never goes down: not while a record is held, nor, for a while, after it was forgotten.
 */
class Store {
  public:
    enum class Put { stored, not_newer, too_many_nodes, too_many_records, too_many_bytes };
    /** In order of id. A bucket is a range of ids, so one after the other they are in order too. */
    using Bucket = std::vector<wire::RecordPtr>;
    using Buckets = std::array<Bucket, wire::kDigestBuckets>;

    explicit Store(StoreLimits limits)
        : limits_(limits)
        , channels_{
              {{0, limits.topology_bytes}, {0, limits.address_bytes}, {0, limits.other_bytes}}} {}

    [[nodiscard]] wire::RecordPtr find(const wire::RecordId& id) const;
    /** Would put() of this stamp be refused as not newer? Cheap: to be asked before a signature is
     * verified. */
    [[nodiscard]] bool is_newer(const wire::RecordId& id, wire::Stamp stamp) const;
    /** Would a small record with this id fit under the limits? */
    [[nodiscard]] bool has_room(const wire::RecordId& id) const;
    /** Keeps the record if it is newer than what is held or was forgotten, and fits; `ours` always
     * does. The signature was verified by the caller. */
    Put put(wire::RecordPtr record, bool ours = false);
    /** The records of one node, in order of kind; valid until the next change. */
    [[nodiscard]] std::span<const wire::RecordPtr> of(const NodeId& node) const;
    /** Drops a node and remembers its stamps until `until`: only a greater one than all of them
     * brings it back. */
    void forget(const NodeId& node, TimePoint until);
    /** The greatest stamp of a node that was forgotten and is not back. */
    [[nodiscard]] std::optional<wire::Stamp> tombstone(const NodeId& node) const;
    /** The node is back: what was last known of it is welcome again, what is older still is not. */
    void lift_tombstone(const NodeId& node);
    void expire_tombstones(TimePoint now);

    /** Kept, and in the order in which they go: as many. */
    [[nodiscard]] std::size_t tombstones() const {
        return std::max(tombstones_.size(), tombstone_order_.size());
    }

    [[nodiscard]] const Buckets& buckets() const { return buckets_; }

    /** How many. */
    [[nodiscard]] std::size_t nodes() const { return nodes_; }

    /** The node with this number, below nodes(), in order of id. */
    [[nodiscard]] const NodeId& node(std::size_t number) const;

    [[nodiscard]] std::size_t size() const { return size_; }

    /** Of all channels. */
    [[nodiscard]] std::size_t bytes() const;

    [[nodiscard]] const wire::BucketDigest& digest() const { return digest_; }

  private:
    struct Tombstone {
        wire::Stamp greatest;
        std::map<std::uint16_t, wire::Stamp> kinds;
        TimePoint until;
        bool lifted = false;
    };

    struct Channel {
        std::size_t bytes = 0;
        std::size_t limit = 0;
    };

    [[nodiscard]] Channel& channel(std::uint16_t kind);
    [[nodiscard]] const Channel& channel(std::uint16_t kind) const;
    [[nodiscard]] Bucket& bucket_of(const NodeId& node);
    void toggle(const wire::Record& record);
    void drop(const wire::Record& record);
    [[nodiscard]] std::optional<Put> refused(const wire::Record& record) const;

    StoreLimits limits_;
    Buckets buckets_;
    std::size_t nodes_ = 0;
    std::array<std::size_t, wire::kDigestBuckets> nodes_of_bucket_{};
    std::size_t size_ = 0;
    std::array<Channel, 3> channels_; ///< topologies, addresses, all other kinds
    wire::BucketDigest digest_;
    std::unordered_map<NodeId, Tombstone> tombstones_;
    std::deque<NodeId> tombstone_order_;
};

} // namespace weave::mesh
