// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"
#include "crypto/noise_symmetric.hpp"
#include "crypto/transport_keys.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <utility>

namespace weave::crypto {
namespace {

using test::filled;
using test::unhex;

Split fixed_split() {
    Split split;
    split.initiator_to_responder = Key32(filled(1));
    split.responder_to_initiator = Key32(filled(2));
    return split;
}

bool same(const std::vector<Key32>& left, const std::vector<Key32>& right) {
    if (left.size() != right.size()) {
        return false;
    }
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (!equal(left[i].view(), right[i].view())) {
            return false;
        }
    }
    return true;
}

} // namespace

TEST_CASE("transport keys: both sides agree whatever their lane counts are") {
    constexpr std::array<std::pair<std::uint8_t, std::uint8_t>, 5> kLanes{
        {{1, 1}, {1, 4}, {4, 1}, {3, 2}, {64, 64}}};
    for (const auto& [initiator_lanes, responder_lanes] : kLanes) {
        CAPTURE(int{initiator_lanes});
        CAPTURE(int{responder_lanes});
        const TransportKeys one = make_transport_keys(
            fixed_split(), true, Suite::aes256gcm, initiator_lanes, responder_lanes, 64, 128);
        const TransportKeys two = make_transport_keys(
            fixed_split(), false, Suite::aes256gcm, responder_lanes, initiator_lanes, 128, 64);
        CHECK(one.send.size() == initiator_lanes);
        CHECK(one.receive.size() == responder_lanes);
        CHECK(same(one.send, two.receive));
        CHECK(same(one.receive, two.send));
        CHECK_FALSE(equal(one.send[0].view(), one.receive[0].view()));
        for (std::size_t i = 1; i < one.send.size(); ++i) {
            CHECK_FALSE(equal(one.send[0].view(), one.send[i].view()));
        }
        CHECK(one.local_index == 64);
        CHECK(one.remote_index == 128);
    }
}

TEST_CASE("cipher state: both sides rekey after 2^16 messages") {
    CipherState sender(Key32(filled(5)));
    CipherState receiver(Key32(filled(5)));
    const Key32 first_key(filled(5));
    const Bytes text = test::pattern_bytes(20);
    for (std::uint64_t i = 0; i < CipherState::kRekeyInterval + 10; ++i) {
        const Bytes sealed = sender.seal(as_bytes("ad"), text);
        const auto opened = receiver.open(as_bytes("ad"), sealed);
        REQUIRE(opened.has_value());
        REQUIRE(*opened == text);
        Bytes under_first_key;
        REQUIRE(noise_seal(
            Suite::chacha20poly1305, first_key, i, as_bytes("ad"), text, under_first_key));
        REQUIRE((sealed == under_first_key) == (i < CipherState::kRekeyInterval));
    }
    CHECK(sender.nonce() == CipherState::kRekeyInterval + 10);
    CHECK(receiver.nonce() == sender.nonce());
}

TEST_CASE("cipher state: rekey() makes a new key, and only on both sides together") {
    CipherState sender(Key32(filled(5)));
    CipherState receiver(Key32(filled(5)));
    sender.rekey();
    const Bytes sealed = sender.seal({}, as_bytes("text"));
    CHECK(receiver.open({}, sealed).error() == Error::authentication_failed);
    receiver.rekey();
    const auto opened = receiver.open({}, sealed);
    REQUIRE(opened.has_value());
    CHECK(*opened == Bytes{'t', 'e', 'x', 't'});
}

TEST_CASE("cipher state: a refused message changes nothing") {
    CipherState sender(Key32(filled(5)));
    CipherState receiver(Key32(filled(5)));
    const Bytes sealed = sender.seal(as_bytes("ad"), as_bytes("text"));
    Bytes altered = sealed;
    altered[2] ^= 1;
    CHECK(receiver.open(as_bytes("ad"), altered).error() == Error::authentication_failed);
    CHECK(receiver.open(as_bytes("xx"), sealed).error() == Error::authentication_failed);
    CHECK(receiver.open(as_bytes("ad"), Bytes(15)).error() == Error::malformed);
    CHECK(receiver.nonce() == 0);
    CHECK(receiver.open(as_bytes("ad"), sealed).has_value());
    // The same message again: its nonce has passed.
    CHECK(receiver.open(as_bytes("ad"), sealed).has_error());
}

TEST_CASE("identity: one seed, one identity") {
    const Identity one = Identity::from_seed(Key32(filled(7)));
    const Identity two = Identity::from_seed(Key32(filled(7)));
    const Identity other = Identity::generate();
    CHECK(one.id() == two.id());
    CHECK(one.sign_public() == two.sign_public());
    CHECK(one.static_public() == two.static_public());
    CHECK(one.id() == node_id(one.sign_public()));
    CHECK(one.id() != other.id());
    CHECK(one.static_public() != one.sign_public());
    // Fixed: a node keeps its name across versions.
    CHECK(to_hex(one.sign_public()) ==
          "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c");
    CHECK(one.id().text() == "3fc6400554884a5a14367e32e3e46885");
    CHECK(to_hex(one.static_public()) ==
          "18f52b16f08e12528868b0aecd7e67359e88b53387fa325ed6bf630490cc8540");
}

