// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/noise_symmetric.hpp"

#include "crypto/aead_context.hpp"
#include "crypto/errors.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace weave::crypto {
namespace {

/** Handshakes are rare: the reference wherever it has the suite. */
std::unique_ptr<AeadContext> one_shot_context(Suite suite, const Key32& key) {
    const auto found =
        std::find_if(kProviders.rbegin(), kProviders.rend(), [suite](Provider provider) {
            return available(provider, suite);
        });
    return found == kProviders.rend() ? nullptr : make_aead_context(suite, *found, key.view());
}

} // namespace

bool noise_seal(Suite suite,
                const Key32& key,
                std::uint64_t nonce,
                ByteView associated,
                ByteView plaintext,
                Bytes& out) {
    const auto context = one_shot_context(suite, key);
    if (!context) {
        return false;
    }
    std::array<std::uint8_t, 12> iv;
    make_nonce(suite, nonce, iv);
    const std::size_t start = out.size();
    out.resize(start + plaintext.size() + kTagSize);
    context->seal(iv.data(),
                  associated.data(),
                  associated.size(),
                  plaintext.data(),
                  plaintext.size(),
                  out.data() + start);
    return true;
}

Result<void> noise_open(Suite suite,
                        const Key32& key,
                        std::uint64_t nonce,
                        ByteView associated,
                        ByteView sealed,
                        Bytes& out) {
    if (sealed.size() < kTagSize) {
        return make_error_code(Error::malformed);
    }
    const auto context = one_shot_context(suite, key);
    if (!context) {
        return make_error_code(Error::unsupported_suite);
    }
    std::array<std::uint8_t, 12> iv;
    make_nonce(suite, nonce, iv);
    const std::size_t start = out.size();
    // The full length, so that the pointer is never null for an empty plaintext.
    out.resize(start + sealed.size());
    if (!context->open(iv.data(),
                       associated.data(),
                       associated.size(),
                       sealed.data(),
                       sealed.size(),
                       out.data() + start)) {
        wipe(ByteSpan(out).subspan(start));
        out.resize(start);
        return make_error_code(Error::authentication_failed);
    }
    out.resize(out.size() - kTagSize);
    return {};
}

SymmetricState::SymmetricState(Suite suite, std::string_view protocol_name)
    : suite_(suite) {
    assert(protocol_name.size() <= hash_.size());
    std::copy(protocol_name.begin(), protocol_name.end(), hash_.begin());
    std::copy(hash_.begin(), hash_.end(), chaining_key_.span().begin());
}

SymmetricState SymmetricState::clone() const {
    SymmetricState out;
    out.suite_ = suite_;
    out.has_key_ = has_key_;
    out.nonce_ = nonce_;
    out.hash_ = hash_;
    out.chaining_key_ = chaining_key_.clone();
    out.key_ = key_.clone();
    return out;
}

void SymmetricState::set_key(const SecretBytes<64>& material) {
    key_ = Key32(material.view().first<32>());
    has_key_ = true;
    nonce_ = 0;
}

void SymmetricState::mix_hash(ByteView data) {
    hash_ = blake2b(hash_, data);
}

void SymmetricState::mix_key(ByteView input) {
    std::array<SecretBytes<64>, 2> outputs;
    hkdf(chaining_key_.view(), input, outputs);
    chaining_key_ = std::move(outputs[0]);
    set_key(outputs[1]);
}

void SymmetricState::mix_key_and_hash(ByteView input) {
    std::array<SecretBytes<64>, 3> outputs;
    hkdf(chaining_key_.view(), input, outputs);
    chaining_key_ = std::move(outputs[0]);
    mix_hash(outputs[1].view());
    set_key(outputs[2]);
}

bool SymmetricState::encrypt_and_hash(ByteView plaintext, Bytes& out) {
    const std::size_t start = out.size();
    if (!has_key_) {
        out.insert(out.end(), plaintext.begin(), plaintext.end());
    } else if (!noise_seal(suite_, key_, nonce_++, hash_, plaintext, out)) {
        return false;
    }
    mix_hash(ByteView(out).subspan(start));
    return true;
}

Result<void> SymmetricState::decrypt_and_hash(ByteView sealed, Bytes& out) {
    if (!has_key_) {
        out.insert(out.end(), sealed.begin(), sealed.end());
    } else if (auto opened = noise_open(suite_, key_, nonce_++, hash_, sealed, out);
               opened.has_error()) {
        return opened;
    }
    mix_hash(sealed);
    return {};
}

void SymmetricState::split(Key32& first, Key32& second) const {
    std::array<SecretBytes<64>, 2> outputs;
    hkdf(chaining_key_.view(), {}, outputs);
    first = Key32(outputs[0].view().first<32>());
    second = Key32(outputs[1].view().first<32>());
}

void SymmetricState::forget() noexcept {
    wipe(chaining_key_.span());
    wipe(key_.span());
}

} // namespace weave::crypto
