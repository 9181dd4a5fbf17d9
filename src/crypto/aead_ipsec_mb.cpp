// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead_context.hpp"
#include "crypto/secret.hpp"

#ifdef WEAVE_HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <sodium.h>

#include <array>
#include <cstring>

namespace weave::crypto::ipsec_mb_aead {
namespace {

/**
 * The library's table of functions for this processor. Only direct calls are made through it (no
 * job queue), which read the table and nothing else, so one serves all threads.
 */
class Manager {
  public:
    Manager()
        : table_(alloc_mb_mgr(0)) {
        if (table_ != nullptr) {
            init_mb_mgr_auto(table_, nullptr);
        }
    }

    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    ~Manager() {
        if (table_ != nullptr) {
            free_mb_mgr(table_);
        }
    }

    /** The library refuses no processor; software emulation of AES is slower than ChaCha20, so not
     * usable. */
    [[nodiscard]] bool usable() const {
        constexpr std::uint64_t kNeeded =
            IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SSE4_2;
        if (table_ == nullptr || imb_get_errno(table_) != 0) {
            return false;
        }
        const bool self_test_failed = (table_->features & IMB_FEATURE_SELF_TEST) != 0 &&
                                      (table_->features & IMB_FEATURE_SELF_TEST_PASS) == 0;
        return (table_->features & kNeeded) == kNeeded && !self_test_failed;
    }

    [[nodiscard]] const IMB_MGR* table() const { return table_; }

  private:
    IMB_MGR* table_;
};

const Manager& manager() {
    static const Manager instance;
    return instance;
}

/** The library checks pointers even of empty ranges. */
const std::uint8_t* never_null(const std::uint8_t* pointer) {
    static const std::uint8_t nothing = 0;
    return pointer != nullptr ? pointer : &nothing;
}

class Aes final : public AeadContext {
  public:
    explicit Aes(std::span<const std::uint8_t, 32> key) {
        IMB_AES256_GCM_PRE(table_, key.data(), &key_);
    }

    ~Aes() override {
        sodium_memzero(&key_, sizeof key_);
        sodium_memzero(&scratch_, sizeof scratch_);
    }

    void seal(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        IMB_AES256_GCM_ENC(table_,
                           &key_,
                           &scratch_,
                           out,
                           never_null(in),
                           len,
                           nonce,
                           never_null(ad),
                           ad_len,
                           out + len,
                           kTagSize);
    }

    bool open(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        std::array<std::uint8_t, kTagSize> tag;
        const std::size_t text = len - kTagSize;
        std::uint8_t unused = 0;
        IMB_AES256_GCM_DEC(table_,
                           &key_,
                           &scratch_,
                           out != nullptr ? out : &unused,
                           in,
                           text,
                           nonce,
                           never_null(ad),
                           ad_len,
                           tag.data(),
                           kTagSize);
        return same_tag(tag, in + text);
    }

  private:
    const IMB_MGR* table_ = manager().table();
    alignas(64) gcm_key_data key_;
    alignas(64) gcm_context_data scratch_;
};

class ChaCha final : public AeadContext {
  public:
    explicit ChaCha(std::span<const std::uint8_t, 32> key)
        : key_(key) {}

    ~ChaCha() override { sodium_memzero(&scratch_, sizeof scratch_); }

    void seal(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        const std::uint8_t* key = key_.view().data();
        IMB_CHACHA20_POLY1305_INIT(table_, key, &scratch_, nonce, never_null(ad), ad_len);
        IMB_CHACHA20_POLY1305_ENC_UPDATE(table_, key, &scratch_, out, never_null(in), len);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(table_, &scratch_, out + len, kTagSize);
    }

    bool open(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        std::array<std::uint8_t, kTagSize> tag;
        const std::size_t text = len - kTagSize;
        std::uint8_t unused = 0;
        const std::uint8_t* key = key_.view().data();
        IMB_CHACHA20_POLY1305_INIT(table_, key, &scratch_, nonce, never_null(ad), ad_len);
        IMB_CHACHA20_POLY1305_DEC_UPDATE(
            table_, key, &scratch_, out != nullptr ? out : &unused, in, text);
        IMB_CHACHA20_POLY1305_DEC_FINALIZE(table_, &scratch_, tag.data(), kTagSize);
        return same_tag(tag, in + text);
    }

  private:
    const IMB_MGR* table_ = manager().table();
    Key32 key_;
    alignas(64) chacha20_poly1305_context_data scratch_;
};

} // namespace

bool available(Suite suite) noexcept {
    switch (suite) {
    case Suite::aes256gcm:
    case Suite::chacha20poly1305:
        return manager().usable();
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

} // namespace weave::crypto::ipsec_mb_aead

#else

namespace weave::crypto::ipsec_mb_aead {

bool available(Suite) noexcept {
    return false;
}

std::unique_ptr<AeadContext> make(Suite, std::span<const std::uint8_t, 32>) {
    return nullptr;
}

} // namespace weave::crypto::ipsec_mb_aead

#endif
