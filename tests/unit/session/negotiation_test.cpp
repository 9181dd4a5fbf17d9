// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What two nodes must agree on before a session, and what protects them from those who only want
// work done.
#include "session/flood_guard.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

namespace {

constexpr crypto::Suite kAes = crypto::Suite::aes256gcm;
constexpr crypto::Suite kChaCha = crypto::Suite::chacha20poly1305;

Origin from_port(std::uint16_t port, std::uint8_t host = 9) {
    Origin origin;
    origin.endpoint = {IpAddress::v4({10, 0, 0, host}), port};
    return origin;
}

/** Actions of a node as one datagram type's count. */
std::size_t replies(Node& node, std::uint8_t type) {
    std::size_t out = 0;
    for (const Action& action : node.manager->take_actions()) {
        if (const auto* reply = std::get_if<Reply>(&action); reply && reply->datagram[0] == type) {
            ++out;
        }
        if (const auto* send = std::get_if<SendTo>(&action); send && send->datagram[0] == type) {
            ++out;
        }
    }
    return out;
}

Bytes first_init(Pair& pair) {
    pair.a.manager->close(pair.b.identity.id());
    pair.a.open(pair.b, pair.now);
    Bytes out;
    for (const Action& action : pair.a.manager->take_actions()) {
        if (const auto* send = std::get_if<SendTo>(&action)) {
            out = send->datagram;
        }
    }
    return out;
}

} // namespace

TEST_CASE("each side hears what the other can take, whoever began") {
    Options left;
    left.settings.features = 0x80000001;
    Options right;
    right.settings.features = 6;
    Pair pair(left, right);
    for (Node* begins : {&pair.a, &pair.b}) {
        pair.a.peer_takes = pair.b.peer_takes = 0;
        begins->manager->close(pair.other(*begins).identity.id());
        begins->open(pair.other(*begins), pair.now);
        pair.pump();
        CHECK(pair.a.peer_takes == 6);
        CHECK(pair.b.peer_takes == 0x80000001);
    }
}

TEST_CASE("AES-GCM is used where both can do it") {
    if (!crypto::available(kAes)) {
        return;
    }
    Options options;
    options.suites = {kAes, kChaCha};
    Pair pair(options, options);
    pair.a.open(pair.b, pair.now);
    pair.pump();
    REQUIRE(pair.agree());
    CHECK(pair.a.keys.at(*pair.a.sending)->suite == kAes);
}

TEST_CASE("a responder without AES-GCM makes the initiator come again with ChaCha20") {
    if (!crypto::available(kAes)) {
        return;
    }
    Options left;
    left.suites = {kAes, kChaCha};
    Pair pair(left, {});
    pair.a.open(pair.b, pair.now);
    pair.pass(300ms);
    REQUIRE(pair.agree());
    CHECK(pair.a.keys.at(*pair.a.sending)->suite == kChaCha);
    CHECK(pair.b.counted("session.refused") == 1);
}

TEST_CASE("only a refusal of the suite makes an initiator come with another, and not for long") {
    if (!crypto::available(kAes)) {
        return;
    }
    Options aes;
    aes.suites = {kAes, kChaCha};
    Pair pair(aes, aes);
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const auto suite_after = [&](wire::RefusalCode code) {
        const auto header = wire::ClearHeader::parse(pair.sent.back());
        pair.deliver(pair.a, wire::Refusal{code, header->sender_index}.encode(), pair.b.endpoint);
        pair.pass(10s);
        return static_cast<crypto::Suite>(wire::ClearHeader::parse(pair.sent.back())->suite);
    };
    CHECK(suite_after(wire::RefusalCode::version) == kAes);
    CHECK(suite_after(wire::RefusalCode::suite) == kChaCha);
    pair.passes = nullptr;
    pair.pass(10s);
    REQUIRE(pair.agree());
    CHECK(pair.a.keys.at(*pair.a.sending)->suite == kChaCha);
    pair.pass(130s);
    CHECK(pair.agree());
    CHECK(pair.a.keys.at(*pair.a.sending)->suite == kAes);
}

TEST_CASE("either of two live secrets does, whichever is proposed") {
    Options left;
    left.secrets = {{1, 0x51}, {2, 0x52}};
    Options right;
    right.secrets = {{2, 0x52}};
    Pair pair(left, right);
    SUBCASE("the one with both initiates, and is told to use the other") {
        pair.a.open(pair.b, pair.now);
        pair.pass(400ms);
    }
    SUBCASE("the one with both answers") {
        pair.b.open(pair.a, pair.now);
        pair.pump();
    }
    CHECK(pair.agree());
}

TEST_CASE("an initiation that came several ways and was refused each time makes way for the other "
          "secret") {
    Options left;
    left.secrets = {{1, 0x51}, {2, 0x52}};
    Options right;
    right.secrets = {{2, 0x52}};
    Pair pair(left, right);
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.a.open(pair.b, pair.now);
    pair.pump();
    const Bytes init = pair.sent.back();
    pair.passes = [&pair](const Node& from, const Bytes&) { return &from == &pair.b; };
    for (int copy = 0; copy < 2; ++copy) {
        pair.deliver(pair.b, init, pair.a.endpoint);
    }
    pair.pump();
    CHECK(pair.a.counted("session.refusal_received") == 2);
    pair.pass(300ms);
    CHECK(wire::ClearHeader::parse(pair.sent.back())->secret_id == 2);
}

