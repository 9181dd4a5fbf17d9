// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// When packets are in clear: where both sides said so, and nowhere else, whatever anybody sends.
#include "session/flood_guard.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;
using crypto::Suite;

namespace {

Options offering(std::vector<Suite> suites) {
    Options out;
    out.suites = std::move(suites);
    return out;
}

Options on() {
    return offering({Suite::aes256gcm, Suite::chacha20poly1305});
}

Options off() {
    return offering({Suite::clear, Suite::aes256gcm, Suite::chacha20poly1305});
}

Suite suite_in_use(const Node& node) {
    return node.keys.at(*node.sending)->suite;
}

Suite proposed(const Bytes& init) {
    return static_cast<Suite>(wire::ClearHeader::parse(init)->suite);
}

/** As it left the node; nobody else gets it. */
Bytes initiation(Pair& pair, Node& node) {
    pair.passes = [](const Node&, const Bytes&) { return false; };
    node.open(pair.other(node), pair.now);
    pair.pump();
    pair.passes = nullptr;
    return pair.sent.back();
}

/** By somebody who knows the receiver's public key, which is all that mac1 takes. */
Bytes in_clear_instead(Bytes init, const Node& receiver) {
    auto header = *wire::ClearHeader::parse(init);
    header.suite = static_cast<std::uint8_t>(Suite::clear);
    const Bytes forged = header.encode();
    std::copy(forged.begin(), forged.end(), init.begin());
    const std::size_t before = init.size() - 2 * wire::kMacSize;
    const auto mac = crypto::keyed_mac16(mac1_key(receiver.identity.static_public()),
                                         ByteView{init}.first(before));
    std::copy(mac.begin(), mac.end(), init.begin() + static_cast<std::ptrdiff_t>(before));
    return init;
}

/** The peer has no AES here, so these run on every host. */
Options without_aes(Options options) {
    std::erase(options.suites, Suite::aes256gcm);
    return options;
}

} // namespace

TEST_CASE("packets are in clear where both sides said so, whoever begins") {
    for (const bool left_off : {false, true}) {
        for (const bool right_off : {false, true}) {
            for (const bool left_begins : {false, true}) {
                CAPTURE(left_off);
                CAPTURE(right_off);
                CAPTURE(left_begins);
                Pair pair(without_aes(left_off ? off() : on()),
                          without_aes(right_off ? off() : on()));
                Node& begins = left_begins ? pair.a : pair.b;
                begins.open(pair.other(begins), pair.now);
                pair.pass(300ms);
                REQUIRE(pair.agree());
                CHECK(suite_in_use(pair.a) ==
                      (left_off && right_off ? Suite::clear : Suite::chacha20poly1305));
                // New keys, some minutes later, change nothing.
                pair.pass(150s);
                REQUIRE(pair.agree());
                CHECK(pair.a.installs >= 2);
                for (const auto& [index, keys] : pair.a.keys) {
                    CHECK((keys->suite == Suite::clear) == (left_off && right_off));
                }
            }
        }
    }
}

TEST_CASE("both begin at once, and one of them encrypts") {
    for (const bool low_off : {false, true}) {
        CAPTURE(low_off);
        Pair pair;
        pair.low->restart(without_aes(low_off ? off() : on()));
        pair.high->restart(without_aes(low_off ? on() : off()));
        pair.a.knows(pair.b);
        pair.b.knows(pair.a);
        pair.a.open(pair.b, pair.now);
        pair.b.open(pair.a, pair.now);
        pair.pass(3s);
        REQUIRE(pair.agree());
        CHECK(suite_in_use(pair.a) == Suite::chacha20poly1305);
    }
}

TEST_CASE("who encrypts refuses one that can do nothing but clear, and is refused by it") {
    for (const bool clear_begins : {false, true}) {
        CAPTURE(clear_begins);
        Pair pair(offering({Suite::clear}), without_aes(on()));
        Node& begins = clear_begins ? pair.a : pair.b;
        begins.open(pair.other(begins), pair.now);
        pair.pass(91s);
        CHECK(pair.a.installs == 0);
        CHECK(pair.b.installs == 0);
        CHECK(pair.other(begins).counted("session.refused") > 0);
        REQUIRE(begins.downs.size() == 1);
        CHECK(begins.downs[0].hint == wire::RefusalCode::suite);
        CHECK(sentence(*begins.downs[0].hint) == "no common cipher suite");
    }
}

TEST_CASE("nobody on the way can make an initiation into one for packets in clear") {
    for (const bool from_off : {false, true}) {
        CAPTURE(from_off);
        Pair pair(without_aes(from_off ? off() : on()), without_aes(off()));
        Bytes init = initiation(pair, pair.a);
        if (from_off) { // it has been told that the other side encrypts, truly or not
            const auto index = wire::ClearHeader::parse(init)->sender_index;
            pair.deliver(
                pair.a, wire::Refusal{wire::RefusalCode::suite, index}.encode(), pair.b.endpoint);
            pair.passes = [](const Node&, const Bytes&) { return false; };
            pair.pass(1s);
            init = pair.sent.back();
        }
        REQUIRE(proposed(init) == Suite::chacha20poly1305);
        pair.deliver(pair.b, in_clear_instead(init, pair.b), pair.a.endpoint);
        pair.pump();
        CHECK(pair.b.counted("session.bad_init") == 1);
        CHECK(pair.b.installs == 0);
        pair.deliver(pair.b, init, pair.a.endpoint);
        pair.pump();
        CHECK(pair.b.installs == 1);
    }
}

TEST_CASE("refusals never make a node that encrypts offer clear, nor take it as an answer") {
    Pair pair(on(), off());
    Bytes init = initiation(pair, pair.a);
    for (int round = 0; round < 8; ++round) {
        CAPTURE(round);
        CHECK(proposed(init) != Suite::clear);
        const auto index = wire::ClearHeader::parse(init)->sender_index;
        pair.deliver(
            pair.a, wire::Refusal{wire::RefusalCode::suite, index}.encode(), pair.b.endpoint);
        pair.passes = [](const Node&, const Bytes&) { return false; };
        pair.pass(6s);
        init = pair.sent.back();
    }
    REQUIRE(proposed(init) == Suite::chacha20poly1305);
    pair.passes = [&pair](const Node& from, const Bytes&) { return &from == &pair.a; };
    pair.deliver(pair.b, init, pair.a.endpoint);
    pair.pump();
    const Bytes response = pair.sent.back();
    REQUIRE(response[0] == 2);
    pair.deliver(pair.a, in_clear_instead(response, pair.a), pair.b.endpoint);
    pair.pump();
    CHECK(pair.a.counted("session.bad_response") == 1);
    CHECK(pair.a.installs == 0);
    pair.deliver(pair.a, response, pair.b.endpoint);
    pair.pump();
    CHECK(pair.a.installs == 1);
    CHECK(suite_in_use(pair.a) == Suite::chacha20poly1305);
}

TEST_CASE("an initiation that came several ways is refused several times, and counts once") {
    Pair pair(off(), on());
    const Bytes init = initiation(pair, pair.a);
    REQUIRE(proposed(init) == Suite::clear);
    pair.passes = [&pair](const Node& from, const Bytes&) { return &from == &pair.b; };
    for (int copy = 0; copy < 3; ++copy) {
        pair.deliver(pair.b, init, pair.a.endpoint);
    }
    pair.pump();
    CHECK(pair.a.counted("session.refusal_received") == 3);
    pair.pass(300ms);
    CHECK(proposed(pair.sent.back()) == Suite::aes256gcm);
}
