// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What ends keys and attempts before their time, and what does not: replays, closes, forgeries.
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

TEST_CASE("an initiation of an epoch before the one the peer signed for is a replay") {
    for (const bool known_before : {false, true}) {
        Pair pair;
        pair.passes = [](const Node&, const Bytes&) { return false; };
        pair.a.open(pair.b, pair.now);
        pair.pump();
        const Bytes init = pair.sent.front();
        if (!known_before) { // as after a restart: nothing is remembered of the peer
            pair.b.manager->remove_peer(pair.a.identity.id());
        }
        pair.b.manager->set_peer(pair.a.identity.id(), pair.a.identity.static_public(), 2);
        pair.deliver(pair.b, init, pair.a.endpoint);
        pair.pump();
        CHECK(pair.b.installs == 0);
        CHECK(pair.b.counted("session.replayed_init") == 1);
    }
}

TEST_CASE("the signed epoch itself is let in") {
    Options second;
    second.epoch = 2;
    Pair pair(second);
    pair.b.manager->set_peer(pair.a.identity.id(), pair.a.identity.static_public(), 2);
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.agree());
}

TEST_CASE("the side that gave way to a replay tries again within two seconds") {
    Pair pair;
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.low->open(*pair.high, pair.now);
    pair.pump();
    const Bytes recorded = pair.sent.back();
    pair.low->manager->close(pair.high->identity.id());
    pair.high->open(*pair.low, pair.now);
    pair.pump();
    pair.deliver(*pair.high, recorded, pair.low->endpoint);
    pair.pump();
    REQUIRE(pair.high->counted("session.tie_lost") == 1);
    pair.passes = nullptr;
    pair.pass(1300ms);
    CHECK(pair.agree());
}

TEST_CASE("a close counts under the current keys only") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const std::uint32_t first = *pair.b.sending;
    pair.pass(130s);
    REQUIRE(pair.agree());
    const std::uint32_t second = *pair.b.sending;
    REQUIRE(first != second);
    pair.b.manager->on_peer_closed(first);
    CHECK(pair.b.usable(pair.a));
    pair.b.manager->on_peer_closed(second | 1);
    pair.pump();
    CHECK_FALSE(pair.b.usable(pair.a));
    REQUIRE(pair.b.downs.size() == 1);
    CHECK(pair.b.downs[0].reason == DownReason::closed);
}

TEST_CASE("too many forged records under one key bring new keys") {
    Options few;
    few.settings.max_failed_opens = 1000;
    Pair pair(few);
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const std::uint32_t index = *pair.a.sending;
    pair.a.manager->on_failed_opens(index, 999, pair.now);
    pair.pump();
    CHECK(pair.a.sending == index);
    pair.a.manager->on_failed_opens(index, 1000, pair.now);
    pair.pump();
    CHECK_FALSE(pair.a.keys.contains(index));
    REQUIRE(pair.a.downs.size() == 1);
    CHECK(pair.a.downs[0].reason == DownReason::forgeries);
    CHECK(pair.agree());
    CHECK(pair.a.sending != index);
}

TEST_CASE("keys come with the times from when on they are not used") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    bool seen = false;
    for (const Action& action : pair.a.manager->take_actions()) {
        if (const auto* send = std::get_if<SendTo>(&action)) {
            pair.deliver(pair.b, send->datagram, pair.a.endpoint);
        }
    }
    for (const Action& action : pair.b.manager->take_actions()) {
        if (const auto* install = std::get_if<Install>(&action)) {
            seen = true;
            CHECK(install->seal_until == pair.now + 180s);
            CHECK(install->open_until == pair.now + 190s);
        }
    }
    CHECK(seen);
}
