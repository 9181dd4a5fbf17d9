// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/identity.hpp"

#include "crypto/hash.hpp"
#include "crypto/init.hpp"

#include <sodium.h>

#include <algorithm>
#include <string_view>

namespace weave::crypto {
namespace {

using VouchMessage = std::array<std::uint8_t, 13 + 32>;

/** The domain label keeps this signature from ever meaning something else. */
VouchMessage vouch_message(const PublicKey& static_public) {
    constexpr std::string_view kLabel{"weave static\0", 13};
    VouchMessage out{};
    std::copy(kLabel.begin(), kLabel.end(), out.begin());
    std::copy(static_public.begin(), static_public.end(), out.begin() + kLabel.size());
    return out;
}

} // namespace

KeyPair KeyPair::generate() {
    Key32 secret;
    random_bytes(secret.span());
    return from_secret(std::move(secret));
}

KeyPair KeyPair::from_secret(Key32 secret) {
    KeyPair out;
    crypto_scalarmult_base(out.public_key.data(), secret.view().data());
    out.secret = std::move(secret);
    return out;
}

bool diffie_hellman(const Key32& secret, const PublicKey& remote, Key32& shared) noexcept {
    return crypto_scalarmult(shared.span().data(), secret.view().data(), remote.data()) == 0;
}

NodeId node_id(const PublicKey& sign_public) {
    NodeId out;
    crypto_generichash(
        out.octets.data(), out.octets.size(), sign_public.data(), sign_public.size(), nullptr, 0);
    return out;
}

bool verify(const PublicKey& sign_public, ByteView message, const Signature& signature) {
    return crypto_sign_verify_detached(
               signature.data(), message.data(), message.size(), sign_public.data()) == 0;
}

Identity Identity::generate() {
    Key32 seed;
    random_bytes(seed.span());
    return from_seed(std::move(seed));
}

Identity Identity::from_seed(Key32 seed) {
    return Identity(std::move(seed));
}

Identity::Keys Identity::derive(Key32 seed) {
    Keys keys;
    crypto_sign_seed_keypair(
        keys.sign_public.data(), keys.sign_secret.span().data(), seed.view().data());
    keys.static_pair = KeyPair::from_secret(derive_key(seed.view(), 1, "x25519__"));
    keys.seed = std::move(seed);
    return keys;
}

Identity::Identity(Key32 seed)
    : keys_(derive(std::move(seed)))
    , id_(node_id(keys_->sign_public)) {}

Signature Identity::sign(ByteView message) const {
    Signature out;
    crypto_sign_detached(
        out.data(), nullptr, message.data(), message.size(), keys_->sign_secret.view().data());
    return out;
}

Signature Identity::static_vouch() const {
    return sign(vouch_message(static_public()));
}

bool verify_static_vouch(const PublicKey& sign_public,
                         const PublicKey& static_public,
                         const Signature& vouch) {
    return verify(sign_public, vouch_message(static_public), vouch);
}

} // namespace weave::crypto
