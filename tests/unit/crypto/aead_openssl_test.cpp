// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What only this provider could do wrong: it allocates, keeps errors in a queue, and owns a copy of
// the key.
#include "crypto/aead.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include <malloc.h>

namespace weave::crypto {
namespace {

using test::filled;

constexpr std::uint8_t kKeyByte = 0xc7;
std::atomic<unsigned> allocations{0};
std::atomic<unsigned> freed{0};
std::atomic<unsigned> freed_with_key{0};

/** Sixteen bytes of the key in a row; ChaCha20's context holds it as it is, AES's first round keys
 * are it. */
bool holds_key(const void* memory) {
    const auto* begin = static_cast<const std::uint8_t*>(memory);
    constexpr std::array<std::uint8_t, 16> kRun = [] {
        std::array<std::uint8_t, 16> out{};
        out.fill(kKeyByte);
        return out;
    }();
    const auto* end = begin + ::malloc_usable_size(const_cast<void*>(memory));
    return std::search(begin, end, kRun.begin(), kRun.end()) != end;
}

void* counted_malloc(std::size_t size, const char*, int) {
    ++allocations;
    return std::malloc(size);
}

void* counted_realloc(void* old, std::size_t size, const char*, int) {
    ++allocations;
    return std::realloc(old, size);
}

void counted_free(void* memory, const char*, int) {
    if (memory != nullptr) {
        ++freed;
        freed_with_key += holds_key(memory) ? 1U : 0U;
    }
    std::free(memory);
}

/** Before the library allocates for the first time, or it refuses. */
const bool counting = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) == 1;

std::array<std::uint8_t, 16 + 1420 + kTagSize> packet{};

bool seal(SealingKey& key) {
    SealItem item;
    item.in = packet.data() + 16;
    item.len = 1420;
    item.out = packet.data() + 16;
    item.counter_field = packet.data() + 8;
    item.ad = packet.data();
    item.ad_len = 16;
    return key.seal_batch({&item, 1});
}

bool open(OpeningKey& key, std::uint64_t counter) {
    OpenItem item;
    item.in = packet.data() + 16;
    item.len = 1420 + kTagSize;
    item.out = packet.data() + 16;
    item.counter = counter;
    item.ad = packet.data();
    item.ad_len = 16;
    key.open_batch({&item, 1});
    return item.ok;
}

template <class Check> void for_each_suite(Check&& check) {
    REQUIRE(counting);
    for (const Suite suite : kSuites) {
        if (available(Provider::openssl, suite)) {
            CAPTURE(name(suite));
            check(suite);
        }
    }
}

} // namespace

TEST_CASE("aead: OpenSSL allocates nothing for a record, on whatever thread, good or forged") {
    for_each_suite([](Suite suite) {
        SealingKey sealing(suite, Provider::openssl, Key32(filled(kKeyByte)));
        OpeningKey opening(suite, Provider::openssl, Key32(filled(kKeyByte)));
        const unsigned before = allocations;
        REQUIRE(before > 0); // of the keys above
        unsigned after = 0;
        unsigned long error = 0;
        std::thread([&] {
            for (std::uint64_t counter = 0; counter < 200; counter += 2) {
                CHECK(seal(sealing));
                CHECK(open(opening, counter));
                CHECK(seal(sealing));
                CHECK_FALSE(open(opening, 1'000'000));
            }
            after = allocations;
            error = ERR_peek_error(); // which allocates
        }).join();
        CHECK(after == before);
        CHECK(error == 0);
    });
}

TEST_CASE("aead: OpenSSL keeps no key in memory that it gives back") {
    for_each_suite([](Suite suite) {
        const unsigned before = freed;
        {
            SealingKey sealing(suite, Provider::openssl, Key32(filled(kKeyByte)));
            OpeningKey opening(suite, Provider::openssl, Key32(filled(kKeyByte)));
            REQUIRE(seal(sealing));
            REQUIRE(open(opening, 0));
        }
        CHECK(freed > before);
        CHECK(freed_with_key == 0);
    });
}

} // namespace weave::crypto
