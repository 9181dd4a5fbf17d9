// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/suite.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace weave::crypto {

class AeadContext;

/** Bytes of text of the records that are measured: a full packet, and one with no more than a
 * header. */
inline constexpr std::size_t kLargeRecord = 1420;
inline constexpr std::size_t kSmallRecord = 64;

/** How one provider did with one suite when the process started. */
struct Trial {
    Suite suite = Suite::chacha20poly1305;
    Provider provider = Provider::sodium;
    /** It seals and opens as a published vector and the reference, libsodium, do, and refuses what
     * was altered. One that does not is never used. */
    bool correct = false;
    /** Nanoseconds to seal or to open one record, the mean of both; 0 when it is not correct. */
    double large_ns = 0;
    double small_ns = 0;
};

/**
 * Who does the arithmetic of each suite in this process. A matter of this host alone: peers, and
 * the process that takes over, may have picked others, as all make the same bytes. Immutable.
 */
class Ciphers {
  public:
    explicit Ciphers(std::vector<Trial> trials, std::optional<Provider> wanted = std::nullopt);

    [[nodiscard]] bool has(Suite suite) const { return find(suite) != nullptr; }

    /** Provider::none of Suite::clear. Throws std::invalid_argument when no provider can do the
     * suite here. */
    [[nodiscard]] Provider of(Suite suite) const;

    /** AES-256-GCM where somebody can do it. */
    [[nodiscard]] Suite preferred() const;

    [[nodiscard]] bool uses(const Trial& trial) const;

    /** One for each suite and provider of this build and processor. */
    [[nodiscard]] const std::vector<Trial>& trials() const { return trials_; }

  private:
    [[nodiscard]] const Trial* find(Suite suite) const;

    std::vector<Trial> trials_;
    std::optional<Provider> wanted_;
};

/** nullptr: that provider has no such suite here. */
using MakeContext = std::function<std::unique_ptr<AeadContext>(
    Suite, Provider, std::span<const std::uint8_t, 32> key)>;

/**
 * Tries and measures every provider, some milliseconds in all. For each suite: `wanted` where it
 * can do it; else the one that takes least time for a large and a small record together, and of
 * those within a tenth of that, which a next start could find in another order, the first of
 * kProviders.
 */
Ciphers choose_ciphers(std::optional<Provider> wanted = std::nullopt);
/** The same with other contexts, for tests. */
Ciphers choose_ciphers(std::optional<Provider> wanted, const MakeContext& make);

} // namespace weave::crypto
