// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.hpp"
#include "session/manager.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

TEST_CASE("one round trip makes keys that fit") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.agree());
    CHECK(pair.a.installs == 1);
    CHECK(pair.b.installs == 1);
    CHECK(pair.b.promotes == 1);
    CHECK(pair.a.usable(pair.b));
    CHECK(pair.b.usable(pair.a));
    CHECK(pair.sent.size() == 2);
    CHECK((*pair.a.sending & wire::kLaneMask) == 0);
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.sent.size() == 2);
}

TEST_CASE("each side derives keys for its own number of lanes") {
    Options left;
    left.settings.lanes = 4;
    Options right;
    right.settings.lanes = 2;
    Pair pair(left, right);
    pair.a.open(pair.b, pair.now);
    pair.pump();
    REQUIRE(pair.agree());
    const auto& keys = *pair.a.keys.at(*pair.a.sending);
    CHECK(keys.send.size() == 4);
    CHECK(keys.receive.size() == 2);
    CHECK_FALSE(std::ranges::equal(keys.send[0].view(), keys.send[1].view()));
}

TEST_CASE("the responder does not send before a record under the new keys opened") {
    Pair pair;
    pair.records_pass = false;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.a.usable(pair.b));
    CHECK_FALSE(pair.b.usable(pair.a));
    CHECK(pair.b.promotes == 0);
    pair.b.manager->on_authenticated(pair.b.keys.begin()->first | 3, pair.now);
    pair.pump();
    CHECK(pair.b.usable(pair.a));
    CHECK(pair.b.promotes == 1);
}

TEST_CASE("opening towards someone who is no peer does nothing") {
    Pair pair;
    pair.a.manager->open(NodeId{}, pair.now);
    pair.pump();
    CHECK(pair.sent.empty());
    CHECK(pair.a.counted("session.open_unknown_peer") == 1);
}

TEST_CASE("lost initiations are sent again, later and later, and given up in the end") {
    Pair pair;
    std::vector<TimePoint> times;
    pair.passes = [&](const Node&, const Bytes&) {
        times.push_back(pair.now);
        return false;
    };
    pair.a.open(pair.b, pair.now);
    pair.pass(89s);
    REQUIRE(times.size() > 15);
    CHECK(times.size() < 35);
    CHECK(times[1] - times[0] < 700ms);
    for (std::size_t i = 5; i + 1 < times.size(); ++i) {
        CHECK(times[i + 1] - times[i] >= 3700ms);
        CHECK(times[i + 1] - times[i] <= 6400ms);
    }
    CHECK(pair.a.downs.empty());
    pair.pass(2s);
    REQUIRE(pair.a.downs.size() == 1);
    CHECK(pair.a.downs[0].reason == DownReason::gave_up);
    CHECK(pair.a.manager->next_deadline() == TimePoint::max());
    const std::size_t before = times.size();
    pair.pass(20s);
    CHECK(times.size() == before);
    pair.passes = nullptr;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.agree());
}

TEST_CASE("open() during the attempts keeps them going") {
    Pair pair;
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.a.open(pair.b, pair.now);
    pair.pass(60s);
    pair.a.open(pair.b, pair.now);
    pair.pass(60s);
    CHECK(pair.a.downs.empty());
    pair.pass(31s);
    CHECK(pair.a.downs.size() == 1);
}

TEST_CASE("a lost response is made good by the next attempt") {
    Pair pair;
    int lost = 0;
    pair.passes = [&](const Node&, const Bytes& datagram) {
        return datagram[0] != 2 || ++lost > 2;
    };
    pair.a.open(pair.b, pair.now);
    pair.pass(5s);
    CHECK(pair.agree());
    CHECK(pair.b.keys.size() == 1);
}

TEST_CASE("sessions are renewed before they expire, without a gap") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    for (int i = 0; i < 600; ++i) {
        pair.pass(1s, 500ms);
        CHECK(pair.agree());
    }
    CHECK(pair.a.installs >= 5);
    CHECK(pair.a.installs <= 6);
    CHECK(pair.a.downs.empty());
    CHECK(pair.b.downs.empty());
    CHECK(pair.a.keys.size() <= 2);
    CHECK(pair.b.keys.size() <= 2);
}

