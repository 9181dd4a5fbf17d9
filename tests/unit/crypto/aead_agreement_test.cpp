// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Whatever a peer's provider is, ours opens what it sealed: all of them make the same bytes.
#include "crypto/aead.hpp"
#include "crypto/aead_context.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>

namespace weave::crypto {
namespace {

using test::filled;
using test::pattern_bytes;

struct Tried {
    Provider provider;
    std::unique_ptr<AeadContext> context;
};

/** The reference first; fewer than two where the others are missing. */
std::vector<Tried> contexts(Suite suite, std::uint8_t key) {
    std::vector<Tried> out;
    for (const Provider provider : {Provider::sodium, Provider::ipsec_mb, Provider::openssl}) {
        if (auto context = make_aead_context(suite, provider, filled(key))) {
            out.push_back({provider, std::move(context)});
        }
    }
    return out;
}

/** One record, at these offsets from a 64-byte boundary. */
struct Shape {
    std::size_t size = 0;
    std::size_t ad_size = 0;
    std::size_t in_offset = 0;
    std::size_t out_offset = 0;
    std::size_t ad_offset = 0;
    bool in_place = false;
};

constexpr std::size_t kRoom = 64;
constexpr std::uint8_t kUntouched = 0xa5;

/** Bytes on a 64-byte boundary with room before and after them, to see writes beyond a record. */
class Buffer {
  public:
    Buffer(std::size_t offset, ByteView content, std::size_t more)
        : bytes_(content.size() + more + 4 * kRoom, kUntouched) {
        void* start = bytes_.data() + kRoom;
        std::size_t space = bytes_.size() - kRoom;
        std::align(kRoom, 1, start, space);
        begin_ = static_cast<std::uint8_t*>(start) + offset;
        end_ = begin_ + content.size() + more;
        std::copy(content.begin(), content.end(), begin_);
    }

    [[nodiscard]] std::uint8_t* data() { return begin_; }

    /** Nothing was written outside of the record. */
    [[nodiscard]] bool kept_inside() const {
        const auto untouched = [](std::uint8_t byte) { return byte == kUntouched; };
        return std::all_of(bytes_.data(), static_cast<const std::uint8_t*>(begin_), untouched) &&
               std::all_of(static_cast<const std::uint8_t*>(end_),
                           bytes_.data() + bytes_.size(),
                           untouched);
    }

