// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "crypto/aead.hpp"
#include "crypto/replay.hpp"
#include "crypto/transport_keys.hpp"
#include "dataplane/counters.hpp"
#include "dataplane/drop.hpp"
#include "dataplane/tables.hpp"
#include "wire/packet.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace weave::dataplane {

/**
 * The keys of one data session as lanes use them. Lane l touches only its own Sender and the
 * Receivers of the remote lanes it serves (remote lane modulo local lanes), so nothing here is
 * locked.
 */
class DataSession {
  public:
    /** One remote lane's key and window; type 4 and type 5 datagrams share the counter. */
    struct alignas(64) Receiver {
        explicit Receiver(crypto::OpeningKey opening)
            : key(std::move(opening)) {}

        crypto::OpeningKey key;
        crypto::ReplayWindow<> window;
        Counter records;
        Counter failures;
    };

    /** When its keys are too old. */
    struct Lifetime {
        TimePoint seal_until = TimePoint::max();
        TimePoint open_until = TimePoint::max();
    };

    struct alignas(64) Sender {
        explicit Sender(crypto::SealingKey sealing)
            : key(std::move(sealing)) {}

        crypto::SealingKey key;
        Counter records;
    };

    /** How far each key has been used, for the process that goes on with them. */
    struct Progress {
        std::vector<std::uint64_t> sealed;               ///< by local lane: the next counter
        std::vector<crypto::ReplayWindow<>::State> seen; ///< by remote lane
        bool confirmed = false;
    };

    /** Takes the keys. Throws std::invalid_argument when the provider lacks the suite here. */
    DataSession(PeerIndex peer, crypto::TransportKeys&& keys, crypto::Provider provider);

    [[nodiscard]] PeerIndex peer() const { return peer_; }

    [[nodiscard]] std::uint32_t local_index() const { return local_index_; }

    [[nodiscard]] std::uint32_t remote_index() const { return remote_index_; }

    [[nodiscard]] crypto::Suite suite() const { return suite_; }

    /** To be called before the session is shared. */
    void set_lifetime(const Lifetime& lifetime) { lifetime_ = lifetime; }

    [[nodiscard]] const Lifetime& lifetime() const { return lifetime_; }

    /** What the peer said it can take. To be called before the session is shared. */
    void set_features(wire::Features features) { features_ = features; }

    [[nodiscard]] wire::Features features() const { return features_; }

    [[nodiscard]] bool peer_takes(wire::Features feature) const {
        return (features_ & feature) == feature;
    }

    [[nodiscard]] const crypto::TransportKeys& keys() const { return keys_; }

    /** Whoever gets this goes on: from now on the session seals and opens nothing, so that no
     * counter is used twice. No lane may be running. */
    [[nodiscard]] Progress hand_over();
    /** To be called before the session is shared. False when it does not fit the keys, or one was
     * used further here. */
    bool take_over(const Progress& progress);

    /**
     * Seals with lane `lane`'s key, all or nothing. `seal_limit` when the key is used up,
     * `key_expired` when it is too old at `now`: whatever the control thread believes, an old key
     * seals nothing.
     */
    [[nodiscard]] std::optional<Drop>
    seal(unsigned lane, std::span<crypto::SealItem> items, TimePoint now) {
        if (now >= lifetime_.seal_until) {
            return Drop::key_expired;
        }
        Sender& sender = *senders_[lane];
        if (!sender.key.seal_batch(items)) {
            return Drop::seal_limit;
        }
        sender.records.set(sender.key.sealed());
        return std::nullopt;
    }

    [[nodiscard]] bool may_open(TimePoint now) const { return now < lifetime_.open_until; }

    /** nullptr when the peer has no such lane. */
    [[nodiscard]] Receiver* receiver(unsigned remote_lane) {
        return remote_lane < receivers_.size() ? receivers_[remote_lane].get() : nullptr;
    }

    /** The local lane that alone may open what remote lane `remote_lane` sealed. */
    [[nodiscard]] unsigned owner_lane(unsigned remote_lane) const {
        return remote_lane % static_cast<unsigned>(senders_.size());
    }

    /** True exactly once: for the first record that authenticated, on whatever lane. */
    bool confirm() {
        return !confirmed_.load(std::memory_order_relaxed) &&
               !confirmed_.exchange(true, std::memory_order_relaxed);
    }

    /** Takes confirm() back, so that the next record reports again. */
    void unconfirm() { confirmed_.store(false, std::memory_order_relaxed); }

    [[nodiscard]] bool confirmed() const { return confirmed_.load(std::memory_order_relaxed); }

    /** The most records sealed under any one key: what rekeying by count looks at. Any thread. */
    [[nodiscard]] std::uint64_t most_sealed() const;
    /** Datagrams that did not authenticate, all lanes. Any thread. */
    [[nodiscard]] std::uint64_t failures() const;

  private:
    PeerIndex peer_;
    /** For a successor of this process: the contexts made of them do not give them back. */
    crypto::TransportKeys keys_;
    crypto::Suite suite_;
    std::uint32_t local_index_;
    std::uint32_t remote_index_;
    std::vector<std::unique_ptr<Sender>> senders_;
    std::vector<std::unique_ptr<Receiver>> receivers_;
    Lifetime lifetime_;
    wire::Features features_ = 0;
    std::atomic<bool> confirmed_{false};
};

} // namespace weave::dataplane
