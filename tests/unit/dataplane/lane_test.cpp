// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <sys/socket.h>

namespace weave::dataplane::test {

TEST_CASE("a frame crosses from pod to pod, sealed") {
    for (const char* address : {"127.0.0.1", "::1"}) {
        CAPTURE(address);
        Node a{1, *IpAddress::parse(address)};
        Node b{2, *IpAddress::parse(address)};
        join(a, b);
        const Bytes frame = make_raw(a.pod_mac, b.pod_mac, 300);
        a.pod_sends(plain(frame));
        a.step();
        b.step();
        const auto got = b.pod_receives();
        REQUIRE(got.size() == 1);
        CHECK(got[0] == plain(frame));
        CHECK(b.punted(Punt::Kind::first_record).has_value());
        CHECK(a.peers[0].state->totals().tx_packets == 1);
        CHECK(b.peers[0].state->totals().rx_bytes == 300);
        CHECK(a.lane->counters().sends.value() == 1);
    }
}

TEST_CASE(
    "a TCP superframe leaves as trains and arrives as superframes, bytes and checksums intact") {
    std::vector<crypto::Suite> suites = crypto::available_suites();
    suites.push_back(crypto::Suite::clear);
    for (const crypto::Suite suite : suites) {
        CAPTURE(crypto::name(suite));
        Node a{1};
        Node b{2};
        join(a, b, suite);
        const Bytes payload = pattern(60000);
        FrameSpec spec = from_a_to_b(a, b);
        spec.tcp_flags = 0x18;
        a.pod_sends(tap_message(spec, payload, 1324));
        a.step();
        b.step();
        CHECK(a.lane->counters().sends.value() == 1);
        CHECK(b.lane->counters().tap_writes.value() == 1);
        CHECK(joined_payloads(delivered(b)) == payload);
    }
}

TEST_CASE("a superframe larger than one send and a small path are cut further") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.peers[0].mtu = 1280;
    a.publish();
    const Bytes payload = pattern(65000);
    a.pod_sends(tap_message(from_a_to_b(a, b), payload, 1400));
    a.step();
    for (int i = 0; i < 4; ++i) {
        b.step();
    }
    CHECK(joined_payloads(delivered(b)) == payload);
    CHECK(a.lane->counters().sends.value() >= 2);
    CHECK(a.dropped(Drop::too_big) == 0);
}

TEST_CASE("a UDP superframe keeps its datagram size") {
    Node a{1};
    Node b{2};
    join(a, b);
    FrameSpec spec = from_a_to_b(a, b);
    spec.protocol = kProtocolUdp;
    const Bytes payload = pattern(10000);
    a.pod_sends(tap_message(spec, payload, 1200));
    a.step();
    b.step();
    const auto frames = delivered(b);
    REQUIRE(frames.size() == 9);
    CHECK(payload_of(frames[0]).size() == 1200);
    CHECK(payload_of(frames[8]).size() == 400);
    CHECK(joined_payloads(frames) == payload);
    CHECK(b.lane->counters().tap_writes.value() == 1);
}

TEST_CASE("small frames that wait together share a datagram") {
    Node a{1};
    Node b{2};
    join(a, b);
    for (int i = 0; i < 10; ++i) {
        a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 100)));
    }
    a.step();
    b.step();
    CHECK(a.lane->counters().records_sealed.value() == 1);
    CHECK(b.pod_receives().size() == 10);
}

TEST_CASE("after a frame that came alone the next does not wait for company") {
    Node a{1};
    Node b{2};
    join(a, b);
    const auto sends_of = [&](int frames) {
        const std::uint64_t before = a.lane->counters().sends.value();
        for (int i = 0; i < frames; ++i) {
            a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 100)));
        }
        a.step();
        return a.lane->counters().sends.value() - before;
    };
    CHECK(sends_of(3) == 1);
    CHECK(sends_of(1) == 1);
    CHECK(sends_of(1) == 1);
    CHECK(sends_of(3) == 2); // one guessed wrong: it and the other two
    CHECK(sends_of(3) == 1);
    b.step();
    CHECK(b.pod_receives().size() == 11);
}

