// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/noise.hpp"
#include "crypto/noise_symmetric.hpp"

#include <array>
#include <cassert>
#include <limits>

namespace weave::crypto {
namespace {

/** Reserved by Noise for REKEY(). */
constexpr std::uint64_t kRekeyNonce = std::numeric_limits<std::uint64_t>::max();

} // namespace

CipherState::CipherState(Key32 key, Suite suite)
    : key_(std::move(key))
    , suite_(suite) {
    assert(available(suite));
}

Bytes CipherState::seal(ByteView associated, ByteView plaintext) {
    assert(nonce_ != kRekeyNonce);
    Bytes out;
    out.reserve(plaintext.size() + kTagSize);
    [[maybe_unused]] const bool sealed =
        noise_seal(suite_, key_, nonce_, associated, plaintext, out);
    assert(sealed);
    advance();
    return out;
}

Result<Bytes> CipherState::open(ByteView associated, ByteView sealed) {
    if (nonce_ == kRekeyNonce) {
        return make_error_code(Error::exhausted);
    }
    Bytes out;
    if (const auto opened = noise_open(suite_, key_, nonce_, associated, sealed, out);
        opened.has_error()) {
        return opened.error();
    }
    advance();
    return out;
}

void CipherState::advance() {
    ++nonce_;
    if (nonce_ % kRekeyInterval == 0) {
        rekey();
    }
}

void CipherState::rekey() {
    constexpr std::array<std::uint8_t, 32> kZeros{};
    Bytes sealed;
    [[maybe_unused]] const bool ok = noise_seal(suite_, key_, kRekeyNonce, {}, kZeros, sealed);
    assert(ok);
    key_ = Key32(ByteView(sealed).first<32>());
    wipe(sealed);
}

} // namespace weave::crypto
