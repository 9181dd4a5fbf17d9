// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What a user hears of cipher providers.
#include "daemon/options.hpp"
#include "daemon/sealing.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::daemon;
using crypto::Provider;
using crypto::Suite;

namespace {

const std::vector<crypto::Trial> kTrials{
    {Suite::aes256gcm, Provider::ipsec_mb, false, 0, 0},
    {Suite::aes256gcm, Provider::openssl, true, 502.6, 270.2},
    {Suite::aes256gcm, Provider::sodium, true, 722, 140},
    {Suite::chacha20poly1305, Provider::sodium, true, 1739, 430},
};

} // namespace

TEST_CASE("the status page tells who is used, who is not, and who is broken") {
    NodeStatus status;
    show_ciphers(crypto::Ciphers(kTrials), status);
    CHECK(status.cipher_provider == "openssl");
    REQUIRE(status.ciphers.size() == 4);
    CHECK(status.ciphers[0].state == "broken");
    CHECK(status.ciphers[0].provider == "ipsec-mb");
    CHECK(status.ciphers[1].state == "used");
    CHECK(status.ciphers[1].suite == "AES-256-GCM");
    CHECK(status.ciphers[1].large_ns == 503);
    CHECK(status.ciphers[1].small_ns == 270);
    CHECK(status.ciphers[2].state == "spare");
    CHECK(status.ciphers[3].state == "used");
    REQUIRE(status.warnings.size() == 1);
    CHECK(status.warnings[0].starts_with("ipsec-mb gives wrong results for AES-256-GCM"));
}

TEST_CASE("clear is offered where it was asked for, before all ciphers") {
    const crypto::Ciphers ciphers(kTrials);
    CHECK(suites_offered(ciphers, false) == std::vector{Suite::aes256gcm, Suite::chacha20poly1305});
    CHECK(suites_offered(ciphers, true) ==
          std::vector{Suite::clear, Suite::aes256gcm, Suite::chacha20poly1305});
    const crypto::Ciphers without_aes(std::vector<crypto::Trial>{kTrials[0], kTrials[3]});
    CHECK(suites_offered(without_aes, true) == std::vector{Suite::clear, Suite::chacha20poly1305});
}

TEST_CASE("a provider that can do nothing here is refused, with those that can") {
    const crypto::Ciphers ciphers(kTrials, Provider::ipsec_mb);
    CHECK_THROWS_WITH_AS(refuse_unusable(ciphers, "ipsec-mb"),
                         "--cipher-provider ipsec-mb cannot be used on this host: give auto or "
                         "openssl or libsodium",
                         ConfigError);
    CHECK_NOTHROW(refuse_unusable(ciphers, "openssl"));
    CHECK_NOTHROW(refuse_unusable(ciphers, "auto"));
    CHECK_THROWS_AS(
        refuse_unusable(crypto::Ciphers(std::vector<crypto::Trial>{kTrials[1]}), "auto"),
        ConfigError);
}
