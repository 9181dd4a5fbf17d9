// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead_context.hpp"

#ifdef WEAVE_HAVE_OPENSSL

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace weave::crypto::openssl_aead {
namespace {

/**
 * The library's ciphers, looked up by name once. In a library context of its own, and without the
 * host's openssl.cnf: what that file says of TLS must not decide which code handles packets.
 */
class Library {
  public:
    Library() {
        OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
        context_ = OSSL_LIB_CTX_new();
        if (context_ != nullptr) {
            aes_ = EVP_CIPHER_fetch(context_, "AES-256-GCM", nullptr);
            chacha_ = EVP_CIPHER_fetch(context_, "ChaCha20-Poly1305", nullptr);
        }
    }

    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    ~Library() {
        EVP_CIPHER_free(aes_);
        EVP_CIPHER_free(chacha_);
        OSSL_LIB_CTX_free(context_);
    }

    /** nullptr when this build of the library has no such cipher. */
    [[nodiscard]] const EVP_CIPHER* cipher(Suite suite) const {
        return suite == Suite::aes256gcm ? aes_ : chacha_;
    }

  private:
    OSSL_LIB_CTX* context_ = nullptr;
    EVP_CIPHER* aes_ = nullptr;
    EVP_CIPHER* chacha_ = nullptr;
};

const Library& library() {
    static const Library instance;
    return instance;
}

/** AES without these instructions is slower than ChaCha20, and its tables leak the key by the
 * cache. */
bool processor_has_aes() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0;
#else
    return false;
#endif
}

/**
 * One context for the life of the key: between records only the nonce changes, so that nothing is
 * allocated and no key schedule is made. The tag goes in and out as an OSSL_PARAM kept ready, which
 * saves the calls that would build one for each record.
 */
class Evp final : public AeadContext {
  public:
    Evp(const EVP_CIPHER* cipher, std::span<const std::uint8_t, 32> key)
        : context_(EVP_CIPHER_CTX_new()) {
        if (context_ == nullptr ||
            EVP_CipherInit_ex2(context_, cipher, key.data(), nullptr, 1, nullptr) != 1) {
            EVP_CIPHER_CTX_free(context_);
            throw std::runtime_error("OpenSSL refuses a cipher that it has");
        }
        tag_[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, kTagSize);
        tag_[1] = OSSL_PARAM_construct_end();
    }

    /** The library wipes it. */
    ~Evp() override { EVP_CIPHER_CTX_free(context_); }

    void seal(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        tag_[0].data = out + len;
        if (EVP_CipherInit_ex2(context_, nullptr, nullptr, nonce, 1, nullptr) != 1 ||
            !run(ad, ad_len, in, len, out) ||
            EVP_CIPHER_CTX_get_params(context_, tag_.data()) != 1) {
            // It has no reason to. The text must not leave this host in the clear: the peer drops
            // this record.
            std::memset(out, 0, len + kTagSize);
        }
    }

    bool open(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        const std::size_t text = len - kTagSize;
        // Given before the text, which may be opened in place; only read.
        tag_[0].data = const_cast<std::uint8_t*>(in + text);
        return EVP_CipherInit_ex2(context_, nullptr, nullptr, nonce, 0, tag_.data()) == 1 &&
               run(ad, ad_len, in, text, out);
    }

  private:
    /** What comes between the nonce and the tag. Empty parts are left out: to the library a text
     * without a place to go to is associated data. */
    bool run(const std::uint8_t* ad,
             std::size_t ad_len,
             const std::uint8_t* in,
             std::size_t len,
             std::uint8_t* out) noexcept {
        int done = 0;
        std::array<std::uint8_t, kTagSize> nothing;
        return (ad_len == 0 ||
                EVP_CipherUpdate(context_, nullptr, &done, ad, static_cast<int>(ad_len)) == 1) &&
               (len == 0 ||
                EVP_CipherUpdate(context_, out, &done, in, static_cast<int>(len)) == 1) &&
               EVP_CipherFinal_ex(context_, nothing.data(), &done) == 1;
    }

    EVP_CIPHER_CTX* context_;
    std::array<OSSL_PARAM, 2> tag_;
};

} // namespace

bool available(Suite suite) noexcept {
    return library().cipher(suite) != nullptr && (suite != Suite::aes256gcm || processor_has_aes());
}

std::unique_ptr<AeadContext> make(Suite suite, std::span<const std::uint8_t, 32> key) {
    return std::make_unique<Evp>(library().cipher(suite), key);
}

} // namespace weave::crypto::openssl_aead

#else

namespace weave::crypto::openssl_aead {

bool available(Suite) noexcept {
    return false;
}

std::unique_ptr<AeadContext> make(Suite, std::span<const std::uint8_t, 32>) {
    return nullptr;
}

} // namespace weave::crypto::openssl_aead

#endif
