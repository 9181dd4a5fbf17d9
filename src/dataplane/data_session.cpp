// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/data_session.hpp"

#include <algorithm>

namespace weave::dataplane {

DataSession::DataSession(PeerIndex peer, crypto::TransportKeys&& keys, crypto::Provider provider)
    : peer_(peer)
    , keys_(std::move(keys))
    , suite_(keys_.suite)
    , local_index_(keys_.local_index)
    , remote_index_(keys_.remote_index) {
    for (const auto& key : keys_.send) {
        senders_.push_back(std::make_unique<Sender>(crypto::SealingKey{suite_, provider, key}));
    }
    for (const auto& key : keys_.receive) {
        receivers_.push_back(std::make_unique<Receiver>(crypto::OpeningKey{suite_, provider, key}));
    }
}

DataSession::Progress DataSession::hand_over() {
    lifetime_ = {TimePoint::min(), TimePoint::min()};
    Progress out;
    for (const auto& sender : senders_) {
        out.sealed.push_back(sender->key.sealed());
    }
    for (const auto& receiver : receivers_) {
        out.seen.push_back(receiver->window.state());
    }
    out.confirmed = confirmed();
    return out;
}

bool DataSession::take_over(const Progress& progress) {
    if (progress.sealed.size() != senders_.size() || progress.seen.size() != receivers_.size()) {
        return false;
    }
    for (std::size_t lane = 0; lane < senders_.size(); ++lane) {
        if (!senders_[lane]->key.go_on_from(progress.sealed[lane])) {
            return false;
        }
        senders_[lane]->records.set(progress.sealed[lane]);
    }
    for (std::size_t lane = 0; lane < receivers_.size(); ++lane) {
        receivers_[lane]->window.restore(progress.seen[lane]);
    }
    confirmed_.store(progress.confirmed, std::memory_order_relaxed);
    return true;
}

std::uint64_t DataSession::most_sealed() const {
    std::uint64_t most = 0;
    for (const auto& sender : senders_) {
        most = std::max(most, sender->records.value());
    }
    return most;
}

std::uint64_t DataSession::failures() const {
    std::uint64_t sum = 0;
    for (const auto& receiver : receivers_) {
        sum += receiver->failures.value();
    }
    return sum;
}

} // namespace weave::dataplane
