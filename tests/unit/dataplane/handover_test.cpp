// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// A session that another process goes on with: no counter is used twice, and nothing opens twice.
#include "crypto/init.hpp"
#include "dataplane/data_session.hpp"
#include "wire/datagram.hpp"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <set>

using namespace weave;
using namespace weave::dataplane;

namespace {

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

} // namespace

TEST_CASE("counters go on where they stopped, and the process before seals nothing more") {
    crypto::init();
    DataSession before(0, two_lanes());
    for (int i = 0; i < 5; ++i) {
        CHECK(seal(before, 1) == static_cast<std::uint64_t>(i));
    }
    before.confirm();
    DataSession after(0, before.keys().clone());
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
    auto session = std::make_unique<DataSession>(0, two_lanes());
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
        auto next = std::make_unique<DataSession>(0, session->keys().clone());
        REQUIRE(next->take_over(session->hand_over()));
        gone.push_back(std::exchange(session, std::move(next)));
        if (gone.size() > 4) {
            gone.erase(gone.begin());
        }
    }
}

TEST_CASE("what was opened before is a replay after") {
    crypto::init();
    DataSession before(0, two_lanes());
    for (const std::uint64_t counter : kOpened) {
        REQUIRE(before.receiver(1)->window.commit(counter));
    }
    DataSession after(0, before.keys().clone());
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
    DataSession before(0, two_lanes());
    DataSession after(0, two_lanes());
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
