// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/suite.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/** The bytes of `value`, least significant first whatever the machine; one move where it can be. */
inline std::uint64_t little_endian(std::uint64_t value) noexcept {
    return std::endian::native == std::endian::little ? value : __builtin_bswap64(value);
}

inline std::uint64_t big_endian(std::uint64_t value) noexcept {
    return std::endian::native == std::endian::big ? value : __builtin_bswap64(value);
}

/** 4 zero bytes, then the counter: big-endian for AES-GCM, little-endian for ChaCha20-Poly1305. */
inline void
make_nonce(Suite suite, std::uint64_t counter, std::span<std::uint8_t, 12> out) noexcept {
    const std::uint64_t bytes =
        suite == Suite::aes256gcm ? big_endian(counter) : little_endian(counter);
    std::memset(out.data(), 0, 4);
    std::memcpy(out.data() + 4, &bytes, sizeof bytes);
}

/**
 * Whether two tags are equal, in time that does not depend on where they differ. sodium_memcmp()
 * does the same byte by byte through volatile pointers, which costs a sixth of opening a record.
 */
inline bool same_tag(const std::array<std::uint8_t, kTagSize>& computed,
                     const std::uint8_t* received) noexcept {
    std::uint64_t a[2];
    std::uint64_t b[2];
    std::memcpy(a, computed.data(), sizeof a);
    std::memcpy(b, received, sizeof b);
    std::uint64_t different = (a[0] ^ b[0]) | (a[1] ^ b[1]);
    // The compiler must not see that only zero matters: it could compare the halves one by one.
    asm volatile("" : "+r"(different));
    return different == 0;
}

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