TEST_CASE("frames wait for a session and go out once it is there") {
    Node a{1};
    Node b{2};
    const PeerIndex b_at_a = a.add_peer(b);
    const PeerIndex a_at_b = b.add_peer(a);
    a.publish();
    b.publish();
    a.pod_sends(tap_message(from_a_to_b(a, b), pattern(5000), 1300));
    a.step();
    const auto asked = a.punted(Punt::Kind::need_session);
    REQUIRE(asked.has_value());
    CHECK(asked->peer == b_at_a);
    for (int i = 0; i < 70; ++i) {
        a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 100)));
    }
    a.step();
    a.step();
    CHECK_FALSE(a.punted(Punt::Kind::need_session).has_value());
    CHECK(a.dropped(Drop::queue_full) == 7);
    give_session(a, b_at_a, b, a_at_b);
    Injection flush;
    flush.kind = Injection::Kind::flush_pending;
    flush.peer = b_at_a;
    a.inject(flush);
    a.step();
    for (int i = 0; i < 4; ++i) {
        b.step();
    }
    CHECK(b.pod_receives().size() == 64);
}

TEST_CASE("a frame whose source the sender does not own is dropped") {
    Node a{1};
    Node b{2};
    join(a, b);
    const Bytes forged = make_raw(*MacAddress::parse("02:00:00:00:00:77"), b.pod_mac, 100);
    a.pod_sends(plain(forged));
    a.step();
    b.step();
    CHECK(b.pod_receives().empty());
    CHECK(b.dropped(Drop::source_not_owned) == 1);

    // The right MAC, and an IP address that is b's own.
    const AddressChange own{*Prefix::parse("10.32.0.10/32"), kLocalPeer};
    b.addresses = b.addresses.with({&own, 1});
    b.publish();
    a.pod_sends(tap_message(from_a_to_b(a, b), pattern(10), 0));
    a.step();
    b.step();
    CHECK(b.dropped(Drop::source_not_owned) == 2);
}

TEST_CASE("local frames that bear a remote pod's MAC do not leave") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.pod_sends(plain(make_raw(b.pod_mac, b.pod_mac, 100)));
    a.step();
    CHECK(a.dropped(Drop::source_not_attached) == 1);
}

TEST_CASE("broadcast goes to every peer once, superframes included") {
    Node a{1};
    Node b{2};
    Node c{3};
    join(a, b);
    join(a, c);
    FrameSpec spec = from_a_to_b(a, b);
    spec.to = *MacAddress::parse("ff:ff:ff:ff:ff:ff");
    spec.protocol = kProtocolUdp;
    const Bytes payload = pattern(4000);
    a.pod_sends(tap_message(spec, payload, 1000));
    a.step();
    b.step();
    c.step();
    CHECK(joined_payloads(delivered(b)) == payload);
    CHECK(joined_payloads(delivered(c)) == payload);
}

TEST_CASE("a frame that does not fit is fragmented, or its sender is told") {
    Node a{1};
    Node b{2};
    join(a, b);
    FrameSpec spec = from_a_to_b(a, b);
    spec.protocol = kProtocolUdp;
    spec.dont_fragment = false;
    a.pod_sends(tap_message(spec, pattern(1460), 0));
    a.step();
    b.step();
    const auto fragments = b.pod_receives();
    REQUIRE(fragments.size() == 2);
    CHECK(fragments[0].size() + fragments[1].size() == 2 * (10 + 14 + 20) + 8 + 1460);

    spec.dont_fragment = true;
    a.pod_sends(tap_message(spec, pattern(1460), 0));
    a.step();
    const auto punt = a.punted(Punt::Kind::too_big);
    REQUIRE(punt.has_value());
    // 1500 - IP 20 - UDP 8 - data 32 - record 4 - Ethernet 14
    CHECK(punt->mtu == 1422);
    CHECK(punt->is_tx);
    CHECK(punt->view().size() == 256);
    CHECK(a.dropped(Drop::too_big) == 1);
}

TEST_CASE("what the network swapped is joined in the order in which it was sealed") {
    Node a{1};
    Node b{2};
    join(a, b);
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    options.reuse_port = false;
    const auto wire_tap = os::UdpSocket::open(options);
    a.peers[0].path.endpoint = wire_tap.local();
    a.publish();
    const Bytes payload = pattern(6500);
    a.pod_sends(tap_message(from_a_to_b(a, b), payload, 1300));
    a.step();
    os::ReceiveSlots slots;
    const auto received = wire_tap.receive(slots);
    REQUIRE(received.datagrams.size() == 1);
    const ByteSpan train = received.datagrams[0].bytes;
    const std::size_t each = received.datagrams[0].segment_size;
    REQUIRE((train.size() + each - 1) / each == 5);
    for (const std::size_t at : {3u, 1u, 0u, 4u, 2u}) {
        const ByteSpan one = train.subspan(at * each, std::min(each, train.size() - at * each));
        const iovec data{one.data(), one.size()};
        REQUIRE(wire_tap.send(b.endpoint(), std::nullopt, {&data, 1}) == 0);
    }
    b.step();
    CHECK(b.lane->counters().records_opened.value() == 5);
    CHECK(b.lane->counters().tap_writes.value() == 1);
    CHECK(joined_payloads(delivered(b)) == payload);
}

