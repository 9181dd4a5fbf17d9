// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "peers_rig.hpp"

using namespace weave;
using namespace weave::daemon;
using namespace weave::daemon::test;

TEST_CASE("who learns of many nodes at once shakes hands with some after the other") {
    crypto::init();
    const Socket nowhere;
    Host host(1);
    for (std::uint8_t seed = 10; seed < 210; ++seed) {
        host.knows(crypto::Identity::from_seed(key_of(seed)), {{kLoopback, nowhere.port}});
    }
    CHECK(host.counted("session_init_sent") == 64);
    CHECK(until({&host}, [&] { return host.counted("session_init_sent") >= 200; }));
}

TEST_CASE("a session that comes up is published with whatever else changed, not alone") {
    crypto::init();
    const Two two;
    CHECK(two.a.published_at_once == 0);
    CHECK(two.b.published_at_once == 0);
}

TEST_CASE("new keys make every way to the peer be probed at once") {
    crypto::init();
    const Socket elsewhere;
    Host a(1);
    Host b(2);
    a.knows(b, {b.endpoint, {kLoopback, elsewhere.port}});
    for (int i = 0; i < 100; ++i) { // nothing can be probed without keys: the pace slows down
        a.ahead += 100ms;
        a.turn();
    }
    CHECK(elsewhere.take(wire::DatagramType::data) == 0);
    b.knows(a, {a.endpoint});
    REQUIRE(until({&a, &b}, [&] { return a.has_session() && b.has_session(); }));
    a.turn();
    CHECK(until({&b}, [&] { return elsewhere.take(wire::DatagramType::data) > 0; }));
}

TEST_CASE("a handshake's first message, perhaps a replay, makes no way to the peer") {
    crypto::init();
    Host host(2);
    auto peer = crypto::Identity::from_seed(key_of(3));
    // Both initiate: the lower key's handshake is answered.
    for (std::uint8_t seed = 4; host.identity.static_public() < peer.static_public(); ++seed) {
        peer = crypto::Identity::from_seed(key_of(seed));
    }
    host.knows(peer, {});
    session::Manager sessions({}, local_of(peer), crypto::random_bytes);
    sessions.set_peer(host.identity.id(), host.identity.static_public());
    sessions.open(host.identity.id(), host.now());
    const Socket stranger;
    for (const session::Action& action : sessions.take_actions()) {
        if (const auto* send = std::get_if<session::SendTo>(&action)) {
            stranger.send(host.endpoint, send->datagram);
        }
    }
    REQUIRE(until({&host}, [&] { return host.peers->handshakes() == 1; }));
    CHECK(host.peers->view(host.now()).front().use.kind == session::Use::Kind::none);
    CHECK_FALSE(host.peers->reaches(peer.id()));
    CHECK(until({&host}, [&] { return stranger.take(wire::DatagramType::response) == 1; }));
}

TEST_CASE("a peer that says goodbye has no session any more") {
    crypto::init();
    Two hosts;
    hosts.b.peers->say_goodbye();
    hosts.b.lanes.stop();
    CHECK(until({&hosts.a}, [&] { return !hosts.a.has_session(); }));
}

TEST_CASE("a peer that is sent to and not heard for ten seconds is suspected") {
    crypto::init();
    for (const bool sent : {false, true}) {
        Two hosts;
        hosts.b.lanes.stop();
        if (sent) {
            hosts.a.send_frame();
            REQUIRE(until({&hosts.a}, [&] {
                return hosts.a.peers->view(hosts.a.now()).front().totals.tx_packets == 1;
            }));
        }
        CHECK(hosts.a.counted("session_suspected") == 0);
        hosts.a.ahead = 11s;
        hosts.a.turn();
        CHECK(hosts.a.counted("session_suspected") == (sent ? 1 : 0));
        CHECK(hosts.a.has_session());
    }
}

TEST_CASE("a peer that was quiet is probed at once when what is sent to it is not answered") {
    crypto::init();
    session::PathSettings paths;
    paths.idle_probe = paths.missed_probe = paths.candidate_probe = 1h; // nothing but frames tells
    for (const bool sent : {false, true}) {
        Two hosts({}, paths);
        const auto row = [&] { return hosts.a.peers->view(hosts.a.now()).front(); };
        const auto reaches = [&] { return hosts.a.peers->reaches(hosts.b.identity.id()); };
        REQUIRE(until({&hosts.a, &hosts.b}, [&] { return reaches() && row().mtu == 1500; }));
        for (int i = 0; i < 60; ++i) { // what is under way is answered
            hosts.a.turn();
            hosts.b.turn();
            std::this_thread::sleep_for(5ms);
        }
        hosts.b.lanes.stop(); // it answers nothing any more
        if (sent) {
            hosts.a.send_frame();
            CHECK(until({&hosts.a}, [&] { return !reaches(); }));
            continue;
        }
        for (int i = 0; i < 200; ++i) {
            hosts.a.turn();
            std::this_thread::sleep_for(5ms);
        }
        CHECK(reaches());
    }
}

