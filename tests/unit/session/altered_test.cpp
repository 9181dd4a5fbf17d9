// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Every byte of every handshake message, altered: nothing comes of it, and the message as it was
// still does what it should. "Resealed" is what somebody can do who knows the receiver's static
// key: alter a byte and make mac1 fit again.
#include "session/control.hpp"
#include "session/flood_guard.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

namespace {

/** Zero, or a proof of the sender's address: a wrong one is answered with a cookie. */
constexpr std::size_t kMac2 = wire::kMacSize;

/** Where the clear header has the sender's index. */
constexpr std::size_t kIndex = 4;

Bytes altered(const Bytes& datagram, std::size_t at) {
    Bytes out = datagram;
    out[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    return out;
}

void reseal(Bytes& datagram, const Node& receiver) {
    const std::size_t before = datagram.size() - 2 * wire::kMacSize;
    const crypto::Mac16 mac = crypto::keyed_mac16(mac1_key(receiver.identity.static_public()),
                                                  ByteView{datagram}.first(before));
    std::copy(mac.begin(), mac.end(), datagram.begin() + static_cast<std::ptrdiff_t>(before));
}

/** Hands the node a datagram and returns what it did, without what it counted. */
std::vector<Action> effects(Pair& pair, Node& node, const Bytes& datagram) {
    pair.deliver(node, datagram, pair.other(node).endpoint);
    std::vector<Action> out;
    for (Action& action : node.manager->take_actions()) {
        if (const auto* counted = std::get_if<Counted>(&action)) {
            ++node.counts[std::string{counted->name}];
        } else {
            out.push_back(std::move(action));
        }
    }
    return out;
}

bool only_refusals(const std::vector<Action>& actions) {
    return std::all_of(actions.begin(), actions.end(), [](const Action& action) {
        const auto* reply = std::get_if<Reply>(&action);
        return reply != nullptr && reply->datagram[0] == 6;
    });
}

Bytes initiation(Pair& pair) {
    pair.a.open(pair.b, pair.now);
    for (const Action& action : pair.a.manager->take_actions()) {
        if (const auto* send = std::get_if<SendTo>(&action)) {
            return send->datagram;
        }
    }
    return {};
}

Bytes response(Pair& pair, const Bytes& init) {
    for (const Action& action : effects(pair, pair.b, init)) {
        if (const auto* send = std::get_if<SendTo>(&action)) {
            return send->datagram;
        }
    }
    return {};
}

} // namespace

TEST_CASE("altered initiations: no answer, and the true one is answered") {
    Pair pair;
    const Bytes init = initiation(pair);
    REQUIRE(init.size() > 150);
    for (std::size_t at = 0; at < init.size() - kMac2; ++at) {
        CAPTURE(at);
        CHECK(effects(pair, pair.b, altered(init, at)).empty());
    }
    for (std::size_t at = init.size() - kMac2; at < init.size(); ++at) {
        CAPTURE(at);
        const auto actions = effects(pair, pair.b, altered(init, at));
        REQUIRE(actions.size() == 1);
        CHECK(std::get<Reply>(actions[0]).datagram[0] == 3);
    }
    CHECK(pair.b.counted("session.bad_mac1") > 100);
    CHECK_FALSE(response(pair, init).empty());
}

TEST_CASE("altered and resealed initiations: at most a refusal, and the true one is answered") {
    Options patient;
    patient.settings.handshakes_per_second = 100000;
    patient.settings.handshakes_per_source = 100000;
    Pair pair({}, patient);
    const Bytes init = initiation(pair);
    for (std::size_t at = 0; at < init.size() - 2 * wire::kMacSize; ++at) {
        CAPTURE(at);
        Bytes forged = altered(init, at);
        reseal(forged, pair.b);
        CHECK(only_refusals(effects(pair, pair.b, forged)));
    }
    CHECK(pair.b.counted("session.bad_init") > 90);
    CHECK_FALSE(pair.b.usable(pair.a));
    CHECK_FALSE(response(pair, init).empty());
}

TEST_CASE("under load, altered proofs of the address are none") {
    Options busy;
    busy.settings.handshakes_per_second = 1;
    Pair pair({}, busy);
    pair.passes = [](const Node&, const Bytes&) { return false; };
    pair.deliver(pair.b, initiation(pair), Endpoint{IpAddress::v4({10, 9, 9, 9}), 1});
    pair.b.manager->take_actions();
    pair.a.manager->close(pair.b.identity.id());
    const auto cookie = effects(pair, pair.b, initiation(pair));
    REQUIRE(cookie.size() == 1);
    effects(pair, pair.a, std::get<Reply>(cookie[0]).datagram);
    pair.now += 200ms;
    pair.a.manager->tick(pair.now);
    Bytes proved;
    for (const Action& action : pair.a.manager->take_actions()) {
        if (const auto* send = std::get_if<SendTo>(&action)) {
            proved = send->datagram;
        }
    }
    REQUIRE_FALSE(proved.empty());
    for (std::size_t at = proved.size() - kMac2; at < proved.size(); ++at) {
        CAPTURE(at);
        for (const Action& action : effects(pair, pair.b, altered(proved, at))) {
            REQUIRE(std::holds_alternative<Reply>(action));
            CHECK(std::get<Reply>(action).datagram[0] == 3);
        }
    }
    CHECK_FALSE(response(pair, proved).empty());
}

TEST_CASE("altered responses make no session, and the true one does") {
    Pair pair;
    const Bytes answer = response(pair, initiation(pair));
    REQUIRE(answer.size() > 100);
    for (std::size_t at = 0; at < answer.size(); ++at) {
        CAPTURE(at);
        CHECK(effects(pair, pair.a, altered(answer, at)).empty());
    }
    CHECK(effects(pair, pair.a, answer).size() == 1);
    CHECK(pair.a.usable(pair.b));
}

TEST_CASE("of the two indexes in a response the sealed one counts") {
    Pair pair;
    Bytes answer = response(pair, initiation(pair));
    answer[kIndex] ^= 0x40;
    reseal(answer, pair.a);
    const auto actions = effects(pair, pair.a, answer);
    REQUIRE(actions.size() == 1);
    const auto& keys = std::get<Install>(actions[0]).keys;
    CHECK_FALSE(pair.b.usable(pair.a));
    pair.b.manager->on_authenticated(keys->remote_index, pair.now);
    CHECK(pair.b.usable(pair.a));
}

TEST_CASE("altered and resealed responses make no session, and the true one does") {
    const std::size_t size = [] {
        Pair pair;
        return response(pair, initiation(pair)).size();
    }();
    for (std::size_t at = 0; at < size - 2 * wire::kMacSize; ++at) {
        if (at >= kIndex && at < kIndex + 4) {
            continue; // see above
        }
        CAPTURE(at);
        Pair pair; // an attempt puts up with a few forgeries only
        const Bytes answer = response(pair, initiation(pair));
        Bytes forged = altered(answer, at);
        reseal(forged, pair.a);
        CHECK(effects(pair, pair.a, forged).empty());
        CHECK_FALSE(pair.a.usable(pair.b));
        CHECK(effects(pair, pair.a, answer).size() == 1);
        CHECK(pair.a.usable(pair.b));
    }
}

TEST_CASE("an attempt looks at a few forged responses only, the next attempt at its own") {
    Pair pair;
    const Bytes answer = response(pair, initiation(pair));
    for (int i = 0; i < 40; ++i) {
        Bytes forged = altered(answer, 60 + static_cast<std::size_t>(i));
        reseal(forged, pair.a);
        CHECK(effects(pair, pair.a, forged).empty());
    }
    CHECK(effects(pair, pair.a, answer).empty());
    pair.pass(2s);
    CHECK(pair.agree());
}

TEST_CASE("altered cookies are not taken, and the true one is") {
    Options busy;
    busy.settings.handshakes_per_second = 1;
    Pair pair({}, busy);
    pair.deliver(pair.b, initiation(pair), Endpoint{IpAddress::v4({10, 9, 9, 9}), 1});
    pair.b.manager->take_actions();
    pair.a.manager->close(pair.b.identity.id());
    const auto sent = effects(pair, pair.b, initiation(pair));
    REQUIRE(sent.size() == 1);
    const Bytes cookie = std::get<Reply>(sent[0]).datagram;
    for (std::size_t at = 0; at < cookie.size(); ++at) {
        CAPTURE(at);
        CHECK(effects(pair, pair.a, altered(cookie, at)).empty());
    }
    CHECK(pair.a.counted("session.cookie_received") == 0);
    effects(pair, pair.a, cookie);
    CHECK(pair.a.counted("session.cookie_received") == 1);
}

namespace {

/** Two ends of a control handshake, and the bytes of each of its four messages in turn. */
struct Control {
    Control()
        : left(crypto::Identity::from_seed(key_of(1)))
        , right(crypto::Identity::from_seed(key_of(2)))
        , dialler(local(left), true)
        , answerer(local(right), false) {}