TEST_CASE("ticks at nothing but deadlines keep sessions alive, and are few") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    int wakes = 0;
    for (int i = 0; i < 60; ++i) {
        wakes += pair.sleep(10s);
        CHECK(pair.agree());
        CHECK(pair.a.keys.size() <= 2);
        CHECK(pair.b.keys.size() <= 2);
    }
    CHECK(pair.a.installs >= 5);
    CHECK(wakes <= 60 + 5 * 3); // each renewal, and the ends of the superseded keys
    pair.passes = [](const Node&, const Bytes&) { return false; };
    wakes = pair.sleep(300s);
    CHECK(pair.a.keys.empty());
    CHECK(pair.b.keys.empty());
    CHECK(wakes <= 100); // a retry every five seconds
    CHECK(pair.a.downs.back().reason == DownReason::gave_up);
    CHECK(pair.a.manager->next_deadline() == TimePoint::max());
}

TEST_CASE("whatever begins a handshake has it tried again") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.pass(5s);
    pair.passes = [](const Node&, const Bytes&) { return false; };
    const std::uint32_t index = *pair.a.sending;
    SUBCASE("doubt") {
        pair.a.manager->suspect(pair.b.identity.id(), pair.now);
    }
    SUBCASE("a key that is used up") {
        pair.a.manager->on_key_usage(index, std::uint64_t{1} << 34, pair.now);
    }
    SUBCASE("forgeries") {
        pair.a.manager->on_failed_opens(index, std::uint64_t{1} << 30, pair.now);
    }
    pair.sleep(10s);
    CHECK(pair.a.counted("session.init_sent") >= 4);
}

TEST_CASE("nothing is due at a peer whose sessions were ended") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    SUBCASE("by close()") {
        pair.a.manager->close(pair.b.identity.id());
    }
    SUBCASE("by remove_peer()") {
        pair.a.manager->remove_peer(pair.b.identity.id());
    }
    CHECK(pair.a.manager->next_deadline() == TimePoint::max());
    pair.a.manager->tick(pair.now + 1h);
    pair.pump();
    CHECK(pair.a.downs.size() == 1);
}

TEST_CASE("an answered handshake that nobody goes on with is forgotten") {
    Pair pair;
    pair.records_pass = false;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    REQUIRE(pair.b.keys.size() == 1);
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.sleep(179s);
    CHECK(pair.b.keys.size() == 1);
    pair.sleep(2s);
    CHECK(pair.b.keys.empty());
    CHECK(pair.b.manager->next_deadline() == TimePoint::max());
}

TEST_CASE("superseded keys live on for a while and are then retired") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.a.manager->on_key_usage(*pair.a.sending, std::uint64_t{1} << 34, pair.now);
    pair.pump();
    CHECK(pair.agree());
    CHECK(pair.a.installs == 2);
    CHECK(pair.a.keys.size() == 2);
    CHECK(pair.b.keys.size() == 2);
    pair.pass(9s);
    CHECK(pair.a.keys.size() == 2);
    pair.pass(2s);
    CHECK(pair.a.keys.size() == 1);
    CHECK(pair.b.keys.size() == 1);
}

TEST_CASE("few records do not make new keys") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.a.manager->on_key_usage(*pair.a.sending, (std::uint64_t{1} << 34) - 1, pair.now);
    pair.pump();
    CHECK(pair.a.installs == 1);
}

TEST_CASE("old keys keep working while nobody answers, until they are too old") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.pass(179s, 200ms);
    CHECK(pair.agree());
    pair.pass(2s);
    CHECK_FALSE(pair.a.usable(pair.b));
    REQUIRE(pair.a.downs.size() == 1);
    CHECK(pair.a.downs[0].reason == DownReason::expired);
    CHECK(pair.a.keys.empty());
    CHECK(pair.b.keys.empty());
    pair.pass(60s);
    CHECK(pair.a.downs.back().reason == DownReason::gave_up);
}