TEST_CASE("too many forged records bring new keys") {
    crypto::init();
    session::Settings few;
    few.max_failed_opens = 50;
    Two hosts(few);
    const auto table = hosts.a.peers->table();
    const std::uint32_t index = table->all().front().session->local_index();
    const std::uint64_t before = hosts.a.peers->handshakes();
    const Socket forger;
    for (std::uint64_t counter = 1000; counter < 1060; ++counter) {
        std::array<std::uint8_t, 64> record{};
        wire::put_data_header(record.data(), index, 0);
        wire::store_u64(record.data() + wire::kDataCounterOffset, counter);
        forger.send(hosts.a.endpoint, record);
    }
    CHECK(until({&hosts.a, &hosts.b}, [&] {
        return hosts.a.counted("session_forgery_limit") == 1 &&
               hosts.a.peers->handshakes() > before && hosts.a.has_session();
    }));
}

namespace {

std::size_t frames_at(const Host& host) {
    std::size_t count = 0;
    std::array<std::uint8_t, 256> bytes{};
    while (::recv(host.pod.get(), bytes.data(), bytes.size(), 0) > 0) {
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE("another process goes on with the keys of this one, and the peer does not notice") {
    crypto::init();
    Two hosts;
    hosts.a.send_frame();
    REQUIRE(until({&hosts.a, &hosts.b}, [&] { return frames_at(hosts.b) == 1; }));
    const std::uint64_t handshakes = hosts.b.peers->handshakes();

    Host next(1, hosts.a);
    next.ahead = 60s; // the keys are a minute old
    Handover handover;
    hosts.a.peers->describe(handover);
    auto read = decode_handover(encode_handover(handover));
    REQUIRE(read.has_value());
    next.peers->take_over(std::move(*read), next.now());
    next.knows(hosts.b, {hosts.b.endpoint});
    hosts.a.send_frame(); // before it stops
    hosts.a.lanes.halt();
    hosts.a.send_frame(); // after it
    next.peers->take_over(*decode_progress(encode_progress(hosts.a.peers->hand_over())));
    next.publish();
    hosts.b.lanes.halt(); // the peer is silent
    next.start();
    next.send_frame();
    REQUIRE(until({&next},
                  [&] { return next.peers->view(next.now()).front().totals.tx_packets == 2; }));
    next.turn();
    // What the process before heard is not known: silence counts from now on.
    CHECK(next.counted("session_suspected") == 0);
    hosts.b.lanes.go_on();
    std::size_t arrived = 0;
    CHECK(until({&next, &hosts.b}, [&] { return (arrived += frames_at(hosts.b)) == 3; }));
    hosts.b.send_frame();
    CHECK(until({&next, &hosts.b}, [&] { return frames_at(next) == 1; }));
    CHECK(next.peers->handshakes() == 0);
    CHECK(hosts.b.peers->handshakes() == handshakes);
    CHECK(next.peers->view(next.now()).front().use.kind == session::Use::Kind::direct);
}

TEST_CASE("what a lane heard and could not tell any more counts for the next process") {
    crypto::init();
    Host a(1);
    // Both initiate: the lower key's handshake is answered.
    std::uint8_t seed = 2;
    while (crypto::Identity::from_seed(key_of(seed)).static_public() < a.identity.static_public()) {
        ++seed;
    }
    Host b(seed);
    b.knows(a, {});
    a.knows(b, {b.endpoint});
    REQUIRE(until({&a, &b}, [&] { return b.peers->handshakes() == 1; }));
    REQUIRE_FALSE(b.has_session()); // a first record has to come
    REQUIRE(until({&a}, [&] { return a.has_session(); }));
    REQUIRE(until({&a}, [&] { return b.lanes.counters(0).records_opened.value() != 0; }));

    Host next(seed, b);
    Handover handover;
    b.peers->describe(handover);
    next.peers->take_over(std::move(handover), next.now());
    next.knows(a, {});
    b.lanes.halt();
    next.peers->take_over(b.peers->hand_over());
    next.publish();
    next.start();
    CHECK(next.has_session());
    CHECK(until({&a, &next}, [&] {
        next.send_frame();
        return frames_at(a) > 0;
    }));
    CHECK(next.peers->handshakes() == 0);
}

TEST_CASE("keys that were given to nobody are replaced") {
    crypto::init();
    Two hosts;
    hosts.a.lanes.halt();
    const HandoverProgress lost = hosts.a.peers->hand_over();
    CHECK(lost.size() >= 1);
    hosts.a.lanes.go_on();
    const std::uint64_t before = hosts.a.peers->handshakes();
    hosts.a.peers->renew(hosts.a.now());
    REQUIRE(until({&hosts.a, &hosts.b},
                  [&] { return hosts.a.has_session() && hosts.a.peers->handshakes() > before; }));
    hosts.a.send_frame();
    CHECK(until({&hosts.a, &hosts.b}, [&] { return frames_at(hosts.b) == 1; }));
}
