// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/data_session.hpp"

#include <algorithm>

namespace weave::dataplane {

DataSession::DataSession(PeerIndex peer, crypto::TransportKeys&& keys)
    : DataSession(peer, std::move(keys), crypto::best_provider(keys.suite)) {}

DataSession::DataSession(PeerIndex peer, crypto::TransportKeys&& keys, crypto::Provider provider)
    : peer_(peer)
    , suite_(keys.suite)
    , local_index_(keys.local_index)
    , remote_index_(keys.remote_index) {
    for (const auto& key : keys.send) {
        senders_.push_back(std::make_unique<Sender>(crypto::SealingKey{keys.suite, provider, key}));
    }
    for (const auto& key : keys.receive) {
        receivers_.push_back(
            std::make_unique<Receiver>(crypto::OpeningKey{keys.suite, provider, key}));
    }
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