TEST_CASE("secrets can be replaced while sessions run") {
    Pair pair;
    pair.a.open(pair.b, pair.now);
    pair.pump();
    for (Node* node : {&pair.a, &pair.b}) {
        std::vector<ClusterSecret> secrets;
        secrets.push_back({7, key_of(0x77)});
        node->manager->set_secrets(std::move(secrets));
    }
    CHECK(pair.agree());
    pair.pass(140s, 500ms);
    CHECK(pair.agree());
    CHECK(pair.a.installs == 2);
}

TEST_CASE("a secret with another value makes no session, whatever its id") {
    Options other;
    other.secrets = {{1, 0x99}};
    Pair pair({}, other);
    pair.a.open(pair.b, pair.now);
    pair.pass(10s);
    CHECK_FALSE(pair.a.usable(pair.b));
    CHECK_FALSE(pair.b.usable(pair.a));
    CHECK(pair.a.counted("session.bad_response") > 0);
}

TEST_CASE("refusals name the reason") {
    Options other;
    wire::RefusalCode expected{};
    SUBCASE("cluster") {
        other.cluster = 2;
        expected = wire::RefusalCode::cluster;
    }
    SUBCASE("secret") {
        other.secrets = {{5, 0x51}};
        expected = wire::RefusalCode::secret;
    }
    Pair pair({}, other);
    pair.a.open(pair.b, pair.now);
    pair.pass(91s);
    REQUIRE(pair.a.downs.size() == 1);
    CHECK(pair.a.downs[0].hint == expected);
    CHECK(pair.b.installs == 0);
}

TEST_CASE("a refusal that fits no attempt changes nothing") {
    Pair pair;
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.a.open(pair.b, pair.now);
    pair.pump();
    pair.deliver(pair.a, wire::Refusal{wire::RefusalCode::version, 0x40}.encode(), pair.b.endpoint);
    pair.pump();
    CHECK(pair.a.counted("session.late_refusal") == 1);
    CHECK(pair.a.counted("session.refusal_received") == 0);
}

TEST_CASE("refusals cannot make an initiator spin") {
    Pair pair;
    int inits = 0;
    pair.passes = [&](const Node& from, const Bytes& datagram) {
        if (&from == &pair.a && datagram[0] == 1) {
            ++inits;
            const auto header = wire::ClearHeader::parse(datagram);
            pair.deliver(pair.a,
                         wire::Refusal{wire::RefusalCode::secret, header->sender_index}.encode(),
                         pair.b.endpoint);
        }
        return false;
    };
    Options two;
    two.secrets = {{1, 0x51}, {2, 0x52}};
    pair.a.restart(two);
    pair.a.knows(pair.b);
    pair.a.open(pair.b, pair.now);
    pair.pass(20s);
    CHECK(inits < 15);
}

TEST_CASE("refusals are rate limited") {
    Options other;
    other.cluster = 2;
    Pair pair({}, other);
    const Bytes init = first_init(pair);
    for (int i = 0; i < 100; ++i) {
        pair.b.manager->on_datagram(init, from_port(1), pair.now);
    }
    CHECK(replies(pair.b, 6) == other.settings.refusals_per_second);
}

TEST_CASE("without a valid mac1 there is no answer at all") {
    Pair pair;
    Bytes init = first_init(pair);
    init[8 + 4] ^= 1; // another secret id: would be refused
    pair.b.manager->on_datagram(init, from_port(1), pair.now);
    pair.pump();
    CHECK(pair.sent.empty());
    CHECK(pair.b.counted("session.bad_mac1") == 1);
}

TEST_CASE("garbage of every type and size is counted and dropped") {
    Pair pair;
    const auto random = seeded(7);
    for (std::uint8_t type = 0; type < 9; ++type) {
        for (std::size_t size = 0; size < 300; size += 7) {
            Bytes junk(size);
            random(junk);
            if (!junk.empty()) {
                junk[0] = type;
            }
            pair.a.manager->on_datagram(junk, from_port(5), pair.now);
        }
    }
    pair.pump();
    CHECK(pair.sent.empty());
    CHECK(pair.a.installs == 0);
}

TEST_CASE("under load a cookie is demanded, and a true sender gets in with it") {
    Options busy;
    busy.settings.handshakes_per_second = 1;
    Pair pair({}, busy);
    // Somebody else uses up what there is.
    pair.deliver(pair.b, first_init(pair), Endpoint{IpAddress::v4({10, 9, 9, 9}), 1});
    pair.b.manager->take_actions();
    pair.a.manager->close(pair.b.identity.id());
    pair.a.manager->take_actions();
    pair.a.open(pair.b, pair.now);
    pair.pump();
    CHECK(pair.b.counted("session.cookie_sent") == 1);
    CHECK(pair.a.counted("session.cookie_received") == 1);
    CHECK_FALSE(pair.a.usable(pair.b));
    pair.pass(200ms);
    CHECK(pair.agree());
}

