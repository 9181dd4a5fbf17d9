// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/suite.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace weave::crypto {

/** One keyed AEAD of one provider, for this module's own use: any 96-bit nonce, one thread. */
class AeadContext {
  public:
    AeadContext() = default;
    AeadContext(const AeadContext&) = delete;
    AeadContext& operator=(const AeadContext&) = delete;
    virtual ~AeadContext() = default;

    /** `out` takes len + 16 bytes and may equal `in`. Pointers may be null where the length is 0.
     */
    virtual void seal(const std::uint8_t* nonce,
                      const std::uint8_t* ad,
                      std::size_t ad_len,
                      const std::uint8_t* in,
                      std::size_t len,
                      std::uint8_t* out) noexcept = 0;
    /** `len` counts the tag and is at least 16; on false `out` holds nothing useful. */
    [[nodiscard]] virtual bool open(const std::uint8_t* nonce,
                                    const std::uint8_t* ad,
                                    std::size_t ad_len,
                                    const std::uint8_t* in,
                                    std::size_t len,
                                    std::uint8_t* out) noexcept = 0;
};

/** nullptr when the provider has no such suite on this machine. */
std::unique_ptr<AeadContext>
make_aead_context(Suite suite, Provider provider, std::span<const std::uint8_t, 32> key);

/** 4 zero bytes, then the counter: big-endian for AES-GCM, little-endian for ChaCha20-Poly1305. */
void make_nonce(Suite suite, std::uint64_t counter, std::span<std::uint8_t, 12> out) noexcept;

/** What each provider's file offers to make_aead_context() and available(). */
namespace sodium_aead {
bool available(Suite suite) noexcept;
std::unique_ptr<AeadContext> make(Suite suite, std::span<const std::uint8_t, 32> key);
} // namespace sodium_aead

namespace ipsec_mb_aead {
bool available(Suite suite) noexcept;
std::unique_ptr<AeadContext> make(Suite suite, std::span<const std::uint8_t, 32> key);
} // namespace ipsec_mb_aead

namespace openssl_aead {
bool available(Suite suite) noexcept;
std::unique_ptr<AeadContext> make(Suite suite, std::span<const std::uint8_t, 32> key);
} // namespace openssl_aead

/** Of Suite::clear. */
namespace clear_aead {
std::unique_ptr<AeadContext> make(std::span<const std::uint8_t, 32> key);
} // namespace clear_aead

} // namespace weave::crypto
