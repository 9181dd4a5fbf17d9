// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "crypto/secret.hpp"

#include <cstdint>
#include <functional>

namespace weave::session {

/** Source of randomness: crypto::random_bytes in the daemon, a seeded generator in tests. */
using RandomSource = std::function<void(ByteSpan)>;

/** One live cluster secret. The id travels in clear, so that rotation needs no trial decryption. */
struct ClusterSecret {
    std::uint32_t id = 0;
    crypto::Locked<crypto::Key32> key;
};

/** Where a datagram came from, and so where an answer goes. */
struct Origin {
    enum class Kind : std::uint8_t { direct, relayed };

    Kind kind = Kind::direct;
    Endpoint endpoint;     ///< of the sender when direct, of the last hop when relayed
    RelayAddress source{}; ///< of the sender when relayed
    unsigned lane = 0;     ///< the local lane (socket) it arrived on

    bool operator==(const Origin&) const = default;
};

} // namespace weave::session