TEST_CASE("identity: signatures and vouches") {
    const Identity node = Identity::from_seed(Key32(filled(7)));
    const Identity other = Identity::from_seed(Key32(filled(8)));
    const Signature signature = node.sign(as_bytes("text"));
    CHECK(verify(node.sign_public(), as_bytes("text"), signature));
    CHECK_FALSE(verify(node.sign_public(), as_bytes("test"), signature));
    CHECK_FALSE(verify(other.sign_public(), as_bytes("text"), signature));
    CHECK_FALSE(verify(PublicKey{}, as_bytes("text"), Signature{}));
    const Signature vouch = node.static_vouch();
    CHECK(verify_static_vouch(node.sign_public(), node.static_public(), vouch));
    CHECK_FALSE(verify_static_vouch(node.sign_public(), other.static_public(), vouch));
    CHECK_FALSE(verify_static_vouch(other.sign_public(), node.static_public(), vouch));
}

TEST_CASE("identity: published Ed25519 vectors") {
    const auto data = test::vectors("ed25519_test.json");
    if (!data) {
        return;
    }
    for (const auto& group : (*data)["testGroups"]) {
        const PublicKey key = test::to_key(unhex(group["publicKey"]["pk"].get<std::string>()));
        for (const auto& test : group["tests"]) {
            CAPTURE(test["tcId"].get<int>());
            const Bytes raw = unhex(test["sig"].get<std::string>());
            if (raw.size() != Signature{}.size()) {
                continue;
            }
            Signature signature;
            std::copy(raw.begin(), raw.end(), signature.begin());
            const Bytes message = unhex(test["msg"].get<std::string>());
            CHECK(verify(key, message, signature) == (test["result"] == "valid"));
        }
    }
}

TEST_CASE("identity: published X25519 vectors") {
    const auto data = test::vectors("x25519_test.json");
    if (!data) {
        return;
    }
    for (const auto& group : (*data)["testGroups"]) {
        for (const auto& test : group["tests"]) {
            CAPTURE(test["tcId"].get<int>());
            const Key32 secret(test::to_key(unhex(test["private"].get<std::string>())));
            const PublicKey point = test::to_key(unhex(test["public"].get<std::string>()));
            const PublicKey expected = test::to_key(unhex(test["shared"].get<std::string>()));
            Key32 shared;
            // The published result of a point of low order is zero, which is refused here.
            CHECK(diffie_hellman(secret, point, shared) == (expected != PublicKey{}));
            CHECK(std::ranges::equal(shared.view(), expected));
        }
    }
}

TEST_CASE("identity: a point of low order makes no shared key") {
    Key32 shared;
    CHECK_FALSE(diffie_hellman(Key32(filled(3)), PublicKey{}, shared));
    CHECK_FALSE(diffie_hellman(Key32(filled(3)), PublicKey{1}, shared));
    CHECK(diffie_hellman(
        Key32(filled(3)), KeyPair::from_secret(Key32(filled(4))).public_key, shared));
}

TEST_CASE("hash: known answers") {
    CHECK(to_hex(blake2b(as_bytes("abc"))) ==
          "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
          "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
    CHECK(blake2b(as_bytes("a"), as_bytes("bc")) == blake2b(as_bytes("abc")));
    CHECK(to_hex(keyed_mac16(filled(1), as_bytes("text"))) == "94c18bf3537294cff2c2db2ebb171838");
    CHECK(to_hex(derive_key(filled(1), 3, "lane____").view()) ==
          "a335b54e7e0ba4ab3a4ecccaf1671e039d7a83db5412de997a6010dbbf3ffe78");
    std::array<std::uint8_t, 64> mac{};
    hmac_blake2b(filled(1), as_bytes("text"), mac);
    CHECK(to_hex(mac) == "fa7b1a93d51a39beae94c49b0c24f70470725d16b78f3450f2220891ebf22d75"
                         "170bb851325a6b2d5b60aa8a9e741c1912109eb39d0f2f24878a4a9086b5413e");
}

TEST_CASE("hash: equal() compares lengths and contents") {
    CHECK(equal(as_bytes("abc"), as_bytes("abc")));
    CHECK(equal({}, {}));
    CHECK_FALSE(equal(as_bytes("abc"), as_bytes("abd")));
    CHECK_FALSE(equal(as_bytes("abc"), as_bytes("ab")));
}

TEST_CASE("hash: password keys depend on password and salt") {
    const std::array<std::uint8_t, 16> salt{1};
    const std::array<std::uint8_t, 16> other_salt{2};
    const Key32 key = password_key("correct horse", salt);
    CHECK(equal(key.view(), password_key("correct horse", salt).view()));
    CHECK_FALSE(equal(key.view(), password_key("correct horsf", salt).view()));
    CHECK_FALSE(equal(key.view(), password_key("correct horse", other_salt).view()));
}

TEST_CASE("hash: cookies open with their key, nonce and associated data only") {
    const std::array<std::uint8_t, 24> nonce{9};
    const Bytes sealed = xchacha_seal(filled(1), nonce, as_bytes("mac1"), Bytes(16, 5));
    CHECK(sealed.size() == 32);
    Bytes plain;
    CHECK(xchacha_open(filled(1), nonce, as_bytes("mac1"), sealed, plain));
    CHECK(plain == Bytes(16, 5));
    CHECK_FALSE(xchacha_open(filled(2), nonce, as_bytes("mac1"), sealed, plain));
    CHECK(plain.empty());
    CHECK_FALSE(xchacha_open(filled(1), nonce, as_bytes("mac2"), sealed, plain));
    CHECK_FALSE(xchacha_open(filled(1), nonce, as_bytes("mac1"), Bytes(15), plain));
}

TEST_CASE("secret: moved-from secrets are wiped, clones are equal") {
    Key32 key(filled(3));
    const Key32 copy = key.clone();
    const Key32 moved = std::move(key);
    CHECK(equal(moved.view(), copy.view()));
    CHECK(equal(key.view(), filled(0))); // NOLINT: what is left behind is the point
}

} // namespace weave::crypto