  private:
    Bytes bytes_;
    std::uint8_t* begin_;
    std::uint8_t* end_;
};

Bytes seal(AeadContext& context, const Shape& shape, const Bytes& nonce) {
    const Bytes text = pattern_bytes(shape.size, 1);
    Buffer in(shape.in_offset, text, shape.in_place ? kTagSize : 0);
    Buffer apart(shape.out_offset, {}, shape.size + kTagSize);
    Buffer ad(shape.ad_offset, pattern_bytes(shape.ad_size, 3), 0);
    Buffer& out = shape.in_place ? in : apart;
    context.seal(nonce.data(), ad.data(), shape.ad_size, in.data(), shape.size, out.data());
    CHECK(out.kept_inside());
    return {out.data(), out.data() + shape.size + kTagSize};
}

bool opens(AeadContext& context, const Shape& shape, const Bytes& nonce, const Bytes& sealed) {
    Buffer in(shape.in_offset, sealed, 0);
    Buffer apart(shape.out_offset, {}, shape.size);
    Buffer ad(shape.ad_offset, pattern_bytes(shape.ad_size, 3), 0);
    Buffer& out = shape.in_place ? in : apart;
    const bool ok =
        context.open(nonce.data(), ad.data(), shape.ad_size, in.data(), sealed.size(), out.data());
    CHECK(out.kept_inside());
    const Bytes text = pattern_bytes(shape.size, 1);
    return ok && std::equal(text.begin(), text.end(), out.data());
}

/** Every provider seals to what the reference seals to, opens it, and does not open it altered. */
void check_agreement(const std::vector<Tried>& all, const Shape& shape, const Bytes& nonce) {
    const Bytes expected = seal(*all.front().context, shape, nonce);
    Bytes altered = expected;
    altered[(shape.size * 31 + 7) % altered.size()] ^= 0x04;
    for (const Tried& tried : all) {
        CAPTURE(name(tried.provider));
        CHECK(seal(*tried.context, shape, nonce) == expected);
        CHECK(opens(*tried.context, shape, nonce, expected));
        CHECK_FALSE(opens(*tried.context, shape, nonce, altered));
    }
}

template <class Check> void for_each_suite(Check&& check) {
    for (const Suite suite : kSuites) {
        CAPTURE(name(suite));
        const std::vector<Tried> all = contexts(suite, 0x42);
        if (all.size() < 2) {
            MESSAGE("skipped: there is nothing to compare with for ", name(suite));
            continue;
        }
        check(suite, all);
    }
}

/** Records of one batch, each with 16 bytes of associated data before it, sealed in place. */
std::vector<Bytes>
seal_batch(Suite suite, Provider provider, const std::vector<std::size_t>& sizes) {
    SealingKey key(suite, provider, Key32(filled(9)), 1000);
    std::vector<Bytes> packets;
    std::vector<SealItem> items;
    for (const std::size_t size : sizes) {
        Bytes& packet = packets.emplace_back(pattern_bytes(16 + size + kTagSize, 2));
        std::uint8_t* text = packet.data() + 16;
        items.push_back(
            {text, static_cast<std::uint32_t>(size), text, packet.data() + 8, packet.data(), 16});
    }
    REQUIRE(key.seal_batch(items));
    return packets;
}

/** How many open; the third one was altered. */
std::size_t open_batch(Suite suite, Provider provider, std::vector<Bytes> packets) {
    OpeningKey key(suite, provider, Key32(filled(9)));
    packets[2].back() ^= 1;
    std::vector<OpenItem> items;
    for (std::size_t i = 0; i < packets.size(); ++i) {
        std::uint8_t* text = packets[i].data() + 16;
        items.push_back({text,
                         static_cast<std::uint32_t>(packets[i].size() - 16),
                         text,
                         1000 + i,
                         packets[i].data(),
                         16,
                         false});
    }
    key.open_batch(items);
    CHECK_FALSE(items[2].ok);
    CHECK(key.failures() == 1);
    return static_cast<std::size_t>(
        std::count_if(items.begin(), items.end(), [](const OpenItem& item) { return item.ok; }));
}

} // namespace

TEST_CASE("aead: the providers agree on every size") {
    for_each_suite([](Suite, const std::vector<Tried>& all) {
        const Bytes nonce = pattern_bytes(12, 9);
        for (std::size_t size = 0; size <= 2000; ++size) {
            CAPTURE(size);
            check_agreement(all, {size, size % 65, 0, 0, 0, size % 2 == 0}, nonce);
        }
        for (const std::size_t size :
             {2047u, 2048u, 4095u, 4096u, 8973u, 9000u, 16384u, 65535u, 65536u}) {
            CAPTURE(size);
            check_agreement(all, {size, 16, 0, 0, 0, false}, nonce);
        }
    });
}

TEST_CASE("aead: the providers agree at every alignment") {
    for_each_suite([](Suite, const std::vector<Tried>& all) {
        const Bytes nonce = pattern_bytes(12, 9);
        for (std::size_t offset = 0; offset < kRoom; ++offset) {
            CAPTURE(offset);
            for (const std::size_t size : {1u, 63u, 300u, 1420u}) {
                check_agreement(all, {size, 16, offset, 0, kRoom - 1 - offset, true}, nonce);
                check_agreement(all, {size, 16, offset, kRoom - 1 - offset, offset, false}, nonce);
            }
        }
    });
}

TEST_CASE("aead: the providers agree on random records") {
    std::mt19937 random(20261126); // NOLINT: the same in every run
    const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
    for_each_suite([&](Suite, const std::vector<Tried>& all) {
        for (int i = 0; i < 400; ++i) {
            const Shape shape{
                below(65537), below(200), below(kRoom), below(kRoom), below(kRoom), below(2) == 0};
            CAPTURE(i);
            check_agreement(all, shape, pattern_bytes(12, static_cast<std::uint8_t>(random())));
        }
    });
}

TEST_CASE("aead: a batch that one provider sealed is opened by every other one") {
    std::mt19937 random(4); // NOLINT: the same in every run
    std::vector<std::size_t> sizes{0, 1, 1420};
    while (sizes.size() < 46) {
        sizes.push_back(random() % 65537);
    }
    for_each_suite([&](Suite suite, const std::vector<Tried>& all) {
        for (const Tried& sealer : all) {
            const std::vector<Bytes> packets = seal_batch(suite, sealer.provider, sizes);
            CHECK(packets == seal_batch(suite, all.front().provider, sizes));
            for (const Tried& opener : all) {
                CAPTURE(name(sealer.provider));
                CAPTURE(name(opener.provider));
                CHECK(open_batch(suite, opener.provider, packets) == sizes.size() - 1);
            }
        }
    });
}

} // namespace weave::crypto
