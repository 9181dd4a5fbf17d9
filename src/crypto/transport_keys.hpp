// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/noise.hpp"

#include <cstdint>
#include <vector>

namespace weave::crypto {

/** Lanes fit in the low six bits of a receiver index. */
inline constexpr unsigned kMaxLanes = 64;

/**
 * The keys of one data session. Each lane (one sending thread) has a key of its own, and with it
 * its own counter and replay window, so that threads share nothing.
 */
struct TransportKeys {
    Suite suite = Suite::chacha20poly1305;
    std::uint8_t local_lanes = 1;
    std::uint8_t remote_lanes = 1;
    /** What peers put in datagrams to us; the low six bits are zero (the sender's lane goes there).
     */
    std::uint32_t local_index = 0;
    /** What we put in datagrams to the peer; the low six bits are zero. */
    std::uint32_t remote_index = 0;
    /** One per local lane. */
    std::vector<Key32> send;
    /** One per remote lane. */
    std::vector<Key32> receive;

    [[nodiscard]] TransportKeys clone() const;
};

/** Derives every lane's key from a finished handshake. Lanes are 1 to kMaxLanes (asserted). */
TransportKeys make_transport_keys(Split&& split,
                                  bool initiator,
                                  Suite suite,
                                  std::uint8_t local_lanes,
                                  std::uint8_t remote_lanes,
                                  std::uint32_t local_index,
                                  std::uint32_t remote_index);

} // namespace weave::crypto
