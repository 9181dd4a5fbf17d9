// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/tables.hpp"
#include "wire/record.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace weave::daemon {

/**
 * Who owns which address: what every node says of itself, made into the table that lanes read. This
 * node goes before all others; among others the one that was heard first keeps an address until it
 * gives it up, so that nobody takes over a running pod's traffic by claiming its address. Each
 * change of a node costs its difference, not the size of the mesh. Control thread only.
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

    /** The MAC addresses that the node claims, whether or not it is the one who gets the traffic.
     */
    [[nodiscard]] std::vector<MacAddress> macs_of(const NodeId& node) const;

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

    struct Claimant {
        dataplane::PeerIndex index = dataplane::kNoPeer;
        std::vector<Address> addresses; ///< sorted, each once
    };

    struct AddressHash {
        std::size_t operator()(const Address& address) const noexcept;
    };

    static std::vector<Address> sorted(const wire::Addresses& addresses);
    void replace(const NodeId& node, std::vector<Address> wanted);
    void claim(const NodeId& node, const Address& address);
    void give_up(const NodeId& node, const Address& address);
    /** Writes down the owner of the address as it is now. */
    void note(const Address& address);
    void apply();

    /** The name under which this node stands here; no key hashes to it. */
    static constexpr NodeId kSelf{};

    std::unordered_map<NodeId, Claimant> nodes_;
    /** In the order in which they were heard, this node first. */
    std::unordered_map<Address, std::vector<NodeId>, AddressHash> claims_;
    std::set<Address> contested_;
    std::vector<dataplane::AddressChange> changes_;
    std::shared_ptr<const dataplane::AddressTable> table_;
};

} // namespace weave::daemon
