// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/owners.hpp"

#include <algorithm>
#include <utility>

namespace weave::daemon {

using dataplane::AddressChange;
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

/** `routed`: what is sent to that MAC its node takes for addresses that are told without one. */
std::vector<Owners::Claim> Owners::sorted(const wire::Addresses& addresses,
                                          const MacAddress& routed) {
    std::vector<Claim> out;
    for (const MacAddress& mac : addresses.macs) {
        out.push_back({mac});
    }
    for (const MacAddress& mac : addresses.learned) {
        out.push_back({mac, {}, true});
    }
    for (std::size_t i = 0; i < addresses.prefixes.size(); ++i) {
        const MacAddress told = addresses.holder(i);
        const MacAddress holder = told == MacAddress{} ? routed : told;
        // Pods would send what is meant for one of them to all.
        out.push_back({addresses.prefixes[i].network(), holder.is_group() ? MacAddress{} : holder});
    }
    // Of the same address twice the first counts, of a MAC that which was attached.
    std::stable_sort(out.begin(), out.end(), [](const Claim& a, const Claim& b) {
        return a.address < b.address;
    });
    const auto same = [](const Claim& a, const Claim& b) { return a.address == b.address; };
    out.erase(std::unique(out.begin(), out.end(), same), out.end());
    return out;
}

void Owners::set_local(const wire::Addresses& addresses) {
    replace(kSelf, sorted(addresses, {}));
}

void Owners::set(const NodeId& node, PeerIndex index, const wire::Addresses& addresses) {
    set_index(node, index);
    replace(node, sorted(addresses, addresses.router_mac.value_or(MacAddress{})));
}

void Owners::set_index(const NodeId& node, PeerIndex index) {
    Claimant& claimant = nodes_[node];
    if (std::exchange(claimant.index, index) != index) {
        for (const Claim& each : claimant.claims) {
            note(each.address);
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

void Owners::replace(const NodeId& node, std::vector<Claim> wanted) {
    const std::vector<Claim> held = std::exchange(nodes_[node].claims, wanted);
    auto was = held.begin();
    auto is = wanted.begin();
    while (was != held.end() || is != wanted.end()) {
        if (is == wanted.end() || (was != held.end() && was->address < is->address)) {
            give_up(node, (was++)->address);
        } else if (was == held.end() || is->address < was->address) {
            claim(node, *is++);
        } else {
            if (*was != *is) {
                amend(node, *is);
            }
            ++was;
            ++is;
        }
    }
    apply();
}

/** Of two nodes that claim one address: whether `one`, the newcomer, goes before `other`. */
bool Owners::goes_before(const Standing& one, const Standing& other) {
    if (one.learned != other.learned) {
        return other.learned;
    }
    return one.node == kSelf;
}

void Owners::claim(const NodeId& node, const Claim& claim) {
    std::vector<Standing>& all = claims_[claim.address];
    const Standing mine{node, claim.holder, claim.learned};
    const auto place = std::find_if(
        all.begin(), all.end(), [&](const Standing& other) { return goes_before(mine, other); });
    all.insert(place, mine);
    settle(claim.address);
}

void Owners::give_up(const NodeId& node, const Address& address) {
    std::erase_if(claims_.at(address), [&](const Standing& each) { return each.node == node; });
    settle(address);
}

/** The same address at another MAC keeps its place. */
void Owners::amend(const NodeId& node, const Claim& changed) {
    std::vector<Standing>& all = claims_.at(changed.address);
    const auto mine = std::find_if(
        all.begin(), all.end(), [&](const Standing& each) { return each.node == node; });
    if (mine->learned == changed.learned) {
        mine->holder = changed.holder;
        settle(changed.address);
        return;
    }
    all.erase(mine);
    claim(node, changed);
}

/** After the claims of the address changed. */
void Owners::settle(const Address& address) {
    const auto entry = claims_.find(address);
    const std::vector<Standing>& all = entry->second;
    // What was learned stands behind.
    if (all.size() > 1 && !all[1].learned) {
        contested_.insert(address);
    } else {
        contested_.erase(address);
    }
    if (all.empty()) {
        claims_.erase(entry);
    }
    note(address);
}

void Owners::note(const Address& address) {
    const auto entry = claims_.find(address);
    if (entry == claims_.end()) {
        changes_.push_back({address, kNoPeer});
        return;
    }
    const Standing& first = entry->second.front();
    changes_.push_back({address, nodes_.at(first.node).index, first.holder});
}

void Owners::note_move(const AddressChange& change) {
    const auto* prefix = std::get_if<Prefix>(&change.address);
    if (prefix == nullptr || prefix->length != prefix->address.bits()) {
        return;
    }
    const IpAddress& address = prefix->address;
    MacAddress before = table_->neighbour(address).mac;
    if (change.owner == kNoPeer) {
        if (before != MacAddress{} && left_.insert_or_assign(address, before).second) {
            left_order_.push_back(address);
        }
        for (; left_order_.size() > kMaxLeft; left_order_.pop_front()) {
            left_.erase(left_order_.front());
        }
        return;
    }
    if (const auto left = left_.find(address); left != left_.end()) {
        before = before == MacAddress{} ? left->second : before;
        left_.erase(left);
    }
    const bool moved = before != MacAddress{} && change.mac != MacAddress{} && before != change.mac;
    // A pod of this host announces itself on the bridge.
    if (moved && change.owner != kLocalPeer && moves_.size() < kMaxMoves) {
        moves_.push_back({address, change.mac});
    }
}

void Owners::apply() {
    if (!changes_.empty()) {
        for (const AddressChange& change : changes_) {
            note_move(change);
        }
        table_ = std::make_shared<AddressTable>(table_->with(changes_));
        changes_.clear();
    }
}

bool Owners::is_others(const MacAddress& mac) const {
    const auto owner = table_->owner(mac);
    return owner != dataplane::kNoPeer && owner != dataplane::kLocalPeer;
}

bool Owners::is_attached_elsewhere(const MacAddress& mac) const {
    const auto entry = claims_.find(mac);
    return entry != claims_.end() && std::ranges::any_of(entry->second, [](const Standing& each) {
               return each.node != kSelf && !each.learned;
           });
}

bool Owners::is_elsewhere(const MacAddress& mac, const NodeId& self) const {
    const auto entry = claims_.find(mac);
    if (entry == claims_.end()) {
        return false;
    }
    const std::vector<Standing>& all = entry->second;
    const bool mine =
        std::any_of(all.begin(), all.end(), [](const auto& each) { return each.node == kSelf; });
    return std::any_of(all.begin(), all.end(), [&](const Standing& each) {
        return each.node != kSelf && (!mine || !each.learned || each.node < self);
    });
}

std::vector<AddressMove> Owners::take_moves() {
    return std::exchange(moves_, {});
}

std::vector<Owners::Contest> Owners::contests() const {
    std::vector<Contest> out;
    for (const Address& address : contested_) {
        if (out.size() == kMaxContests) {
            break;
        }
        const std::vector<Standing>& all = claims_.at(address);
        const auto* mac = std::get_if<MacAddress>(&address);
        out.push_back({mac != nullptr ? mac->text() : std::get<Prefix>(address).address.text(),
                       all[0].node,
                       all[1].node});
    }
    return out;
}

std::vector<MacAddress> Owners::macs_of(const NodeId& node) const {
    std::vector<MacAddress> out;
    if (const auto entry = nodes_.find(node); entry != nodes_.end()) {
        for (const Claim& each : entry->second.claims) {
            const auto* mac = std::get_if<MacAddress>(&each.address);
            if (mac != nullptr && !each.learned) {
                out.push_back(*mac);
            }
        }
    }
    return out;
}

} // namespace weave::daemon
