// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// A session that another process goes on with: no counter is used twice, and nothing opens twice.
#include "crypto/init.hpp"
#include "dataplane/data_session.hpp"
#include "wire/datagram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

using namespace weave;
using namespace weave::dataplane;

namespace {

constexpr crypto::Provider kReference = crypto::Provider::sodium;

crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

crypto::TransportKeys two_lanes() {
    crypto::TransportKeys keys;
    keys.local_lanes = keys.remote_lanes = 2;
    keys.local_index = 0x40;
    keys.remote_index = 0x80;
    for (std::uint8_t lane = 0; lane < 2; ++lane) {
        keys.send.push_back(key_of(static_cast<std::uint8_t>(1 + lane)));
        keys.receive.push_back(key_of(static_cast<std::uint8_t>(3 + lane)));
    }
    return keys;
}

/** What the peer of two_lanes() has. */
crypto::TransportKeys other_side(crypto::Suite suite) {
    crypto::TransportKeys keys = two_lanes();
    keys.suite = suite;
    std::swap(keys.send, keys.receive);
    std::swap(keys.local_index, keys.remote_index);
    return keys;
}

constexpr std::array<std::uint64_t, 4> kOpened{0, 1, 5, 70};

/** The counter that went out; nullopt: nothing was sealed. */
std::optional<std::uint64_t> seal(DataSession& session, unsigned lane) {
    std::array<std::uint8_t, 64> out{};
    std::array<std::uint8_t, 8> counter{};
    crypto::SealItem item;
    item.in = out.data();
    item.len = 32;
    item.out = out.data();
    item.counter_field = counter.data();
    if (session.seal(lane, {&item, 1}, Clock::now())) {
        return std::nullopt;
    }
    return wire::load_u64(counter.data());
}

/** One side seals a record of 100 bytes, which the other one opens; its counter. nullopt: it does
 * not open, or to something else. */
std::optional<std::uint64_t> carry(DataSession& from, DataSession& to) {
    std::array<std::uint8_t, 100 + crypto::kTagSize> bytes{};
    bytes.fill(0x33);
    std::array<std::uint8_t, 8> counter{};
    crypto::SealItem item;
    item.in = item.out = bytes.data();
    item.len = 100;
    item.counter_field = counter.data();
    if (from.seal(1, {&item, 1}, Clock::now())) {
        return std::nullopt;
    }
    crypto::OpenItem opened;
    opened.in = opened.out = bytes.data();
    opened.len = bytes.size();
    opened.counter = wire::load_u64(counter.data());
    to.receiver(1)->key.open_batch({&opened, 1});
    const bool same = std::all_of(
        bytes.begin(), bytes.begin() + 100, [](std::uint8_t byte) { return byte == 0x33; });
    return opened.ok && same ? std::optional(opened.counter) : std::nullopt;
}

void change_provider(crypto::Suite suite, crypto::Provider first, crypto::Provider second) {
    crypto::TransportKeys keys = two_lanes();
    keys.suite = suite;
    DataSession peer(0, other_side(suite), kReference);
    DataSession before(0, std::move(keys), first);
    CHECK(carry(before, peer) == 0U);
    CHECK(carry(peer, before) == 0U);
    DataSession after(0, before.keys().clone(), second);
    REQUIRE(after.take_over(before.hand_over()));
    CHECK(carry(after, peer) == 1U);
    CHECK(carry(peer, after) == 1U);
    CHECK_FALSE(carry(before, peer));
}

} // namespace

TEST_CASE("the process that goes on may have another provider: the peer notices nothing") {
    crypto::init();
    for (const crypto::Suite suite : crypto::kSuites) {
        for (const crypto::Provider first : crypto::kProviders) {
            for (const crypto::Provider second : crypto::kProviders) {
                if (crypto::available(kReference, suite) && crypto::available(first, suite) &&
                    crypto::available(second, suite)) {
                    CAPTURE(crypto::name(suite));
                    CAPTURE(crypto::name(first));
                    CAPTURE(crypto::name(second));
                    change_provider(suite, first, second);
                }
            }
        }
    }
}

TEST_CASE("counters go on where they stopped, and the process before seals nothing more") {
    crypto::init();
    DataSession before(0, two_lanes(), kReference);
    for (int i = 0; i < 5; ++i) {
        CHECK(seal(before, 1) == static_cast<std::uint64_t>(i));
    }
    before.confirm();
    DataSession after(0, before.keys().clone(), kReference);
    after.set_lifetime(before.lifetime());
    const DataSession::Progress progress = before.hand_over();
    REQUIRE(after.take_over(progress));
    CHECK_FALSE(seal(before, 0));
    CHECK_FALSE(seal(before, 1));
    CHECK_FALSE(before.may_open(Clock::now()));
    CHECK(seal(after, 0) == 0U);
    CHECK(seal(after, 1) == 5U);
    CHECK(after.confirmed());
    CHECK(after.most_sealed() == 6);
}

TEST_CASE("however often a session changes hands, no counter of a lane is used twice") {
    crypto::init();
    std::mt19937 random(20261126); // NOLINT: the same in every run
    const auto below = [&](unsigned end) { return static_cast<unsigned>(random() % end); };
    std::array<std::set<std::uint64_t>, 2> used;
    auto session = std::make_unique<DataSession>(0, two_lanes(), kReference);
    std::vector<std::unique_ptr<DataSession>> gone;
    for (int turn = 0; turn < 200; ++turn) {
        for (unsigned count = below(20); count > 0; --count) {
            const unsigned lane = below(2);
            const auto counter = seal(*session, lane);
            REQUIRE(counter);
            CHECK(used[lane].insert(*counter).second);
        }
        for (const auto& old : gone) {
            CHECK_FALSE(seal(*old, below(2)));
        }
        auto next = std::make_unique<DataSession>(0, session->keys().clone(), kReference);
        REQUIRE(next->take_over(session->hand_over()));
        gone.push_back(std::exchange(session, std::move(next)));
        if (gone.size() > 4) {
            gone.erase(gone.begin());
        }
    }
}

TEST_CASE("what was opened before is a replay after") {
    crypto::init();
    DataSession before(0, two_lanes(), kReference);
    for (const std::uint64_t counter : kOpened) {
        REQUIRE(before.receiver(1)->window.commit(counter));
    }
    DataSession after(0, before.keys().clone(), kReference);
    REQUIRE(after.take_over(before.hand_over()));
    auto& window = after.receiver(1)->window;
    for (const std::uint64_t counter : kOpened) {
        CHECK_FALSE(window.check(counter));
    }
    CHECK(window.check(2));
    CHECK(window.check(71));
    CHECK(after.receiver(0)->window.check(0));
}

TEST_CASE("progress that does not fit, or goes back, is not taken") {
    crypto::init();
    DataSession before(0, two_lanes(), kReference);
    DataSession after(0, two_lanes(), kReference);
    DataSession::Progress progress = before.hand_over();
    REQUIRE(seal(after, 0) == 0U);
    CHECK_FALSE(after.take_over(progress));
    progress.sealed.push_back(0);
    CHECK_FALSE(after.take_over(progress));
    progress.sealed = {1, 0};
    progress.seen.pop_back();
    CHECK_FALSE(after.take_over(progress));
    CHECK(seal(after, 0) == 1U);
}