    static ControlLocal local(const crypto::Identity& identity) {
        ControlLocal out;
        out.identity = &identity;
        out.cluster_id.fill(1);
        out.secrets.push_back({1, key_of(0x51)});
        out.name = "node";
        return out;
    }

    ControlHandshake& sender(int message) { return message % 2 == 0 ? dialler : answerer; }

    ControlHandshake& receiver(int message) { return message % 2 == 0 ? answerer : dialler; }

    /** Carries the messages before this one and returns it. */
    Bytes message(int number) {
        for (int i = 0; i < number; ++i) {
            receiver(i).on_bytes(sender(i).take_output());
        }
        return sender(number).take_output();
    }

    void finish() {
        for (bool busy = true; busy;) {
            const Bytes there = dialler.take_output();
            answerer.on_bytes(there);
            const Bytes back = answerer.take_output();
            dialler.on_bytes(back);
            busy = !there.empty() || !back.empty();
        }
    }

    crypto::Identity left;
    crypto::Identity right;
    ControlHandshake dialler;
    ControlHandshake answerer;
};

} // namespace

TEST_CASE("altered bytes in any message of a control handshake end it without a link") {
    crypto::init();
    using Status = ControlHandshake::Status;
    for (int number = 0; number < 4; ++number) {
        const std::size_t size = Control().message(number).size();
        CAPTURE(number);
        REQUIRE(size >= 18);
        for (std::size_t at = 0; at < size; ++at) {
            CAPTURE(at);
            Control link;
            const Bytes message = link.message(number);
            link.receiver(number).on_bytes(altered(message, at));
            link.finish();
            // Who made the last message is done before it arrives; the other end never is.
            CHECK(link.dialler.status() != Status::done);
            CHECK((link.answerer.status() == Status::done) == (number == 3));
        }
    }
}
