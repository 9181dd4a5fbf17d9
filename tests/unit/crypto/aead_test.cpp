// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.hpp"
#include "crypto/aead_context.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace weave::crypto {
namespace {

using test::filled;
using test::pattern_bytes;
using test::unhex;

constexpr std::size_t kHeader = 16;

/** A datagram: 16 bytes of associated data (the counter in bytes 8 to 15), text, tag; sealed in
 * place. */
Bytes seal_one(SealingKey& key, std::size_t size) {
    Bytes packet(kHeader + size + kTagSize);
    const Bytes text = pattern_bytes(size);
    std::copy(text.begin(), text.end(), packet.begin() + kHeader);
    std::array<SealItem, 1> items;
    items[0] = {packet.data() + kHeader,
                static_cast<std::uint32_t>(size),
                packet.data() + kHeader,
                packet.data() + 8,
                packet.data(),
                kHeader};
    REQUIRE(key.seal_batch(items));
    return packet;
}

OpenItem item_of(Bytes& packet, std::uint64_t counter) {
    OpenItem item;
    item.in = packet.data() + kHeader;
    item.len = static_cast<std::uint32_t>(packet.size() - kHeader);
    item.out = packet.data() + kHeader;
    item.counter = counter;
    item.ad = packet.data();
    item.ad_len = kHeader;
    return item;
}

bool open_one(OpeningKey& key, Bytes& packet, std::uint64_t counter) {
    std::array<OpenItem, 1> items{item_of(packet, counter)};
    key.open_batch(items);
    return items[0].ok;
}

template <class Check> void for_each_available(Check&& check) {
    for (const Suite suite : kSuites) {
        for (const Provider provider : kProviders) {
            if (available(provider, suite)) {
                CAPTURE(name(suite));
                CAPTURE(name(provider));
                check(suite, provider);
            }
        }
    }
}

/** One Wycheproof case for one provider. */
void check_published(const nlohmann::json& test, AeadContext& context) {
    const Bytes iv = unhex(test["iv"].get<std::string>());
    const Bytes ad = unhex(test["aad"].get<std::string>());
    const Bytes text = unhex(test["msg"].get<std::string>());
    Bytes sealed = unhex(test["ct"].get<std::string>());
    const Bytes tag = unhex(test["tag"].get<std::string>());
    sealed.insert(sealed.end(), tag.begin(), tag.end());
    const bool valid = test["result"].get<std::string>() != "invalid";
    CAPTURE(test["tcId"].get<int>());
    Bytes opened(sealed.size());
    CHECK(context.open(
              iv.data(), ad.data(), ad.size(), sealed.data(), sealed.size(), opened.data()) ==
          valid);
    if (valid) {
        opened.resize(text.size());
        CHECK(opened == text);
        Bytes again(sealed.size());
        context.seal(iv.data(), ad.data(), ad.size(), text.data(), text.size(), again.data());
        CHECK(again == sealed);
    }
}

void check_wycheproof(const char* file, Suite suite) {
    const auto data = test::vectors(file);
    if (!data) {
        return;
    }
    for (const Provider provider : kProviders) {
        if (!available(provider, suite)) {
            continue;
        }
        CAPTURE(name(provider));
        std::size_t checked = 0;
        for (const auto& group : (*data)["testGroups"]) {
            if (group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128) {
                continue;
            }
            for (const auto& test : group["tests"]) {
                const auto key = test::to_key(unhex(test["key"].get<std::string>()));
                check_published(test, *make_aead_context(suite, provider, key));
                ++checked;
            }
        }
        CHECK(checked > 50);
    }
}

} // namespace

TEST_CASE("aead: published vectors, AES-256-GCM") {
    check_wycheproof("aes_gcm_test.json", Suite::aes256gcm);
}

TEST_CASE("aead: published vectors, ChaCha20-Poly1305") {
    check_wycheproof("chacha20_poly1305_test.json", Suite::chacha20poly1305);
}