TEST_CASE("a probe is answered the way it came, with the size it arrived in") {
    Node a{1};
    Node b{2};
    join(a, b);
    Injection probe;
    probe.kind = Injection::Kind::record;
    probe.peer = 0;
    probe.record = wire::RecordKind::probe;
    probe.endpoint = b.endpoint();
    probe.pad_to = 1400;
    wire::store_u64(probe.bytes.data(), 0x1122334455667788);
    probe.length = 8;
    a.inject(probe);
    a.step();
    b.step();
    a.step();
    const auto ack = a.punted(Punt::Kind::probe_ack);
    REQUIRE(ack.has_value());
    CHECK(ack->id == 0x1122334455667788);
    CHECK(ack->size == 1400);
    CHECK(ack->origin.endpoint == b.endpoint());
}

TEST_CASE("datagrams for two nodes that cannot reach each other pass through a third") {
    Node a{1};
    Node b{2};
    Node relay{3};
    join(a, b);
    join(a, relay);
    join(b, relay);
    a.peers[0].path = {Path::Kind::relay, {}, {}, 1};
    b.peers[0].path = {Path::Kind::relay, {}, {}, 1};
    a.publish();
    b.publish();
    const Bytes payload = pattern(50000);
    a.pod_sends(tap_message(from_a_to_b(a, b), payload, 1300));
    a.step();
    relay.step();
    b.step();
    CHECK(joined_payloads(delivered(b)) == payload);
    CHECK(relay.lane->counters().relayed.value() == 39);
    CHECK(relay.lane->counters().sends.value() == 1);
    CHECK(b.lane->counters().tap_writes.value() == 1);
    const auto first = b.punted(Punt::Kind::first_record);
    REQUIRE(first.has_value());

    Injection probe;
    probe.kind = Injection::Kind::record;
    probe.peer = 0;
    probe.via = 1;
    probe.pad_to = 1350;
    probe.length = 8;
    a.inject(probe);
    a.step();
    relay.step();
    b.step();
    relay.step();
    a.step();
    const auto ack = a.punted(Punt::Kind::probe_ack);
    REQUIRE(ack.has_value());
    CHECK(ack->size == 1350);
    CHECK(ack->origin.kind == Origin::Kind::relayed);
    CHECK(ack->origin.via == 1);

    Injection handshake;
    handshake.kind = Injection::Kind::relayed;
    handshake.peer = 0;
    handshake.via = 1;
    const Bytes init{1, 1, 1, 2, 9, 9, 9, 9};
    handshake.assign(init);
    a.inject(handshake);
    a.step();
    relay.step();
    b.step();
    const auto punt = b.punted(Punt::Kind::handshake);
    REQUIRE(punt.has_value());
    CHECK(Bytes(punt->view().begin(), punt->view().end()) == init);
    CHECK(punt->origin.source == relay_address(a.id));
}

TEST_CASE("a relay refuses loops and what it cannot reach") {
    Node a{1};
    Node b{2};
    Node relay{3};
    join(a, b);
    join(a, relay);
    a.peers[0].path = {Path::Kind::relay, {}, {}, 1};
    a.publish();
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 1200)));
    a.step();
    relay.step();
    CHECK(relay.dropped(Drop::relay_refused) == 1);

    // The relay itself would reach b only through a.
    relay.add_peer(b);
    relay.peers[1].path = {Path::Kind::relay, {}, {}, 0};
    relay.publish();
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 1200)));
    a.step();
    relay.step();
    CHECK(relay.dropped(Drop::relay_loop) == 1);

    a.settings.relay_ttl = 1;
    a.publish();
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 1200)));
    a.step();
    relay.step();
    CHECK(relay.dropped(Drop::ttl_expired) == 1);
}

TEST_CASE("a datagram that comes to the wrong lane reaches the one that owns its key") {
    // The sender's lane 1 seals; the receiver's lane 0 has the only socket and hands over to
    // lane 1.
    const IpAddress loopback = *IpAddress::parse("127.0.0.1");
    Handoff handoff{2};
    Node a{1, loopback, {1, 2, nullptr}};
    Node b{2, loopback, {0, 2, &handoff}};
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    const os::UniqueFd tap{ends[0]};
    std::swap(b.tap_pod, b.spare);
    b.tap_pod.reset(ends[1]);
    LaneConfig config;
    config.index = 1;
    config.lanes = 2;
    config.tap = tap.get();
    config.cell = &b.cell;
    config.handoff = &handoff;
    Lane second{config};
    join(a, b);
    const Bytes payload = pattern(9000);
    a.pod_sends(tap_message(from_a_to_b(a, b), payload, 1300));
    a.step();
    b.step();
    second.run_once(std::chrono::milliseconds{20});
    CHECK(joined_payloads(delivered(b)) == payload);
    CHECK(second.counters().records_opened.value() == 7);
    CHECK(b.lane->counters().records_opened.value() == 0);
    CHECK(b.dropped(Drop::wrong_lane) == 0);
}

