// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "crypto/hash.hpp"
#include "crypto/suite.hpp"

#include <cstdint>
#include <string_view>

namespace weave::crypto {

/** AEAD of one message under a 64-bit Noise nonce; appends to `out`. False: no provider for the
 * suite. */
[[nodiscard]] bool noise_seal(Suite suite,
                              const Key32& key,
                              std::uint64_t nonce,
                              ByteView associated,
                              ByteView plaintext,
                              Bytes& out);
/** The opposite; appends the plaintext, nothing on error. */
Result<void> noise_open(Suite suite,
                        const Key32& key,
                        std::uint64_t nonce,
                        ByteView associated,
                        ByteView sealed,
                        Bytes& out);

/** The SymmetricState of the Noise specification (section 5.2) with its CipherState. */
class SymmetricState {
  public:
    SymmetricState(Suite suite, std::string_view protocol_name);
    [[nodiscard]] SymmetricState clone() const;

    void mix_hash(ByteView data);
    void mix_key(ByteView input);
    void mix_key_and_hash(ByteView input);
    /** Appends to `out`. False: no provider for the suite. */
    [[nodiscard]] bool encrypt_and_hash(ByteView plaintext, Bytes& out);
    /** Appends to `out`. */
    Result<void> decrypt_and_hash(ByteView sealed, Bytes& out);
    void split(Key32& first, Key32& second) const;
    /** Wipes every secret; only hash() is of use afterwards. */
    void forget() noexcept;

    [[nodiscard]] bool has_key() const { return has_key_; }

    [[nodiscard]] const Hash64& hash() const { return hash_; }

  private:
    SymmetricState() = default;
    void set_key(const SecretBytes<64>& material);

    Suite suite_ = Suite::chacha20poly1305;
    bool has_key_ = false;
    std::uint64_t nonce_ = 0;
    Hash64 hash_{};
    SecretBytes<64> chaining_key_;
    Key32 key_;
};

} // namespace weave::crypto