TEST_CASE("the old keys stay until the new ones are proved to be on both sides") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.records_pass = false;
    pair.a.manager->on_key_usage(*pair.a.sending, std::uint64_t{1} << 34, pair.now);
    pair.pump();
    pair.pass(30s);
    // b still sends under the first keys, so a must still have them.
    CHECK(pair.a.keys.contains(pair.b.keys.at(*pair.b.sending)->remote_index));
}

TEST_CASE("both initiate at once: one session remains, the lower key's") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.b.open(pair.a, pair.now);
    pair.pass(2s);
    CHECK(pair.agree());
    CHECK(pair.low->counted("session.established") == 1);
    CHECK(pair.high->counted("session.established") == 0);
    CHECK(pair.high->promotes == 1);
}

TEST_CASE("the side that gave way does not try again once it has a session") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.b.open(pair.a, pair.now);
    pair.pass(60s);
    CHECK(pair.agree());
    CHECK(pair.a.installs == 1);
    CHECK(pair.b.installs == 1);
    CHECK(pair.a.downs.empty());
    CHECK(pair.b.downs.empty());
}

TEST_CASE("the lower key's initiation is not insisted on when it cannot get through") {
    Pair pair;
    // Whatever the lower side starts is lost; its answers pass.
    pair.passes = [&](const Node& from, const Bytes& datagram) {
        return &from != pair.low || datagram[0] != 1;
    };
    pair.low->open(*pair.high, pair.now);
    pair.high->open(*pair.low, pair.now);
    pair.pass(20s);
    CHECK(pair.agree());
}

TEST_CASE("a replayed initiation is dropped, an older one too") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const Bytes first = pair.sent[0];
    pair.a.manager->on_key_usage(*pair.a.sending, std::uint64_t{1} << 34, pair.now);
    pair.pump();
    const int installs = pair.b.installs;
    pair.deliver(pair.b, first, pair.a.endpoint);
    pair.pump();
    CHECK(pair.b.installs == installs);
    CHECK(pair.b.counted("session.replayed_init") == 1);
}

TEST_CASE("copies of an initiation get the same response, each where it came from, until the keys "
          "are proved") {
    Pair pair;
    pair.records_pass = false;
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const Bytes init = pair.sent.at(0);
    std::vector<SendTo> responses;
    for (std::uint16_t port = 1; port < 30; ++port) {
        Origin from;
        from.endpoint = {IpAddress::v4({10, 0, 3, 1}), port};
        pair.b.manager->on_datagram(init, from, pair.now);
        for (const Action& action : pair.b.manager->take_actions()) {
            if (const auto* send = std::get_if<SendTo>(&action)) {
                CHECK(send->reply_to == from);
                responses.push_back(*send);
            }
        }
    }
    REQUIRE(responses.size() == 9);
    CHECK(responses.front().datagram == responses.back().datagram);
    pair.deliver(pair.a, responses.back().datagram, pair.b.endpoint);
    pair.passes = nullptr;
    pair.pump();
    CHECK(pair.a.usable(pair.b));
}

TEST_CASE("a restarted peer is let in: its epoch is greater although its counter starts again") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    Options again;
    again.epoch = 2;
    pair.a.restart(again);
    pair.a.knows(pair.b);
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.agree());
    CHECK(pair.b.counted("session.replayed_init") == 0);
}

TEST_CASE("a suspected session is renewed, and stays in use meanwhile") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.a.manager->suspect(pair.b.identity.id(), pair.now + 1s);
    pair.pump();
    CHECK(pair.a.installs == 1);
    Options again;
    again.epoch = 2;
    pair.b.restart(again);
    pair.b.knows(pair.a);
    pair.now += 5s;
    pair.a.manager->suspect(pair.b.identity.id(), pair.now);
    CHECK(pair.a.usable(pair.b));
    pair.pump();
    CHECK(pair.agree());
}

