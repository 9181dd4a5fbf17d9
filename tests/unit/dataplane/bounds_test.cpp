// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pending.hpp"
#include "dataplane/punter.hpp"
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

namespace weave::dataplane::test {

TEST_CASE("senders are told of too big frames in bounds, which others' events do not suffer from") {
    Node a{1};
    Node b{2};
    join(a, b);
    FrameSpec spec = from_a_to_b(a, b);
    spec.protocol = kProtocolUdp;
    for (int i = 0; i < 50; ++i) {
        a.pod_sends(tap_message(spec, pattern(1460), 0));
    }
    a.step();
    CHECK(a.dropped(Drop::too_big) == 50);
    CHECK(a.dropped(Drop::punt_full) == 0);
    int told = 0;
    while (a.punted(Punt::Kind::too_big)) {
        ++told;
    }
    CHECK(told >= 20);
    CHECK(told < 40);
}

TEST_CASE("handshakes fill half of the punt ring, and what peers cause finds the rest") {
    LaneCounters counters;
    Punter punter{8, nullptr, counters};
    const Bytes bytes(100);
    const auto punt = [&](Punt::Kind kind) { return punter.punt(kind, bytes, [](Punt&) {}); };
    for (int i = 0; i < 4; ++i) {
        CHECK(punt(Punt::Kind::handshake));
    }
    CHECK_FALSE(punt(Punt::Kind::handshake));
    CHECK_FALSE(punt(Punt::Kind::too_big));
    CHECK(counters.dropped(Drop::punt_full) == 2);
    for (int i = 0; i < 4; ++i) {
        CHECK(punt(Punt::Kind::probe_ack));
    }
    CHECK_FALSE(punt(Punt::Kind::probe_ack));
}

TEST_CASE("IPv6 on an underlay that is too narrow for it: TCP is cut, others are told 1280") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.peers[0].mtu = 1280;
    a.publish();
    FrameSpec spec = from_a_to_b(a, b);
    spec.source = *IpAddress::parse("fd32::a");
    spec.destination = *IpAddress::parse("fd32::b");
    for (const bool partial : {true, false}) {
        spec.partial = partial;
        const Bytes payload = pattern(1280 - 40 - 32);
        a.pod_sends(tap_message(spec, payload, 0));
        a.step();
        b.step();
        CHECK(joined_payloads(delivered(b)) == payload);
        CHECK(a.dropped(Drop::too_big) == 0);
    }
    spec.partial = true;
    spec.protocol = kProtocolUdp;
    a.pod_sends(tap_message(spec, pattern(1232), 0));
    a.step();
    const auto punt = a.punted(Punt::Kind::too_big);
    REQUIRE(punt.has_value());
    CHECK(punt->mtu == 1280);
}

TEST_CASE("a TAP that goes away is told once and left alone") {
    Node a{1};
    Node b{2};
    join(a, b);
    CHECK_FALSE(a.lane->tap_gone());
    a.tap_pod.reset();
    a.step();
    CHECK(a.lane->tap_gone());
    // It is not watched any more: the next round has only the socket to wait for.
    const TimePoint before = Clock::now();
    a.lane->run_once(std::chrono::milliseconds{50});
    CHECK(Clock::now() - before >= std::chrono::milliseconds{40});
}

TEST_CASE("empty datagrams and endless handshakes are malformed") {
    Node b{2};
    b.publish();
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    options.reuse_port = false;
    const auto stranger = os::UdpSocket::open(options);
    Bytes bytes(kMessageBytes + 1);
    bytes[0] = 1;
    const auto send = [&](std::size_t size) {
        const iovec data{bytes.data(), size};
        REQUIRE(stranger.send(b.endpoint(), std::nullopt, {&data, 1}) == 0);
        b.step();
    };
    send(0);
    CHECK(b.dropped(Drop::malformed_datagram) == 1);
    send(bytes.size());
    CHECK(b.dropped(Drop::malformed_datagram) == 2);
    CHECK(b.dropped(Drop::punt_full) == 0);
    send(kMessageBytes);
    CHECK(b.punted(Punt::Kind::handshake).has_value());
}

TEST_CASE("a relay passes a datagram on for as many hops as it would itself allow, not more") {
    Node a{1};
    Node b{2};
    Node relay{3};
    join(a, b);
    join(a, relay);
    join(b, relay);
    a.peers[0].path = {Path::Kind::relay, {}, {}, 1};
    a.settings.relay_ttl = 255;
    a.publish();
    relay.settings.relay_ttl = 1;
    relay.publish();
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 200)));
    a.step();
    relay.step();
    CHECK(relay.dropped(Drop::ttl_expired) == 1);
    relay.settings.relay_ttl = 2;
    relay.publish();
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 200)));
    a.step();
    relay.step();
    b.step();
    CHECK(b.pod_receives().size() == 1);
}

TEST_CASE("keys that are too old seal nothing and open nothing") {
    Node a{1};
    Node b{2};
    join(a, b);
    const auto send = [&] {
        a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 200)));
        a.step();
        b.step();
        return b.pod_receives().size();
    };
    CHECK(send() == 1);
    b.peers[0].session->set_lifetime({TimePoint::max(), Clock::now()});
    CHECK(send() == 0);
    CHECK(b.dropped(Drop::key_expired) == 1);
    b.peers[0].session->set_lifetime({});
    a.peers[0].session->set_lifetime({Clock::now(), TimePoint::max()});
    const std::uint64_t sealed = a.peers[0].session->most_sealed();
    CHECK(send() == 0);
    CHECK(a.dropped(Drop::key_expired) == 1);
    CHECK(a.peers[0].session->most_sealed() == sealed);
    const auto punt = a.punted(Punt::Kind::seal_limit);
    REQUIRE(punt.has_value());
    CHECK(punt->local_index == a.peers[0].session->local_index());
}

TEST_CASE("frames that waited too long are not sent any more") {
    PendingFrames pending;
    const TimePoint start = Clock::now();
    const Bytes frame(100);
    pending.add(1, {}, frame, start);
    pending.add(1, {}, frame, start + std::chrono::seconds{3});
    CHECK(pending.drop_stale(1, start + std::chrono::seconds{5}) == 0);
    CHECK(pending.drop_stale(1, start + std::chrono::seconds{6}) == 1);
    CHECK(pending.drop_stale(2, start + std::chrono::seconds{6}) == 0);
    CHECK(pending.take(1).size() == 1);
}

} // namespace weave::dataplane::test