TEST_CASE("a source that sends too many initiations does not stop the others") {
    Options few;
    few.settings.handshakes_per_source = 5;
    Pair pair({}, few);
    const Bytes init = first_init(pair);
    for (int i = 0; i < 50; ++i) {
        pair.b.manager->on_datagram(init, from_port(static_cast<std::uint16_t>(i)), pair.now);
    }
    CHECK(replies(pair.b, 3) == 45);
    pair.b.manager->on_datagram(init, from_port(1, 77), pair.now);
    CHECK(replies(pair.b, 3) == 0);
}

TEST_CASE("a cookie covers address and port, and ends with its secret") {
    crypto::init();
    Pair pair;
    const Bytes bytes = first_init(pair);
    const auto init = wire::InitView::parse(bytes);
    REQUIRE(init);
    const auto& own = pair.b.identity.static_public();
    FloodGuard guard(1, 1, own, seeded(3));
    const TimePoint now = pair.now;
    CHECK(guard.judge(*init, from_port(1), now) == FloodGuard::Verdict::allow);
    CHECK(guard.judge(*init, from_port(1), now) == FloodGuard::Verdict::demand_cookie);
    const auto reply = wire::CookieReply::parse(guard.cookie_reply(*init, from_port(1), now));
    REQUIRE(reply);
    Bytes cookie;
    REQUIRE(crypto::xchacha_open(cookie_key(own), reply->nonce, init->mac1, reply->sealed, cookie));
    Bytes proved = bytes;
    const crypto::Mac16 mac2 = crypto::keyed_mac16(cookie, init->before_mac2);
    std::copy(mac2.begin(), mac2.end(), proved.end() - 16);
    const auto with_cookie = wire::InitView::parse(proved);
    CHECK(guard.judge(*with_cookie, from_port(2), now) == FloodGuard::Verdict::demand_cookie);
    CHECK(guard.judge(*with_cookie, from_port(1, 8), now) == FloodGuard::Verdict::demand_cookie);
    CHECK(guard.judge(*with_cookie, from_port(1), now) == FloodGuard::Verdict::allow);
    CHECK(guard.judge(*with_cookie, from_port(1), now) == FloodGuard::Verdict::drop);
    CHECK(guard.judge(*with_cookie, from_port(1), now + 130s) == FloodGuard::Verdict::allow);
    CHECK(guard.judge(*init, from_port(1), now + 251s) == FloodGuard::Verdict::allow);
    CHECK(guard.judge(*with_cookie, from_port(1), now + 251s) ==
          FloodGuard::Verdict::demand_cookie);
}

TEST_CASE("a cookie ends with its secret although nobody came in the meantime") {
    Pair pair;
    const Bytes bytes = first_init(pair);
    const auto init = wire::InitView::parse(bytes);
    REQUIRE(init);
    const auto& own = pair.b.identity.static_public();
    for (const auto& [later, still_good] : {std::pair{239s, true}, std::pair{241s, false}}) {
        FloodGuard guard(1, 1, own, seeded(3));
        const auto reply =
            wire::CookieReply::parse(guard.cookie_reply(*init, from_port(1), pair.now));
        REQUIRE(reply);
        Bytes cookie;
        REQUIRE(
            crypto::xchacha_open(cookie_key(own), reply->nonce, init->mac1, reply->sealed, cookie));
        Bytes proved = bytes;
        const crypto::Mac16 mac2 = crypto::keyed_mac16(cookie, init->before_mac2);
        std::copy(mac2.begin(), mac2.end(), proved.end() - 16);
        const auto verdict =
            guard.judge(*wire::InitView::parse(proved), from_port(1), pair.now + later);
        CHECK(verdict ==
              (still_good ? FloodGuard::Verdict::allow : FloodGuard::Verdict::demand_cookie));
    }
}

TEST_CASE("a forged cookie reply is not taken") {
    Pair pair;
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.a.open(pair.b, pair.now);
    pair.pump();
    wire::CookieReply reply;
    reply.receiver_index = wire::ClearHeader::parse(pair.sent[0])->sender_index;
    pair.deliver(pair.a, reply.encode(), pair.b.endpoint);
    pair.pump();
    CHECK(pair.a.counted("session.bad_cookie") == 1);
}

TEST_CASE("a token bucket fills again and never over its brim") {
    TokenBucket bucket;
    const TimePoint start = TimePoint{} + 1h;
    int taken = 0;
    for (int i = 0; i < 30; ++i) {
        taken += bucket.take(10, start) ? 1 : 0;
    }
    CHECK(taken == 10);
    CHECK_FALSE(bucket.take(10, start + 50ms));
    CHECK(bucket.take(10, start + 160ms));
    taken = 0;
    for (int i = 0; i < 30; ++i) {
        taken += bucket.take(10, start + 1h) ? 1 : 0;
    }
    CHECK(taken == 10);
}
