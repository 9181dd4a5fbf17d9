// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"

#include "crypto/init.hpp"

#include <sodium.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <stdexcept>

namespace weave::crypto {

void init() {
    if (sodium_init() < 0) {
        throw std::runtime_error("libsodium cannot start: no usable source of randomness");
    }
}

void random_bytes(ByteSpan out) {
    randombytes_buf(out.data(), out.size());
}

void wipe(ByteSpan bytes) noexcept {
    sodium_memzero(bytes.data(), bytes.size());
}

void* allocate_locked(std::size_t size) {
    init(); // before it libsodium knows neither the size of a page nor its canary
    void* memory = sodium_malloc(size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

void free_locked(void* memory) noexcept {
    sodium_free(memory);
}

Hash64 blake2b(ByteView message) {
    return blake2b(message, {});
}

Hash64 blake2b(ByteView first, ByteView second) {
    Hash64 out;
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, out.size());
    crypto_generichash_update(&state, first.data(), first.size());
    crypto_generichash_update(&state, second.data(), second.size());
    crypto_generichash_final(&state, out.data(), out.size());
    sodium_memzero(&state, sizeof state); // of an HMAC it holds the padded key
    return out;
}

Mac16 keyed_mac16(ByteView key, ByteView message) {
    assert(key.size() >= crypto_generichash_KEYBYTES_MIN &&
           key.size() <= crypto_generichash_KEYBYTES_MAX);
    Mac16 out;
    crypto_generichash(
        out.data(), out.size(), message.data(), message.size(), key.data(), key.size());
    return out;
}

bool equal(ByteView left, ByteView right) {
    return left.size() == right.size() &&
           sodium_memcmp(left.data(), right.data(), left.size()) == 0;
}

void hmac_blake2b(ByteView key, ByteView message, std::span<std::uint8_t, 64> out) {
    assert(key.size() <= 128);
    SecretBytes<128> inner_pad;
    SecretBytes<128> outer_pad;
    std::copy(key.begin(), key.end(), inner_pad.span().begin());
    std::copy(key.begin(), key.end(), outer_pad.span().begin());
    for (std::size_t i = 0; i < 128; ++i) {
        inner_pad.span()[i] ^= 0x36;
        outer_pad.span()[i] ^= 0x5c;
    }
    Hash64 inner = blake2b(inner_pad.view(), message);
    Hash64 outer = blake2b(outer_pad.view(), inner);
    std::copy(outer.begin(), outer.end(), out.begin());
    wipe(inner);
    wipe(outer);
}

void hkdf(ByteView chaining_key, ByteView input, std::span<SecretBytes<64>> outputs) {
    SecretBytes<64> temporary;
    hmac_blake2b(chaining_key, input, temporary.span());
    SecretBytes<65> block; // the previous output (none at first), then the number of this one
    std::size_t previous = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        block.span()[previous] = static_cast<std::uint8_t>(i + 1);
        hmac_blake2b(temporary.view(), block.view().first(previous + 1), outputs[i].span());
        const auto produced = outputs[i].view();
        std::copy(produced.begin(), produced.end(), block.span().begin());
        previous = produced.size();
    }
}

Key32 derive_key(std::span<const std::uint8_t, 32> master,
                 std::uint64_t id,
                 std::string_view context) {
    assert(context.size() == crypto_kdf_CONTEXTBYTES);
    Key32 out;
    crypto_kdf_derive_from_key(out.span().data(), out.size(), id, context.data(), master.data());
    return out;
}

Key32 password_key(std::string_view password, std::span<const std::uint8_t, 16> salt) {
    constexpr std::size_t kMemory = std::size_t{64} << 20;
    constexpr unsigned kPasses = 3;
    Key32 out;
    if (crypto_pwhash(out.span().data(),
                      out.size(),
                      password.data(),
                      password.size(),
                      salt.data(),
                      kPasses,
                      kMemory,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        throw std::bad_alloc();
    }
    return out;
}

Bytes xchacha_seal(std::span<const std::uint8_t, 32> key,
                   std::span<const std::uint8_t, 24> nonce,
                   ByteView associated,
                   ByteView plaintext) {
    Bytes out(plaintext.size() + crypto_aead_xchacha20poly1305_ietf_ABYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out.data(),
                                               nullptr,
                                               plaintext.data(),
                                               plaintext.size(),
                                               associated.data(),
                                               associated.size(),
                                               nullptr,
                                               nonce.data(),
                                               key.data());
    return out;
}

bool xchacha_open(std::span<const std::uint8_t, 32> key,
                  std::span<const std::uint8_t, 24> nonce,
                  ByteView associated,
                  ByteView sealed,
                  Bytes& plaintext) {
    plaintext.clear();
    if (sealed.size() < crypto_aead_xchacha20poly1305_ietf_ABYTES) {
        return false;
    }
    Bytes opened(sealed.size() - crypto_aead_xchacha20poly1305_ietf_ABYTES);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(opened.data(),
                                                   nullptr,
                                                   nullptr,
                                                   sealed.data(),
                                                   sealed.size(),
                                                   associated.data(),
                                                   associated.size(),
                                                   nonce.data(),
                                                   key.data()) != 0) {
        return false;
    }
    plaintext = std::move(opened);
    return true;
}

} // namespace weave::crypto
