// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weave::crypto {

/** What seals packets. The number that goes over the wire. */
enum class Suite : std::uint8_t {
    aes256gcm = 1,
    chacha20poly1305 = 2,
    /** No cipher: a record is laid out as a sealed one, its text is as it was, and instead of a tag
     * it bears the first half of the key, which serves for nothing else. Whoever sees one record
     * can read, change and forge; who sees none cannot guess. A handshake is never in clear. */
    clear = 3,
};

/** Who does the arithmetic of the packet path. */
enum class Provider : std::uint8_t {
    sodium,
    ipsec_mb,
    openssl,
    none, ///< no library: of Suite::clear, and of nothing else
};

/** The ciphers, the best first. */
inline constexpr std::array kSuites{Suite::aes256gcm, Suite::chacha20poly1305};
/** The libraries. Between equally quick ones the first is taken; the last is the reference. */
inline constexpr std::array kProviders{Provider::ipsec_mb, Provider::openssl, Provider::sodium};

/** Bytes every sealed message grows by. */
inline constexpr std::size_t kTagSize = 16;

/** Built in, and this processor has the instructions that make it usable (AES-NI and PCLMUL for
 * AES-GCM). */
bool available(Provider provider, Suite suite) noexcept;
/** Some library has it. */
bool available(Suite suite) noexcept;
/** Those of kSuites: AES-256-GCM where the hardware does it, and ChaCha20-Poly1305. */
std::vector<Suite> available_suites();

/** "AES-256-GCM", "ChaCha20-Poly1305", "clear" */
const char* name(Suite suite) noexcept;
/** "libsodium", "ipsec-mb", "openssl", "none" */
const char* name(Provider provider) noexcept;
/** The library of that name. */
std::optional<Provider> provider_named(std::string_view text) noexcept;

} // namespace weave::crypto
