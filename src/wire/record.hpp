// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weave::wire {

/** Ed25519 public key and signature, as raw bytes: this module checks nothing about them. */
using RecordKey = std::array<std::uint8_t, 32>;
using RecordSignature = std::array<std::uint8_t, 64>;

/** magic 1 | key 32 | epoch 8 | version 8 | kind 2 | length 2 */
inline constexpr std::size_t kSignedHeaderSize = 53;
inline constexpr std::size_t kSignatureSize = 64;
/** Header, TLVs and signature together. */
inline constexpr std::size_t kMaxRecordSize = 32 * 1024;
inline constexpr std::size_t kMaxTlvBytes = kMaxRecordSize - kSignedHeaderSize - kSignatureSize;
/** Longest node name, in bytes. */
inline constexpr std::size_t kMaxNameSize = 63;
/** Most entries decoded or encoded of one repeated TLV; what is beyond is left out. */
inline constexpr std::size_t kMaxEndpoints = 32;
inline constexpr std::size_t kMaxUnreachable = 1024;
inline constexpr std::size_t kMaxNeighbours = 16;
inline constexpr std::size_t kMaxLearned = 256;

/** Kinds this version reads. Others are kept and passed on unread. */
inline constexpr std::uint16_t kTopologyKind = 1;
inline constexpr std::uint16_t kAddressesKind = 2;
/** What an address allocator says: wire/allocation.hpp. */
inline constexpr std::uint16_t kAllocationKind = 3;

/** What orders the records of one owner: greater wins. */
struct Stamp {
    std::uint64_t epoch = 0;
    std::uint64_t version = 0;
    auto operator<=>(const Stamp&) const = default;
};

/** Which record: one owner has at most one of each kind. */
struct RecordId {
    NodeId node;
    std::uint16_t kind = 0;
    auto operator<=>(const RecordId&) const = default;
};

struct Topology;

/** One signed record: the bytes its owner signed and what of it is decoded once for all who hold
 * it. Immutable once shared. */
struct Record {
    NodeId node;
    RecordKey key{};
    Stamp stamp;
    std::uint16_t kind = 0;
    Bytes raw;
    /** Of kind kTopologyKind; null when it does not decode. */
    std::shared_ptr<const Topology> topology = nullptr;

    [[nodiscard]] RecordId id() const { return {node, kind}; }

    [[nodiscard]] ByteView tlvs() const;
    /** What the signature covers: everything before it. */
    [[nodiscard]] ByteView signed_part() const;
    [[nodiscard]] RecordSignature signature() const;
};

using RecordPtr = std::shared_ptr<const Record>;

/** Node id of an Ed25519 key (BLAKE2b-128): a port, because hashing belongs to crypto. */
using Identify = std::function<NodeId(const RecordKey&)>;
/** Ed25519 over the given bytes. */
using Signer = std::function<RecordSignature(ByteView)>;
using Verifier = std::function<bool(const RecordKey&, ByteView message, const RecordSignature&)>;

/**
 * Decodes one record and checks its layout, TLV lengths included; never its signature. Errors:
 * message_size (longer than kMaxRecordSize), bad_message (anything else).
 */
Result<Record> decode_record(ByteView raw, const Identify& identify);
/** The same, to be shared. */
Result<RecordPtr> decode_shared(ByteView raw, const Identify& identify);

/** Builds and signs a record. Error: message_size when `tlvs` do not fit. */
Result<Record> sign_record(const NodeId& node,
                           const RecordKey& key,
                           Stamp stamp,
                           std::uint16_t kind,
                           ByteView tlvs,
                           const Signer& sign);

/** True when the owner's signature holds. */
bool verify_record(const Record& record, const Verifier& verify);

struct Tlv {
    std::uint8_t type = 0;
    ByteView value;
};

/** Splits a TLV section; nullopt when a length runs past the end. The views point into `tlvs`. */
std::optional<std::vector<Tlv>> split_tlvs(ByteView tlvs);

/** Kind 1: who and where a node is. */
struct Topology {
    static constexpr std::uint32_t kBridgePods = 1;
    /** The node had its name before others of that name came. */
    static constexpr std::uint32_t kHoldsName = 2;

    std::string name;
    std::vector<Endpoint> endpoints;
    /** X25519 static for data sessions, vouched for by the record's signature. */
    std::array<std::uint8_t, 32> static_key{};
    /** Nodes this one has tried by UDP and cannot reach. */
    std::vector<NodeId> unreachable;
    /** Nodes this one watches, as they do it: who is dead is what they say. Nullopt: it does not
     * say, as in a mesh so small that all watch all. */
    std::optional<std::vector<NodeId>> neighbours;
    std::uint32_t flags = 0;
    std::uint8_t lanes = 1;
    /** Seconds for which others keep its records after its last link; 0: it does not say. */
    std::uint16_t grace = 0;
    std::string software;
    /** TLVs of types this version does not know, as they came (type, length, value). */
    Bytes unknown;

    bool operator==(const Topology&) const = default;
};

Bytes encode_topology(const Topology& topology);
/** Error: bad_message for a known TLV of a wrong size or a name with characters outside
 * [A-Za-z0-9._-]. */
Result<Topology> decode_topology(ByteView tlvs);

/** Kind 2: the MACs and prefixes whose frames this node owns. */
struct Addresses {
    /** Of what is attached. */
    std::vector<MacAddress> macs;
    std::vector<Prefix> prefixes;
    /** holders[i] is the one of `macs` that has the address prefixes[i]; zero or missing: it is not
     * told. */
    std::vector<MacAddress> holders;
    /** MACs that were not attached and speak on this node's bridge. */
    std::vector<MacAddress> learned;
    /** Addresses that somebody here has whose frames are not this node's: nobody else may get them.
     */
    std::vector<IpAddress> reserved;
    std::optional<MacAddress> router_mac;
    Bytes unknown;

    /** An address and the MAC that has it. */
    void add(const Prefix& prefix, const MacAddress& holder);

    /** The MAC that has prefixes[index]; zero when it is not told. */
    [[nodiscard]] MacAddress holder(std::size_t index) const {
        return index < holders.size() ? holders[index] : MacAddress{};
    }

    bool operator==(const Addresses&) const = default;
};

/** The result may be longer than kMaxTlvBytes; sign_record() then refuses it. */
Bytes encode_addresses(const Addresses& addresses);
/** Error: bad_message for a known TLV of a wrong size, or a holder that is none of the MACs. */
Result<Addresses> decode_addresses(ByteView tlvs);

} // namespace weave::wire

template <> struct std::hash<weave::wire::RecordId> {
    std::size_t operator()(const weave::wire::RecordId& id) const noexcept {
        return std::hash<weave::NodeId>{}(id.node) * 31 + id.kind;
    }
};
