// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/secret.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace weave::crypto {

using Hash64 = std::array<std::uint8_t, 64>;
using Mac16 = std::array<std::uint8_t, 16>;

/** BLAKE2b-512 of `message`. */
Hash64 blake2b(ByteView message);
/** BLAKE2b-512 of the two parts one after the other. */
Hash64 blake2b(ByteView first, ByteView second);

/** Keyed BLAKE2b-128. `key` holds 16 to 64 bytes. */
Mac16 keyed_mac16(ByteView key, ByteView message);

/** Compares in constant time for equal lengths; unequal lengths are unequal. */
bool equal(ByteView left, ByteView right);

/** HMAC (RFC 2104) over BLAKE2b-512, block length 128. `key` holds at most 128 bytes. */
void hmac_blake2b(ByteView key, ByteView message, std::span<std::uint8_t, 64> out);

/** The Noise HKDF: one to three outputs of 64 bytes each. */
void hkdf(ByteView chaining_key, ByteView input, std::span<SecretBytes<64>> outputs);

/** A 32-byte subkey of `master` (libsodium's crypto_kdf). `context` has exactly 8 characters. */
Key32 derive_key(std::span<const std::uint8_t, 32> master,
                 std::uint64_t id,
                 std::string_view context);

/**
 * Argon2id (64 MiB, 3 passes) of a human password: slow on purpose (about 0.2 s).
 * Throws std::bad_alloc when the memory cannot be had.
 */
Key32 password_key(std::string_view password, std::span<const std::uint8_t, 16> salt);

/** XChaCha20-Poly1305 with a 24-byte nonce, for cookies: the result is ciphertext || 16-byte tag.
 */
Bytes xchacha_seal(std::span<const std::uint8_t, 32> key,
                   std::span<const std::uint8_t, 24> nonce,
                   ByteView associated,
                   ByteView plaintext);
/** The opposite of xchacha_seal; false when the tag does not verify (`plaintext` is then empty). */
[[nodiscard]] bool xchacha_open(std::span<const std::uint8_t, 32> key,
                                std::span<const std::uint8_t, 24> nonce,
                                ByteView associated,
                                ByteView sealed,
                                Bytes& plaintext);

} // namespace weave::crypto
