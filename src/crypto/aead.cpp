// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.hpp"

#include "crypto/aead_context.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <string>

namespace weave::crypto {
namespace {

std::unique_ptr<AeadContext> require_context(Suite suite, Provider provider, const Key32& key) {
    auto context = make_aead_context(suite, provider, key.view());
    if (!context) {
        throw std::invalid_argument(std::string(name(provider)) + " cannot do " + name(suite) +
                                    " on this machine");
    }
    return context;
}

void store_le64(std::uint64_t value, std::uint8_t* out) noexcept {
    const std::uint64_t bytes = little_endian(value);
    std::memcpy(out, &bytes, sizeof bytes);
}

} // namespace

bool available(Provider provider, Suite suite) noexcept {
    if (suite == Suite::clear) {
        return provider == Provider::none;
    }
    switch (provider) {
    case Provider::sodium:
        return sodium_aead::available(suite);
    case Provider::ipsec_mb:
        return ipsec_mb_aead::available(suite);
    case Provider::openssl:
        return openssl_aead::available(suite);
    case Provider::none:
        break;
    }
    return false;
}

bool available(Suite suite) noexcept {
    return std::any_of(kProviders.begin(), kProviders.end(), [suite](Provider provider) {
        return available(provider, suite);
    });
}

std::vector<Suite> available_suites() {
    std::vector<Suite> out;
    std::copy_if(kSuites.begin(), kSuites.end(), std::back_inserter(out), [](Suite suite) {
        return available(suite);
    });
    return out;
}

const char* name(Suite suite) noexcept {
    switch (suite) {
    case Suite::aes256gcm:
        return "AES-256-GCM";
    case Suite::chacha20poly1305:
        return "ChaCha20-Poly1305";
    case Suite::clear:
        return "clear";
    }
    return "";
}

const char* name(Provider provider) noexcept {
    switch (provider) {
    case Provider::sodium:
        return "libsodium";
    case Provider::ipsec_mb:
        return "ipsec-mb";
    case Provider::openssl:
        return "openssl";
    case Provider::none:
        return "none";
    }
    return "";
}

std::optional<Provider> provider_named(std::string_view text) noexcept {
    const auto* const found =
        std::find_if(kProviders.begin(), kProviders.end(), [text](Provider provider) {
            return text == name(provider);
        });
    return found == kProviders.end() ? std::nullopt : std::optional(*found);
}

std::unique_ptr<AeadContext>
make_aead_context(Suite suite, Provider provider, std::span<const std::uint8_t, 32> key) {
    if (!available(provider, suite)) {
        return nullptr;
    }
    switch (provider) {
    case Provider::sodium:
        return sodium_aead::make(suite, key);
    case Provider::ipsec_mb:
        return ipsec_mb_aead::make(suite, key);
    case Provider::openssl:
        return openssl_aead::make(suite, key);
    case Provider::none:
        return clear_aead::make(key);
    }
    return nullptr;
}

SealingKey::SealingKey(Suite suite, Provider provider, const Key32& key, std::uint64_t first)
    : context_(require_context(suite, provider, key))
    , suite_(suite)
    , next_(first) {}

SealingKey::~SealingKey() = default;
SealingKey::SealingKey(SealingKey&&) noexcept = default;
SealingKey& SealingKey::operator=(SealingKey&&) noexcept = default;

bool SealingKey::seal_batch(std::span<SealItem> items) noexcept {
    if (next_ > kHardRecordLimit || items.size() > kHardRecordLimit - next_) {
        return false;
    }
    std::array<std::uint8_t, 12> nonce;
    for (const SealItem& item : items) {
        store_le64(next_, item.counter_field);
        make_nonce(suite_, next_, nonce);
        // Counted before use: whatever happens below, a nonce never serves twice.
        ++next_;
        context_->seal(nonce.data(), item.ad, item.ad_len, item.in, item.len, item.out);
    }
    return true;
}

OpeningKey::OpeningKey(Suite suite, Provider provider, const Key32& key)
    : context_(require_context(suite, provider, key))
    , suite_(suite) {}

OpeningKey::~OpeningKey() = default;
OpeningKey::OpeningKey(OpeningKey&&) noexcept = default;
OpeningKey& OpeningKey::operator=(OpeningKey&&) noexcept = default;

void OpeningKey::open_batch(std::span<OpenItem> items) noexcept {
    std::array<std::uint8_t, 12> nonce;
    for (OpenItem& item : items) {
        item.ok = false;
        if (item.len < kTagSize) {
            ++failures_;
            continue;
        }
        make_nonce(suite_, item.counter, nonce);
        item.ok = context_->open(nonce.data(), item.ad, item.ad_len, item.in, item.len, item.out);
        if (!item.ok) {
            ++failures_;
            if (item.len > kTagSize) {
                std::memset(item.out, 0, item.len - kTagSize);
            }
        }
    }
}

} // namespace weave::crypto
