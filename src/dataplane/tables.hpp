// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace weave::dataplane {

/** The place of a peer in the PeerTable: stable while the peer exists. */
using PeerIndex = std::uint32_t;
inline constexpr PeerIndex kNoPeer = 0xffffffff;
/** The owner "this node itself" in an AddressTable. */
inline constexpr PeerIndex kLocalPeer = 0xfffffffe;

/**
 * Immutable hash map in two levels of shards; with() shares every shard it does not touch, so that
 * one change at 100,000 entries copies about 2 KB.
 */
template <class Key, class Value, class Hash> class ShardedMap {
  public:
    [[nodiscard]] const Value* find(const Key& key) const {
        const std::size_t hash = Hash{}(key);
        const auto& middle = root_[hash % kFan];
        if (!middle) {
            return nullptr;
        }
        const auto& leaf = (*middle)[hash / kFan % kFan];
        if (!leaf) {
            return nullptr;
        }
        for (const auto& [k, value] : *leaf) {
            if (k == key) {
                return &value;
            }
        }
        return nullptr;
    }

    /** Sets `key`, or removes it when `value` is empty. Touches only shards that this map alone
     * holds. */
    void assign(const Key& key, std::optional<Value> value) {
        const std::size_t hash = Hash{}(key);
        Leaf& leaf = own(own(root_[hash % kFan])[hash / kFan % kFan]);
        for (auto entry = leaf.begin(); entry != leaf.end(); ++entry) {
            if (entry->first != key) {
                continue;
            }
            if (value) {
                entry->second = *value;
            } else {
                *entry = leaf.back();
                leaf.pop_back();
                --size_;
            }
            return;
        }
        if (value) {
            leaf.emplace_back(key, *value);
            ++size_;
        }
    }

    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    static constexpr std::size_t kFan = 64;
    using Leaf = std::vector<std::pair<Key, Value>>;
    using Middle = std::array<std::shared_ptr<Leaf>, kFan>;

    /** A shard that nobody else holds: copied when it is shared, made when it is missing. */
    template <class Shard> static Shard& own(std::shared_ptr<Shard>& shard) {
        if (!shard) {
            shard = std::make_shared<Shard>();
        } else if (shard.use_count() != 1) {
            shard = std::make_shared<Shard>(*shard);
        }
        return *shard;
    }

    std::array<std::shared_ptr<Middle>, kFan> root_{};
    std::size_t size_ = 0;
};

/** One change of an AddressTable: the owner of a MAC or of a prefix, kNoPeer to forget it. */
struct AddressChange {
    std::variant<MacAddress, Prefix> address;
    PeerIndex owner = kNoPeer;
    /** Of a prefix that is one address: the MAC that has it; zero: not known. */
    MacAddress mac{};
};

/** Where one address is. */
struct Neighbour {
    PeerIndex owner = kNoPeer;
    MacAddress mac; ///< zero: not known

    bool operator==(const Neighbour&) const = default;
};

/** Who owns which MAC and which prefix. Immutable: any thread may look up, with() makes the next
 * one. */
class AddressTable {
  public:
    /** A table that differs by `changes` and shares the rest. Host bits of prefixes are ignored. */
    [[nodiscard]] AddressTable with(std::span<const AddressChange> changes) const;

    /** kNoPeer when nobody owns the address; kLocalPeer when this node does. */
    [[nodiscard]] PeerIndex owner(const MacAddress& mac) const;
    /** The owner of the longest prefix that contains the address. */
    [[nodiscard]] PeerIndex owner(const IpAddress& address) const;
    /** What is said of this very address; prefixes that merely contain it do not count. */
    [[nodiscard]] Neighbour neighbour(const IpAddress& address) const;

    [[nodiscard]] std::size_t macs() const { return macs_.size(); }

    [[nodiscard]] std::size_t prefixes() const { return prefixes_.size(); }

  private:
    struct MacHash {
        std::size_t operator()(const MacAddress& mac) const noexcept;
    };

    struct PrefixHash {
        std::size_t operator()(const Prefix& prefix) const noexcept;
    };

    ShardedMap<MacAddress, PeerIndex, MacHash> macs_;
    ShardedMap<Prefix, Neighbour, PrefixHash> prefixes_;
    /** How many prefixes of each length there are: a look-up tries only lengths in use. */
    std::array<std::uint32_t, 33> v4_lengths_{};
    std::array<std::uint32_t, 129> v6_lengths_{};
};

} // namespace weave::dataplane
