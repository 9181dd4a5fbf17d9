// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead_context.hpp"
#include "crypto/secret.hpp"

#include <sodium.h>

#include <algorithm>

namespace weave::crypto::sodium_aead {
namespace {

class Aes final : public AeadContext {
  public:
    explicit Aes(std::span<const std::uint8_t, 32> key) {
        crypto_aead_aes256gcm_beforenm(&state_, key.data());
    }

    ~Aes() override { sodium_memzero(&state_, sizeof state_); }

    void seal(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        crypto_aead_aes256gcm_encrypt_afternm(
            out, nullptr, in, len, ad, ad_len, nullptr, nonce, &state_);
    }

    bool open(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        return crypto_aead_aes256gcm_decrypt_afternm(
                   out, nullptr, nullptr, in, len, ad, ad_len, nonce, &state_) == 0;
    }

  private:
    crypto_aead_aes256gcm_state state_;
};

class ChaCha final : public AeadContext {
  public:
    explicit ChaCha(std::span<const std::uint8_t, 32> key)
        : key_(key) {}

    void seal(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        crypto_aead_chacha20poly1305_ietf_encrypt(
            out, nullptr, in, len, ad, ad_len, nullptr, nonce, key_.view().data());
    }

    bool open(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        return crypto_aead_chacha20poly1305_ietf_decrypt(
                   out, nullptr, nullptr, in, len, ad, ad_len, nonce, key_.view().data()) == 0;
    }

  private:
    Key32 key_;
};

} // namespace

bool available(Suite suite) noexcept {
    switch (suite) {
    case Suite::aes256gcm:
        return crypto_aead_aes256gcm_is_available() == 1;
    case Suite::chacha20poly1305:
        return true;
    case Suite::clear:
        break;
    }
    return false;
}

std::unique_ptr<AeadContext> make(Suite suite, std::span<const std::uint8_t, 32> key) {
    if (suite == Suite::aes256gcm) {
        return std::make_unique<Aes>(key);
    }
    return std::make_unique<ChaCha>(key);
}

} // namespace weave::crypto::sodium_aead