TEST_CASE("aead: batches seal with consecutive counters and open in any order") {
    for_each_available([](Suite suite, Provider provider) {
        SealingKey sealing(suite, provider, Key32(filled(9)));
        OpeningKey opening(suite, provider, Key32(filled(9)));
        std::vector<Bytes> packets;
        for (std::size_t i = 0; i < 40; ++i) {
            packets.push_back(seal_one(sealing, i * 37));
            CHECK(packets[i][8] == i);
        }
        CHECK(sealing.sealed() == 40);
        std::vector<OpenItem> items;
        for (std::size_t i = packets.size(); i-- > 0;) {
            items.push_back(item_of(packets[i], i));
        }
        items[5].counter ^= 1;
        opening.open_batch(items);
        for (std::size_t k = 0; k < items.size(); ++k) {
            const std::size_t size = (39 - k) * 37;
            CHECK(items[k].ok == (k != 5));
            const Bytes expected = k == 5 ? Bytes(size) : pattern_bytes(size);
            CHECK(std::equal(expected.begin(), expected.end(), items[k].out));
        }
        CHECK(opening.failures() == 1);
    });
}

TEST_CASE("aead: nonces are 4 zero bytes and the counter in the suite's byte order") {
    std::array<std::uint8_t, 12> nonce{};
    make_nonce(Suite::aes256gcm, 0x0102030405060708, nonce);
    CHECK(to_hex(nonce) == "000000000102030405060708");
    make_nonce(Suite::chacha20poly1305, 0x0102030405060708, nonce);
    CHECK(to_hex(nonce) == "000000000807060504030201");
}

TEST_CASE("aead: each altered byte of a record is refused") {
    for_each_available([](Suite suite, Provider provider) {
        SealingKey sealing(suite, provider, Key32(filled(9)));
        OpeningKey opening(suite, provider, Key32(filled(9)));
        const Bytes packet = seal_one(sealing, 77);
        for (std::size_t i = 0; i < packet.size(); ++i) {
            Bytes altered = packet;
            altered[i] ^= 0x10;
            CHECK_FALSE(open_one(opening, altered, 0));
        }
        CHECK(opening.failures() == packet.size());
        Bytes same = packet;
        CHECK(open_one(opening, same, 0));
        Bytes short_one(kHeader + kTagSize - 1);
        CHECK_FALSE(open_one(opening, short_one, 0));
    });
}

TEST_CASE("aead: records without text carry a tag over their header") {
    for_each_available([](Suite suite, Provider provider) {
        SealingKey sealing(suite, provider, Key32(filled(5)));
        OpeningKey opening(suite, provider, Key32(filled(5)));
        Bytes packet(200 + kTagSize);
        std::array<SealItem, 1> items;
        items[0] = {nullptr, 0, packet.data() + 200, packet.data() + 8, packet.data(), 200};
        REQUIRE(sealing.seal_batch(items));
        OpenItem open;
        open.in = packet.data() + 200;
        open.len = kTagSize;
        open.ad = packet.data();
        open.ad_len = 200;
        opening.open_batch({&open, 1});
        CHECK(open.ok);
        packet[150] ^= 1;
        opening.open_batch({&open, 1});
        CHECK_FALSE(open.ok);
    });
}

TEST_CASE("aead: the hard limit holds inside seal_batch, all or nothing") {
    for_each_available([](Suite suite, Provider provider) {
        SealingKey sealing(suite, provider, Key32(filled(1)), kHardRecordLimit - 3);
        std::array<std::array<std::uint8_t, 64>, 4> packets{};
        std::array<SealItem, 4> items;
        for (std::size_t i = 0; i < items.size(); ++i) {
            items[i] = {packets[i].data() + 16,
                        16,
                        packets[i].data() + 16,
                        packets[i].data() + 8,
                        packets[i].data(),
                        16};
        }
        CHECK_FALSE(sealing.seal_batch(items));
        CHECK(packets == decltype(packets){});
        CHECK(sealing.sealed() == kHardRecordLimit - 3);
        CHECK(sealing.seal_batch(std::span(items).first(3)));
        CHECK(sealing.sealed() == kHardRecordLimit);
        CHECK_FALSE(sealing.seal_batch(std::span(items).first(1)));
        CHECK(sealing.seal_batch({}));
    });
}

TEST_CASE("aead: a suite without a provider is refused at construction") {
    for (const Suite suite : kSuites) {
        for (const Provider provider : kProviders) {
            if (!available(provider, suite)) {
                CHECK_THROWS_AS(SealingKey(suite, provider, Key32()), std::invalid_argument);
                CHECK_THROWS_AS(OpeningKey(suite, provider, Key32()), std::invalid_argument);
            }
        }
    }
    for (const Suite suite : available_suites()) {
        CHECK(available(suite));
    }
    CHECK(available_suites().back() == Suite::chacha20poly1305);
    CHECK(available(Provider::sodium, Suite::chacha20poly1305));
}

} // namespace weave::crypto
