// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "crypto/secret.hpp"

namespace weave::crypto {

/** An X25519 key pair. */
struct KeyPair {
    Key32 secret;
    PublicKey public_key{};

    static KeyPair generate();
    static KeyPair from_secret(Key32 secret);

    [[nodiscard]] KeyPair clone() const { return {secret.clone(), public_key}; }
};

/** X25519. False when the result is all zero: a point of low order, which no honest peer has. */
[[nodiscard]] bool
diffie_hellman(const Key32& secret, const PublicKey& remote, Key32& shared) noexcept;

/** Whoever holds this Ed25519 key: BLAKE2b-128 of it. */
NodeId node_id(const PublicKey& sign_public);

/** False for a wrong signature and for a public key of low order. Thread-safe. */
bool verify(const PublicKey& sign_public, ByteView message, const Signature& signature);

/**
 * A node's long-term keys, all from one 32-byte seed: an Ed25519 pair that names it and an X25519
 * pair for handshakes, derived apart from each other; the first vouches for the second. Immutable
 * after construction, so its const calls are thread-safe.
 */
class Identity {
  public:
    static Identity generate();
    static Identity from_seed(Key32 seed);

    [[nodiscard]] ByteView seed() const { return keys_->seed.view(); }

    [[nodiscard]] const PublicKey& sign_public() const { return keys_->sign_public; }

    [[nodiscard]] const PublicKey& static_public() const { return keys_->static_pair.public_key; }

    [[nodiscard]] const KeyPair& static_pair() const { return keys_->static_pair; }

    [[nodiscard]] const NodeId& id() const { return id_; }

    [[nodiscard]] Signature sign(ByteView message) const;
    /** The signature that binds static_public() to sign_public(); checked by verify_static_vouch().
     */
    [[nodiscard]] Signature static_vouch() const;

  private:
    struct Keys {
        Key32 seed;
        SecretBytes<64> sign_secret;
        PublicKey sign_public{};
        KeyPair static_pair;
    };

    explicit Identity(Key32 seed);
    static Keys derive(Key32 seed);

    Locked<Keys> keys_;
    NodeId id_;
};

/** True when `vouch` is sign_public's signature over "weave static\0" || static_public. */
bool verify_static_vouch(const PublicKey& sign_public,
                         const PublicKey& static_public,
                         const Signature& vouch);

} // namespace weave::crypto
