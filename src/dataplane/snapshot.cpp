// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/snapshot.hpp"

#include "dataplane/forwarding.hpp"

#include <algorithm>
#include <cstring>

namespace weave::dataplane {
namespace {

std::uint64_t relay_key(const RelayAddress& address) {
    std::uint64_t key = 0;
    std::memcpy(&key, address.data(), address.size());
    return key;
}

TimePoint time_of(std::uint64_t nanoseconds) {
    return TimePoint{std::chrono::nanoseconds{nanoseconds}};
}

} // namespace

PeerState::Totals PeerState::totals() const {
    Totals sum;
    for (const LanePart& part : parts_) {
        sum.tx_bytes += part.tx_bytes.value();
        sum.tx_packets += part.tx_packets.value();
        sum.tx_large += part.tx_large.value();
        sum.rx_bytes += part.rx_bytes.value();
        sum.rx_packets += part.rx_packets.value();
        sum.last_tx = std::max(sum.last_tx, time_of(part.last_tx.value()));
        sum.last_rx = std::max(sum.last_rx, time_of(part.last_rx.value()));
    }
    return sum;
}

PeerTable::PeerTable(std::vector<PeerEntry> peers,
                     std::span<const std::shared_ptr<DataSession>> receiving)
    : peers_(std::move(peers))
    , broadcast_(group_takers(peers_)) {
    for (PeerIndex index = 0; index < peers_.size(); ++index) {
        const PeerEntry& entry = peers_[index];
        if (entry.vacant()) {
            continue;
        }
        relays_.emplace(relay_key(entry.relay), index);
        if (entry.session) {
            sessions_.emplace(entry.session->local_index(), entry.session);
        }
    }
    for (const auto& session : receiving) {
        sessions_.emplace(session->local_index(), session);
    }
}

DataSession* PeerTable::session(std::uint32_t receiver) const {
    const auto found = sessions_.find(wire::session_of(receiver));
    return found != sessions_.end() ? found->second.get() : nullptr;
}

PeerIndex PeerTable::by_relay_address(const RelayAddress& address) const {
    const auto found = relays_.find(relay_key(address));
    return found != relays_.end() ? found->second : kNoPeer;
}

} // namespace weave::dataplane
