// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/tables.hpp"
#include "wire/record.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace weave::daemon {

/** An address that another node has now, at another MAC than before. */
struct AddressMove {
    IpAddress address;
    MacAddress mac;

    bool operator==(const AddressMove&) const = default;
};

/**
 * Who owns which address: what every node says of itself, made into the table that lanes read. This
 * node goes before all others; among others the one that was heard first keeps an address until it
 * gives it up, so that nobody takes over a running pod's traffic by claiming its address. A MAC
 * that was attached goes before one that was learned. Each change of a node costs its difference,
 * not the size of the mesh. Control thread only.
 */
class Owners {
  public:
    Owners();

    /** What this node owns now. */
    void set_local(const wire::Addresses& addresses);
    /** What another node owns now. `index` is kNoPeer as long as the node is not known otherwise.
     */
    void set(const NodeId& node, dataplane::PeerIndex index, const wire::Addresses& addresses);
    /** The node got its place in the peer table. */
    void set_index(const NodeId& node, dataplane::PeerIndex index);
    void forget(const NodeId& node);

    [[nodiscard]] const std::shared_ptr<const dataplane::AddressTable>& table() const {
        return table_;
    }

    /** The attached MAC addresses that the node claims, whether or not it is the one who gets the
     * traffic. */
    [[nodiscard]] std::vector<MacAddress> macs_of(const NodeId& node) const;

    /** Whether another node has the MAC now. */
    [[nodiscard]] bool is_others(const MacAddress& mac) const;

    /** Whether another node says that the MAC is one of its pods'. */
    [[nodiscard]] bool is_attached_elsewhere(const MacAddress& mac) const;

    /** Whether another node goes before this one, whose id is `self`, as who learned the MAC. Of
     * two that learn it at once the lower id keeps it, so that both say the same. */
    [[nodiscard]] bool is_elsewhere(const MacAddress& mac, const NodeId& self) const;

    /** What has moved since the last call, at most kMaxMoves: what this host's pods remember of it
     * is wrong now. */
    std::vector<AddressMove> take_moves();

    static constexpr std::size_t kMaxMoves = 256;

    /** An address that more than one node claims now; ids are zero for this node. */
    struct Contest {
        std::string address;
        NodeId owner;
        NodeId other;
    };

    [[nodiscard]] std::size_t contested() const { return contested_.size(); }

    /** The first kMaxContests of them. */
    [[nodiscard]] std::vector<Contest> contests() const;

    static constexpr std::size_t kMaxContests = 16;

  private:
    using Address = std::variant<MacAddress, Prefix>;

    struct Claim {
        Address address;
        MacAddress holder{}; ///< of a prefix; zero: not told
        bool learned = false;

        bool operator==(const Claim&) const = default;
    };

    struct Claimant {
        dataplane::PeerIndex index = dataplane::kNoPeer;
        std::vector<Claim> claims; ///< sorted by address, each once
    };

    /** A node's claim as it is kept with the address. */
    struct Standing {
        NodeId node;
        MacAddress holder;
        bool learned = false;
    };

    struct AddressHash {
        std::size_t operator()(const Address& address) const noexcept;
    };

    static std::vector<Claim> sorted(const wire::Addresses& addresses, const MacAddress& routed);
    static bool goes_before(const Standing& one, const Standing& other);
    void replace(const NodeId& node, std::vector<Claim> wanted);
    void claim(const NodeId& node, const Claim& claim);
    void give_up(const NodeId& node, const Address& address);
    void amend(const NodeId& node, const Claim& claim);
    void settle(const Address& address);
    /** Writes down the owner of the address as it is now. */
    void note(const Address& address);
    void note_move(const dataplane::AddressChange& change);
    void apply();

    /** The name under which this node stands here; no key hashes to it. */
    static constexpr NodeId kSelf{};
    /** Addresses that nobody has now and whose last MAC is remembered. */
    static constexpr std::size_t kMaxLeft = 4096;

    std::unordered_map<NodeId, Claimant> nodes_;
    /** Who owns it first; see goes_before(). */
    std::unordered_map<Address, std::vector<Standing>, AddressHash> claims_;
    std::set<Address> contested_;
    std::vector<dataplane::AddressChange> changes_;
    std::shared_ptr<const dataplane::AddressTable> table_;
    std::vector<AddressMove> moves_;
    /** The oldest first in `left_order_`, which may name what is in `left_` no more. */
    std::unordered_map<IpAddress, MacAddress> left_;
    std::deque<IpAddress> left_order_;
};

} // namespace weave::daemon