TEST_CASE("replayed, altered, unknown and stray datagrams are dropped and counted by name") {
    Node a{1};
    Node b{2};
    join(a, b);
    // The path of a leads to a socket of the test, which passes on what it likes.
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    options.reuse_port = false;
    const auto wire_tap = os::UdpSocket::open(options);
    a.peers[0].path.endpoint = wire_tap.local();
    a.publish();
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 200)));
    a.step();
    os::ReceiveSlots slots;
    const auto received = wire_tap.receive(slots);
    REQUIRE(received.datagrams.size() == 1);
    const ByteSpan sealed = received.datagrams[0].bytes;
    const auto pass = [&] {
        const iovec data{sealed.data(), sealed.size()};
        REQUIRE(wire_tap.send(b.endpoint(), std::nullopt, {&data, 1}) == 0);
        b.step();
    };
    sealed[20] ^= 1;
    pass();
    CHECK(b.dropped(Drop::bad_tag) == 1);
    sealed[20] ^= 1;
    pass();
    CHECK(b.pod_receives().size() == 1);
    const auto roamed = b.punted(Punt::Kind::roamed);
    REQUIRE(roamed.has_value());
    CHECK(roamed->origin.endpoint == wire_tap.local());
    pass();
    CHECK(b.dropped(Drop::replayed) == 1);
    CHECK(b.pod_receives().empty());
    sealed[7] ^= 0x40;
    pass();
    CHECK(b.dropped(Drop::unknown_receiver) == 1);
    sealed[0] = 9;
    pass();
    CHECK(b.dropped(Drop::unknown_kind) == 1);
    sealed[0] = 1;
    pass();
    const auto handshake = b.punted(Punt::Kind::handshake);
    REQUIRE(handshake.has_value());
    CHECK(handshake->view().size() == sealed.size());
}

TEST_CASE("in clear any byte may have changed on the way: nothing of it is unaccounted for") {
    Node a{1};
    Node b{2};
    join(a, b);
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    options.reuse_port = false;
    const auto wire_tap = os::UdpSocket::open(options);
    a.peers[0].path.endpoint = wire_tap.local();
    const Bytes message = tap_message(from_a_to_b(a, b), pattern(40), 0);
    const auto accounted = [&b] {
        std::uint64_t out = b.lane->counters().records_opened.value();
        for (const Counter& counter : b.lane->counters().drops) {
            out += counter.value();
        }
        return out;
    };
    /** Of the record that carries the message; with all bytes as they were, it arrives. */
    const auto pass = [&](std::size_t at, std::uint8_t change) {
        give_session(a, 0, b, 0, crypto::Suite::clear); // else a counter would move the window on
        a.pod_sends(message);
        a.step();
        os::ReceiveSlots slots;
        const auto received = wire_tap.receive(slots);
        REQUIRE(received.datagrams.size() == 1);
        const ByteSpan record = received.datagrams[0].bytes;
        record[at] ^= change;
        const iovec data{record.data(), record.size()};
        REQUIRE(wire_tap.send(b.endpoint(), std::nullopt, {&data, 1}) == 0);
        b.step();
        return record.size();
    };
    const std::size_t size = pass(0, 0);
    CHECK(b.pod_receives() == std::vector<Bytes>{message});
    for (std::size_t at = 0; at < size; ++at) {
        for (unsigned change = 1; change < 256; change += change) {
            CAPTURE(at);
            CAPTURE(change);
            const std::uint64_t before = accounted();
            pass(at, static_cast<std::uint8_t>(change));
            CHECK(accounted() - before + (b.punted(Punt::Kind::handshake) ? 1 : 0) >= 1);
            b.pod_receives();
        }
    }
    CHECK(b.dropped(Drop::bad_tag) >= 8 * crypto::kTagSize);
    CHECK(b.dropped(Drop::malformed_record) > 0);
    CHECK(b.dropped(Drop::source_not_owned) > 0);
    pass(0, 0);
    CHECK(b.pod_receives() == std::vector<Bytes>{message});
}

} // namespace weave::dataplane::test
