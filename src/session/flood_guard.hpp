// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "crypto/hash.hpp"
#include "session/types.hpp"
#include "wire/datagram.hpp"

#include <array>
#include <vector>

namespace weave::session {

/** A keyed hash of a static key: who knows the key can make mac1 for its owner and open its
 * cookies. */
using StaticHashKey = std::array<std::uint8_t, 32>;
StaticHashKey mac1_key(const crypto::PublicKey& static_key);
StaticHashKey cookie_key(const crypto::PublicKey& static_key);

/** Allows `rate` events a second, with bursts of as many. */
class TokenBucket {
  public:
    /** False when none is left. The first call finds a full bucket. */
    bool take(unsigned rate, TimePoint now);

  private:
    double tokens_ = 0;
    TimePoint filled_ = TimePoint::min();
};

/**
 * Decides what becomes of an initiation before any costly arithmetic. Each source may start some
 * handshakes a second; beyond that, or when all sources together are too many, an initiation needs
 * a cookie, which proves that its sender receives at the address AND port it claims. Proved senders
 * have buckets of their own, so a forger cannot use up what belongs to the true owner of an
 * address. Fixed memory: sources share table slots by a keyed hash.
 */
class FloodGuard {
  public:
    enum class Verdict : std::uint8_t { allow, demand_cookie, drop };

    FloodGuard(unsigned per_second,
               unsigned per_source,
               const crypto::PublicKey& own_static,
               RandomSource random);

    Verdict judge(const wire::InitView& init, const Origin& from, TimePoint now);
    /** The sealed cookie for this initiation's sender. */
    Bytes cookie_reply(const wire::InitView& init, const Origin& from, TimePoint now);

  private:
    static constexpr std::size_t kSlots = 1024;

    struct Slot {
        std::uint64_t source = 0;
        TokenBucket bucket;
    };

    using Table = std::vector<Slot>;

    bool take(Table& table, ByteView source, TimePoint now);
    void rotate(TimePoint now);
    /** Claimed at all (the field is not zero), and true. */
    enum class Proof : std::uint8_t { none, false_one, true_one };
    Proof proof(const wire::InitView& init, ByteView source, TimePoint now);

    unsigned per_second_;
    unsigned per_source_;
    RandomSource random_;
    StaticHashKey cookie_key_;
    crypto::Key32 table_key_;
    crypto::Key32 secret_;
    crypto::Key32 old_secret_;
    TimePoint rotated_ = TimePoint::min();
    TokenBucket all_;
    TokenBucket all_proved_;
    Table sources_;
    Table proved_sources_;
};

} // namespace weave::session
