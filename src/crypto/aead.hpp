// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/secret.hpp"
#include "crypto/suite.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace weave::crypto {

/** Records one key may seal; checked inside seal_batch(), whatever the caller believes. */
inline constexpr std::uint64_t kHardRecordLimit = std::uint64_t{1} << 36;

/** One record to seal. */
struct SealItem {
    /** Plaintext, `len` bytes. */
    const std::uint8_t* in = nullptr;
    std::uint32_t len = 0;
    /** Room for len + 16 bytes: ciphertext || tag. May equal `in`, may not overlap it otherwise. */
    std::uint8_t* out = nullptr;
    /** Eight bytes: the record's counter is stored here, little-endian, before sealing; usually
     * within `ad`. */
    std::uint8_t* counter_field = nullptr;
    const std::uint8_t* ad = nullptr;
    std::uint32_t ad_len = 0;
};

/** One record to open. */
struct OpenItem {
    /** Ciphertext || tag, `len` bytes with the tag. */
    const std::uint8_t* in = nullptr;
    std::uint32_t len = 0;
    /** Room for len - 16 bytes. May equal `in`, may not overlap it otherwise. Zeros when not ok. */
    std::uint8_t* out = nullptr;
    std::uint64_t counter = 0;
    const std::uint8_t* ad = nullptr;
    std::uint32_t ad_len = 0;
    /** Set by open_batch(). */
    bool ok = false;
};

class AeadContext;

/**
 * Seals records with counters 0, 1, 2... Nonces are 4 zero bytes and the counter (big-endian for
 * AES-GCM, little-endian for ChaCha20-Poly1305). Used by one thread at a time.
 */
class SealingKey {
  public:
    /** Throws std::invalid_argument when the provider has no such suite here. `first` is for tests.
     */
    SealingKey(Suite suite, Provider provider, const Key32& key, std::uint64_t first = 0);
    ~SealingKey();
    SealingKey(SealingKey&&) noexcept;
    SealingKey& operator=(SealingKey&&) noexcept;

    /** All or nothing: false, with nothing written, when the batch would pass kHardRecordLimit. */
    [[nodiscard]] bool seal_batch(std::span<SealItem> items) noexcept;

    /** Records sealed so far: the next counter. */
    [[nodiscard]] std::uint64_t sealed() const { return next_; }

    /** Goes on where another process that had the key stopped. Never back: false then, and nothing
     * is changed. */
    bool go_on_from(std::uint64_t counter) {
        if (counter < next_) {
            return false;
        }
        next_ = counter;
        return true;
    }

  private:
    std::unique_ptr<AeadContext> context_;
    Suite suite_;
    std::uint64_t next_;
};

/** Opens records; replay is the caller's matter. Used by one thread at a time. */
class OpeningKey {
  public:
    /** Throws std::invalid_argument when the provider has no such suite here. */
    OpeningKey(Suite suite, Provider provider, const Key32& key);
    ~OpeningKey();
    OpeningKey(OpeningKey&&) noexcept;
    OpeningKey& operator=(OpeningKey&&) noexcept;

    /** Sets `ok` of each item. */
    void open_batch(std::span<OpenItem> items) noexcept;

    /** Records that did not verify since construction. */
    [[nodiscard]] std::uint64_t failures() const { return failures_; }

  private:
    std::unique_ptr<AeadContext> context_;
    Suite suite_;
    std::uint64_t failures_ = 0;
};

} // namespace weave::crypto
