// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/owners.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weave::daemon {

using dataplane::AddressTable;
using dataplane::kLocalPeer;
using dataplane::kNoPeer;
using dataplane::PeerIndex;

std::size_t Owners::AddressHash::operator()(const Address& address) const noexcept {
    if (const auto* mac = std::get_if<MacAddress>(&address)) {
        return std::hash<MacAddress>{}(*mac);
    }
    const auto& prefix = std::get<Prefix>(address);
    return std::hash<IpAddress>{}(prefix.address) * 131 + prefix.length;
}

Owners::Owners()
    : table_(std::make_shared<AddressTable>()) {
    nodes_[kSelf].index = kLocalPeer;
}

std::vector<Owners::Address> Owners::sorted(const wire::Addresses& addresses) {
    std::vector<Address> out(addresses.macs.begin(), addresses.macs.end());
    for (const Prefix& prefix : addresses.prefixes) {
        out.emplace_back(prefix.network());
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

void Owners::set_local(const wire::Addresses& addresses) {
    replace(kSelf, sorted(addresses));
}

void Owners::set(const NodeId& node, PeerIndex index, const wire::Addresses& addresses) {
    set_index(node, index);
    replace(node, sorted(addresses));
}

void Owners::set_index(const NodeId& node, PeerIndex index) {
    Claimant& claimant = nodes_[node];
    if (std::exchange(claimant.index, index) != index) {
        for (const Address& address : claimant.addresses) {
            note(address);
        }
        apply();
    }
}

void Owners::forget(const NodeId& node) {
    if (nodes_.contains(node)) {
        replace(node, {});
        nodes_.erase(node);
    }
}

void Owners::replace(const NodeId& node, std::vector<Address> wanted) {
    std::vector<Address> held = std::exchange(nodes_[node].addresses, wanted);
    std::vector<Address> gone;
    std::vector<Address> added;
    std::set_difference(
        held.begin(), held.end(), wanted.begin(), wanted.end(), std::back_inserter(gone));
    std::set_difference(
        wanted.begin(), wanted.end(), held.begin(), held.end(), std::back_inserter(added));
    for (const Address& address : gone) {
        give_up(node, address);
    }
    for (const Address& address : added) {
        claim(node, address);
    }
    apply();
}

void Owners::claim(const NodeId& node, const Address& address) {
    std::vector<NodeId>& claimants = claims_[address];
    claimants.insert(node == kSelf ? claimants.begin() : claimants.end(), node);
    if (claimants.size() == 2) {
        contested_.insert(address);
    }
    note(address);
}

void Owners::give_up(const NodeId& node, const Address& address) {
    const auto entry = claims_.find(address);
    std::erase(entry->second, node);
    if (entry->second.size() == 1) {
        contested_.erase(address);
    }
    if (entry->second.empty()) {
        claims_.erase(entry);
    }
    note(address);
}

void Owners::note(const Address& address) {
    const auto entry = claims_.find(address);
    const PeerIndex owner =
        entry == claims_.end() ? kNoPeer : nodes_.at(entry->second.front()).index;
    changes_.push_back({address, owner});
}

void Owners::apply() {
    if (!changes_.empty()) {
        table_ = std::make_shared<AddressTable>(table_->with(changes_));
        changes_.clear();
    }
}

std::vector<Owners::Contest> Owners::contests() const {
    std::vector<Contest> out;
    for (const Address& address : contested_) {
        if (out.size() == kMaxContests) {
            break;
        }
        const std::vector<NodeId>& claimants = claims_.at(address);
        const auto* mac = std::get_if<MacAddress>(&address);
        out.push_back({mac != nullptr ? mac->text() : std::get<Prefix>(address).address.text(),
                       claimants[0],
                       claimants[1]});
    }
    return out;
}

std::vector<MacAddress> Owners::macs_of(const NodeId& node) const {
    std::vector<MacAddress> out;
    if (const auto entry = nodes_.find(node); entry != nodes_.end()) {
        for (const Address& address : entry->second.addresses) {
            if (const auto* mac = std::get_if<MacAddress>(&address)) {
                out.push_back(*mac);
            }
        }
    }
    return out;
}

} // namespace weave::daemon