TEST_CASE("the initiator renews after 120 seconds, the other side only when it does not") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const TimePoint start = pair.now;
    SUBCASE("the initiator") {
        while (pair.a.installs == 1) {
            pair.pass(50ms);
        }
        CHECK(pair.now - start >= 120s);
        CHECK(pair.now - start <= 125s);
        CHECK(pair.b.counted("session.init_sent") == 0);
    }
    SUBCASE("the responder") {
        pair.passes = [&](const Node& from, const Bytes& datagram) {
            return &from != &pair.a || datagram[0] != 1;
        };
        while (pair.b.counted("session.init_sent") == 0) {
            pair.pass(50ms);
        }
        CHECK(pair.now - start >= 130s);
        CHECK(pair.now - start <= 137s);
        pair.pass(20s);
        CHECK(pair.a.installs == 2);
    }
    CHECK(pair.agree());
    CHECK(pair.a.downs.empty());
}

TEST_CASE("new keys are due long before sealing stops for good") {
    CHECK(Settings{}.rekey_records == std::uint64_t{1} << 34);
    CHECK(Settings{}.rekey_records * 4 == crypto::kHardRecordLimit);
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const auto& keys = *pair.a.keys.at(*pair.a.sending);
    crypto::SealingKey last(
        keys.suite, crypto::Provider::sodium, keys.send[0], crypto::kHardRecordLimit - 1);
    std::array<std::uint8_t, 16> header{};
    std::array<std::uint8_t, 64> out{};
    crypto::SealItem item{
        out.data(), 32, out.data(), header.data() + 8, header.data(), header.size()};
    CHECK(last.seal_batch({&item, 1}));
    CHECK_FALSE(last.seal_batch({&item, 1}));
}

TEST_CASE("two nodes do not retry in step") {
    std::vector<Duration> gaps;
    for (std::uint8_t seed = 1; seed <= 20; ++seed) {
        Options options;
        options.epoch = seed; // seeds the randomness as well
        Pair pair(options);
        std::vector<TimePoint> times;
        pair.passes = [&](const Node&, const Bytes&) {
            times.push_back(pair.now);
            return false;
        };
        pair.a.open(pair.b, pair.now);
        pair.pass(700ms, 1ms);
        REQUIRE(times.size() >= 2);
        gaps.push_back(times[1] - times[0]);
    }
    const auto [least, most] = std::minmax_element(gaps.begin(), gaps.end());
    CHECK(*least >= 375ms);
    CHECK(*most <= 626ms);
    CHECK(*most - *least > 100ms);
}

TEST_CASE("a removed peer has no session and gets none") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.b.manager->remove_peer(pair.a.identity.id());
    pair.pump();
    CHECK(pair.b.keys.empty());
    REQUIRE(pair.b.downs.size() == 1);
    CHECK(pair.b.downs[0].reason == DownReason::peer_removed);
    pair.a.manager->close(pair.b.identity.id());
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK_FALSE(pair.a.usable(pair.b));
    CHECK(pair.b.counted("session.unknown_peer") == 1);
    pair.pass(91s);
    REQUIRE(!pair.a.downs.empty());
    CHECK(pair.a.downs.back().hint == wire::RefusalCode::unknown_peer);
}

TEST_CASE("a peer with another key starts from nothing") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    crypto::PublicKey other{};
    other[0] = 9;
    pair.a.manager->set_peer(pair.b.identity.id(), other);
    pair.pump();
    CHECK(pair.a.keys.empty());
    CHECK_FALSE(pair.a.usable(pair.b));
}

TEST_CASE("two nodes cannot have one key, and nobody has ours") {
    Pair pair;
    NodeId third;
    third.octets[0] = 3;
    pair.a.manager->set_peer(third, pair.b.identity.static_public());
    pair.a.manager->set_peer(third, pair.a.identity.static_public());
    pair.pump();
    CHECK(pair.a.manager->peer_count() == 1);
    CHECK(pair.a.counted("session.peer_key_taken") == 2);
}

TEST_CASE("the number of peers is bounded") {
    Options options;
    options.settings.max_peers = 1;
    Pair pair(options);
    NodeId third;
    third.octets[0] = 3;
    pair.a.manager->set_peer(third, crypto::PublicKey{3});
    pair.pump();
    CHECK(pair.a.manager->peer_count() == 1);
    CHECK(pair.a.counted("session.too_many_peers") == 1);
}
