// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Sessions and paths that another process goes on with.
#include "path_world.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

namespace {

/** What a takeover does to node a: another machine goes on with its sessions and keys. */
void hand_on(Pair& pair, const Options& options = {}) {
    const auto sessions = pair.a.manager->sessions();
    const auto counter = pair.a.manager->handshake_counter();
    auto keys = std::move(pair.a.keys);
    const auto sending = pair.a.sending;
    pair.a.restart(options);
    pair.a.keys = std::move(keys);
    pair.a.sending = sending;
    pair.a.manager->take_over(sessions, counter);
}

} // namespace

TEST_CASE("a session goes on without a handshake, and is renewed when it is due") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    REQUIRE(pair.agree());
    hand_on(pair);
    pair.a.open(pair.b, pair.now);
    pair.pass(60s);
    CHECK(pair.agree());
    CHECK(pair.sent.size() == 2);
    CHECK(pair.a.usable(pair.b));
    pair.pass(90s);
    CHECK(pair.agree());
    CHECK(pair.a.installs == 2);
    CHECK(pair.a.downs.empty());
    CHECK(pair.b.downs.empty());
}

TEST_CASE("both keep the age of keys: nobody uses them longer") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    hand_on(pair);
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.pass(181s);
    CHECK_FALSE(pair.a.usable(pair.b));
    CHECK_FALSE(pair.b.usable(pair.a));
}

TEST_CASE("initiations after a takeover are no replays, those from before it still are") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const Bytes first = pair.sent.front();
    hand_on(pair);
    pair.a.manager->suspect(pair.b.identity.id(), pair.now);
    pair.pass(4s);
    pair.a.manager->suspect(pair.b.identity.id(), pair.now);
    pair.pass(1s);
    REQUIRE(pair.agree());
    CHECK(pair.a.installs == 2);
    const int answers = pair.b.installs;
    pair.deliver(pair.b, first, pair.a.endpoint);
    pair.pump();
    CHECK(pair.b.installs == answers);
}

TEST_CASE("whom the other side initiated to is as good") {
    Pair pair;
    pair.b.open(pair.a, pair.now);
    pair.pump();
    REQUIRE(pair.agree());
    const Bytes theirs = pair.sent.front();
    hand_on(pair);
    pair.deliver(pair.a, theirs, pair.b.endpoint);
    pair.pump();
    CHECK(pair.agree());
    CHECK(pair.a.installs == 1);
    pair.pass(150s);
    CHECK(pair.agree());
}

TEST_CASE(
    "after a takeover that failed every session is made anew, above what the other may have said") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const std::uint64_t before = pair.a.manager->handshake_counter();
    pair.a.manager->renew(pair.now);
    CHECK(pair.a.manager->handshake_counter() > before + 1000);
    pair.pass(1s);
    CHECK(pair.agree());
    CHECK(pair.a.installs == 2);
}

TEST_CASE("the way in use stays in use, with its size, and is watched as before") {
    World before;
    before.roads[kNear] = {true, 2ms, 1452};
    before.monitor.set_candidates({kNear}, before.now);
    before.pass(30s);
    const PathState state = before.monitor.state();
    REQUIRE(state.use.kind == Use::Kind::direct);
    CHECK(state.mtu.settled);
    CHECK(state.mtu.size <= 1452);
    CHECK(state.mtu.size >= 1440);

    World after;
    after.now = before.now;
    after.roads = before.roads;
    after.monitor.take_over(state, after.now);
    CHECK(after.monitor.state() == state);
    after.perform();
    CHECK(after.uses == 0);
    CHECK(after.mtus.empty());
    after.monitor.set_candidates({kNear}, after.now);
    after.traffic = true;
    after.pass(5s);
    CHECK(after.uses == 0);
    CHECK(after.mtus.empty());
    CHECK(after.monitor.in_use() == state.use);
    after.roads[kNear].open = false;
    after.pass(2s);
    CHECK(after.downs.size() == 1);
}

TEST_CASE("a relay stays in use, too") {
    World before;
    before.relay = {true, 5ms, 1400};
    before.monitor.set_relay(before.relay_node, before.now);
    before.pass(30s);
    const PathState state = before.monitor.state();
    REQUIRE(state.use.kind == Use::Kind::relay);
    World after;
    after.now = before.now;
    after.relay = before.relay;
    after.monitor.take_over(state, after.now);
    after.monitor.set_relay(after.relay_node, after.now);
    after.pass(5s);
    CHECK(after.uses == 0);
    CHECK(after.monitor.in_use() == state.use);
}

TEST_CASE("without a way there is nothing to go on with") {
    World before;
    World after;
    after.monitor.take_over(before.monitor.state(), after.now);
    CHECK_FALSE(after.monitor.up());
    after.roads[kNear] = {true, 2ms, 1500};
    after.monitor.set_candidates({kNear}, after.now);
    after.pass(1s);
    CHECK(after.monitor.up());
}
