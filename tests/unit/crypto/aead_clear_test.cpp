// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The suite that is none: what it leaves as it is, what it refuses all the same, and who may not do
// it.
#include "crypto/aead.hpp"
#include "crypto/ciphers.hpp"
#include "crypto/noise_symmetric.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace weave::crypto {
namespace {

using test::filled;
using test::pattern_bytes;

constexpr std::size_t kHeader = 16;

Bytes key_bytes() {
    return pattern_bytes(32, 0x77);
}

Key32 key() {
    return Key32(test::to_key(key_bytes()));
}

/** A header with the counter in its last eight bytes, text, tag. */
Bytes sealed(SealingKey& key, std::size_t size, bool in_place) {
    const Bytes text = pattern_bytes(size);
    Bytes packet(kHeader + size + kTagSize);
    if (in_place) {
        std::copy(text.begin(), text.end(), packet.begin() + kHeader);
    }
    std::uint8_t* const out = packet.data() + kHeader;
    SealItem item{in_place ? out : text.data(),
                  static_cast<std::uint32_t>(size),
                  out,
                  packet.data() + 8,
                  packet.data(),
                  kHeader};
    REQUIRE(key.seal_batch({&item, 1}));
    return packet;
}

/** The text, or nothing when it does not open; zeros are left then. */
std::optional<Bytes> opened(OpeningKey& key, const Bytes& packet, bool in_place) {
    Bytes in = packet;
    Bytes apart(packet.size());
    OpenItem item;
    item.in = in.data() + kHeader;
    item.len = static_cast<std::uint32_t>(in.size() - kHeader);
    item.out = in_place ? in.data() + kHeader : apart.data();
    item.ad = in.data();
    item.ad_len = kHeader;
    key.open_batch({&item, 1});
    const Bytes text(item.out, item.out + item.len - kTagSize);
    CHECK((item.ok || text == Bytes(text.size())));
    return item.ok ? std::optional(text) : std::nullopt;
}

} // namespace

TEST_CASE("clear: a record is laid out as a sealed one, with its text as it was") {
    SealingKey sealing(Suite::clear, Provider::none, key());
    OpeningKey opening(Suite::clear, Provider::none, key());
    std::uint8_t counter = 0;
    for (const std::size_t size : {0U, 1U, 15U, 64U, 1420U, 9001U}) {
        for (const bool in_place : {false, true}) {
            CAPTURE(size);
            CAPTURE(in_place);
            const Bytes packet = sealed(sealing, size, in_place);
            CHECK(packet[8] == counter++);
            const Bytes text = pattern_bytes(size);
            CHECK(std::equal(text.begin(), text.end(), packet.begin() + kHeader));
            const Bytes half = key_bytes();
            CHECK(std::equal(half.begin(), half.begin() + kTagSize, packet.end() - kTagSize));
            CHECK(opened(opening, packet, in_place) == text);
        }
    }
    CHECK(sealing.sealed() == counter);
    CHECK(opening.failures() == 0);
}

TEST_CASE("clear: what does not bear the key's half does not open") {
    SealingKey sealing(Suite::clear, Provider::none, key());
    OpeningKey opening(Suite::clear, Provider::none, key());
    const Bytes packet = sealed(sealing, 40, true);
    for (std::size_t i = packet.size() - kTagSize; i < packet.size(); ++i) {
        Bytes altered = packet;
        altered[i] ^= 0x10;
        CHECK_FALSE(opened(opening, altered, i % 2 == 0));
    }
    CHECK(opening.failures() == kTagSize);
    OpeningKey other(Suite::clear, Provider::none, Key32(filled(3)));
    CHECK_FALSE(opened(other, packet, true));
    OpenItem cut;
    cut.in = packet.data();
    cut.len = kTagSize - 1;
    opening.open_batch({&cut, 1});
    CHECK_FALSE(cut.ok);
    // Nobody promised more: this is why it has to be asked for.
    Bytes altered = packet;
    altered[kHeader] ^= 1;
    CHECK(opened(opening, altered, true));
}

TEST_CASE("clear: counters have the limit that they have everywhere") {
    SealingKey sealing(Suite::clear, Provider::none, key(), kHardRecordLimit);
    Bytes packet(kTagSize + 8);
    SealItem item{nullptr, 0, packet.data(), packet.data() + kTagSize, nullptr, 0};
    CHECK_FALSE(sealing.seal_batch({&item, 1}));
    CHECK(packet == Bytes(packet.size()));
}

TEST_CASE("clear: no cipher does it, and it does no cipher") {
    CHECK(available(Provider::none, Suite::clear));
    CHECK_FALSE(available(Suite::clear));
    for (const Provider provider : kProviders) {
        CAPTURE(name(provider));
        CHECK_FALSE(available(provider, Suite::clear));
        CHECK_THROWS_AS(SealingKey(Suite::clear, provider, key()), std::invalid_argument);
    }
    for (const Suite suite : kSuites) {
        CAPTURE(name(suite));
        CHECK(suite != Suite::clear);
        CHECK_FALSE(available(Provider::none, suite));
        CHECK_THROWS_AS(OpeningKey(suite, Provider::none, key()), std::invalid_argument);
    }
    CHECK(Ciphers({}).of(Suite::clear) == Provider::none);
    CHECK_FALSE(Ciphers({}).has(Suite::clear));
    CHECK_FALSE(provider_named(name(Provider::none)));
    const auto all = available_suites();
    CHECK(std::find(all.begin(), all.end(), Suite::clear) == all.end());
}

TEST_CASE("clear: Noise seals nothing with it") {
    Bytes out;
    CHECK_FALSE(noise_seal(Suite::clear, key(), 0, {}, as_bytes("text"), out));
    CHECK(out.empty());
    CHECK(noise_open(Suite::clear, key(), 0, {}, key_bytes(), out).has_error());
}

} // namespace weave::crypto
