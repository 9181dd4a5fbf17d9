// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Who is picked, and that no provider is that does one thing wrong.
#include "crypto/aead_context.hpp"
#include "crypto/ciphers.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

namespace weave::crypto {
namespace {

constexpr Suite kAes = Suite::aes256gcm;
constexpr Suite kChaCha = Suite::chacha20poly1305;

Trial trial(Provider provider, double large, double small, bool correct = true) {
    return {kAes, provider, correct, large, small};
}

/** Sealing changes a byte, or opening lies. */
enum class Fault { large, in_place, tag, opens_all, opens_nothing, wears_out };

class Faulty final : public AeadContext {
  public:
    Faulty(std::unique_ptr<AeadContext> good, Fault fault)
        : good_(std::move(good))
        , fault_(fault) {}

    void seal(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        good_->seal(nonce, ad, ad_len, in, len, out);
        if (fault_ == Fault::tag || (fault_ == Fault::large && len > 4096) ||
            (fault_ == Fault::in_place && in == out && len > 0) ||
            (fault_ == Fault::wears_out && ++sealed_ > 100)) {
            out[len] ^= 1;
        }
    }

    bool open(const std::uint8_t* nonce,
              const std::uint8_t* ad,
              std::size_t ad_len,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        const bool ok = good_->open(nonce, ad, ad_len, in, len, out);
        return fault_ == Fault::opens_all || (ok && fault_ != Fault::opens_nothing);
    }

  private:
    std::unique_ptr<AeadContext> good_;
    Fault fault_;
    unsigned sealed_ = 0;
};

/** libsodium twice, the second time under another name and with a fault. */
MakeContext with(Fault fault) {
    return [fault](Suite suite,
                   Provider provider,
                   std::span<const std::uint8_t, 32> key) -> std::unique_ptr<AeadContext> {
        auto good = make_aead_context(suite, Provider::sodium, key);
        if (provider == Provider::sodium || !good) {
            return good;
        }
        return provider == Provider::ipsec_mb ? std::make_unique<Faulty>(std::move(good), fault)
                                              : nullptr;
    };
}

} // namespace

TEST_CASE("ciphers: the quickest is used, and among equals always the same one") {
    const auto pick = [](std::vector<Trial> trials) { return Ciphers(std::move(trials)).of(kAes); };
    using enum Provider;
    CHECK(pick({trial(sodium, 700, 140), trial(openssl, 500, 270), trial(ipsec_mb, 110, 50)}) ==
          ipsec_mb);
    CHECK(pick({trial(ipsec_mb, 800, 140), trial(openssl, 500, 270), trial(sodium, 900, 140)}) ==
          openssl);
    CHECK(pick({trial(ipsec_mb, 700, 140), trial(openssl, 500, 270), trial(sodium, 300, 140)}) ==
          sodium);
    // Large and small ones count: together 840 and 770.
    CHECK(pick({trial(openssl, 700, 140), trial(sodium, 500, 260)}) == sodium);
    // Within a tenth of the quickest, in whatever order they were tried.
    CHECK(pick({trial(sodium, 500, 100), trial(openssl, 540, 110)}) == openssl);
    CHECK(pick({trial(openssl, 540, 110), trial(sodium, 500, 100), trial(ipsec_mb, 550, 109)}) ==
          ipsec_mb);
    CHECK(pick({trial(openssl, 561, 100), trial(sodium, 500, 100)}) == sodium);
}

TEST_CASE("ciphers: a wanted provider is used where it can be") {
    const std::vector<Trial> trials{trial(Provider::ipsec_mb, 110, 50),
                                    trial(Provider::sodium, 700, 140),
                                    {kChaCha, Provider::openssl, true, 900, 400}};
    const Ciphers ciphers(trials, Provider::sodium);
    CHECK(ciphers.of(kAes) == Provider::sodium);
    CHECK(ciphers.of(kChaCha) == Provider::openssl);
    CHECK(ciphers.uses(trials[1]));
    CHECK_FALSE(ciphers.uses(trials[0]));
    CHECK(ciphers.uses(trials[2]));
}

TEST_CASE("ciphers: one that is broken is never used, wanted or not") {
    const std::vector<Trial> trials{trial(Provider::ipsec_mb, 0, 0, false),
                                    trial(Provider::sodium, 700, 140)};
    CHECK(Ciphers(trials).of(kAes) == Provider::sodium);
    CHECK(Ciphers(trials, Provider::ipsec_mb).of(kAes) == Provider::sodium);
    const Ciphers none(std::vector<Trial>{trials[0]});
    CHECK_FALSE(none.has(kAes));
    CHECK(none.preferred() == kChaCha);
    CHECK_THROWS_AS(static_cast<void>(none.of(kAes)), std::invalid_argument);
}

TEST_CASE("ciphers: all providers of this machine are right, and measured") {
    const Ciphers ciphers = choose_ciphers();
    for (const Trial& one : ciphers.trials()) {
        CAPTURE(name(one.suite));
        CAPTURE(name(one.provider));
        CHECK(available(one.provider, one.suite));
        CHECK(one.correct);
        CHECK(one.small_ns > 0);
        CHECK(one.large_ns > one.small_ns);
    }
    for (const Suite suite : kSuites) {
        CHECK(ciphers.has(suite) == available(suite));
    }
    CHECK(ciphers.has(kChaCha));
    CHECK(ciphers.preferred() == available_suites().front());
    CHECK(provider_named(name(ciphers.of(kChaCha))) == ciphers.of(kChaCha));
    CHECK_FALSE(provider_named("auto"));
}

TEST_CASE("ciphers: whatever a provider does wrong at the start, it is not used") {
    for (const Fault fault : {Fault::large,
                              Fault::in_place,
                              Fault::tag,
                              Fault::opens_all,
                              Fault::opens_nothing,
                              Fault::wears_out}) {
        CAPTURE(static_cast<int>(fault));
        const Ciphers ciphers = choose_ciphers(Provider::ipsec_mb, with(fault));
        std::size_t broken = 0;
        for (const Trial& one : ciphers.trials()) {
            CHECK(one.correct == (one.provider == Provider::sodium));
            CHECK((one.large_ns > 0) == one.correct);
            broken += one.correct ? 0 : 1;
        }
        CHECK(broken == ciphers.trials().size() / 2);
        CHECK(ciphers.of(kChaCha) == Provider::sodium);
    }
}

TEST_CASE("ciphers: a reference that fails its own vector spoils nobody else") {
    const MakeContext swapped =
        [](Suite suite, Provider provider, std::span<const std::uint8_t, 32> key) {
            return with(Fault::tag)(
                suite, provider == Provider::sodium ? Provider::ipsec_mb : Provider::sodium, key);
        };
    const Ciphers ciphers = choose_ciphers(Provider::sodium, swapped);
    CHECK(ciphers.of(kChaCha) != Provider::sodium);
}

} // namespace weave::crypto
