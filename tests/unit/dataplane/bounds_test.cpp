// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/egress.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/pending.hpp"
#include "dataplane/punter.hpp"
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>

namespace weave::dataplane::test {
namespace {

/** The UDP payload of an IPv6 packet from its fragments on the TAP, whose checksum is checked. */
Bytes reassembled6(const std::vector<Bytes>& messages) {
    constexpr std::size_t kIp = sizeof(VnetHeader) + 14;
    Bytes whole;
    for (const Bytes& message : messages) {
        const bool last = &message == &messages.back();
        const std::uint16_t field = load_be16(&message[kIp + 42]);
        REQUIRE(message[kIp + 6] == kProtocolFragment);
        CHECK(load_be16(&message[kIp + 4]) == message.size() - kIp - 40);
        CHECK(load_be32(&message[kIp + 44]) == load_be32(&messages[0][kIp + 44]));
        CHECK((field & 1) == (last ? 0 : 1));
        if (whole.empty()) {
            whole.assign(message.begin() + sizeof(VnetHeader), message.begin() + kIp + 40);
            whole[14 + 6] = message[kIp + 40];
        }
        CHECK((field & 0xfff8u) == whole.size() - 54);
        whole.insert(whole.end(), message.begin() + kIp + 48, message.end());
    }
    store_be16(&whole[14 + 4], whole.size() - 54);
    CHECK(messages.size() == 2);
    CHECK(checksums_are_right(whole));
    return payload_of(whole);
}

} // namespace

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

TEST_CASE("a sender that does not listen does not silence the answers for others") {
    SenderLimit limit{20, std::chrono::milliseconds{10}};
    const TimePoint now = Clock::now();
    const MacAddress deaf{{2, 0, 0, 0, 0, 1}};
    while (limit.allow(deaf, now)) {
    }
    int others = 0;
    for (std::uint8_t i = 2; i < 34; ++i) {
        others += limit.allow({{2, 0, 0, 0, 0, i}}, now) ? 1 : 0;
    }
    CHECK(others > 16);
}

TEST_CASE("a MAC that nobody owns is told of, seldom, and its frames go on") {
    Node a{1};
    Node b{2};
    join(a, b);
    const MacAddress guest = *MacAddress::parse("02:00:00:00:00:77");
    for (int i = 0; i < 50; ++i) {
        a.pod_sends(plain(make_raw(guest, b.pod_mac, 100)));
        a.step();
    }
    int told = 0;
    while (const auto punt = a.punted(Punt::Kind::new_source)) {
        CHECK(mac_at(punt->bytes.data()) == guest);
        ++told;
    }
    CHECK(told >= 4);
    CHECK(told < 20);
    CHECK(a.peers[0].state->totals().tx_packets == 50);
    // Those that are owned, here or elsewhere, are nothing new.
    const AddressChange change{guest, kLocalPeer};
    a.addresses = a.addresses.with({&change, 1});
    a.publish();
    a.pod_sends(plain(make_raw(guest, b.pod_mac, 100)));
    a.pod_sends(plain(make_raw(b.pod_mac, guest, 100)));
    a.step();
    CHECK_FALSE(a.punted(Punt::Kind::new_source).has_value());
}

TEST_CASE("IPv6 on an underlay that is too narrow for it: TCP is cut, others are fragmented") {
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
    // As much as every sender may send: in fragments.
    const Bytes payload = pattern(1232);
    a.pod_sends(tap_message(spec, payload, 0));
    a.step();
    b.step();
    CHECK(reassembled6(b.pod_receives()) == payload);
    CHECK(a.dropped(Drop::too_big) == 0);
    // More: the sender is told.
    a.pod_sends(tap_message(spec, pattern(1233), 0));
    a.step();
    const auto punt = a.punted(Punt::Kind::too_big);
    REQUIRE(punt.has_value());
    CHECK(punt->mtu == 1280);
}

TEST_CASE("while the path's size is being searched nobody is told of it") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.peers[0].mtu = 1280;
    a.peers[0].mtu_settled = false;
    a.publish();
    FrameSpec spec = from_a_to_b(a, b);
    const Bytes payload = pattern(1300);
    a.pod_sends(tap_message(spec, payload, 0));
    a.step();
    b.step();
    CHECK(joined_payloads(delivered(b)) == payload);
    spec.protocol = kProtocolUdp;
    a.pod_sends(tap_message(spec, payload, 0));
    a.step();
    CHECK(a.dropped(Drop::size_unmeasured) == 1);
    CHECK(a.dropped(Drop::too_big) == 0);
    CHECK_FALSE(a.punted(Punt::Kind::too_big).has_value());
    a.peers[0].mtu_settled = true;
    a.publish();
    a.pod_sends(tap_message(spec, payload, 0));
    a.step();
    CHECK(a.punted(Punt::Kind::too_big).has_value());
}

TEST_CASE("UDP of a superframe is fragmented like UDP that comes alone") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.peers[0].mtu = 1280;
    a.publish();
    FrameSpec spec = from_a_to_b(a, b);
    spec.protocol = kProtocolUdp;
    spec.dont_fragment = false;
    a.pod_sends(tap_message(spec, pattern(3000), 1300));
    a.step();
    b.step();
    CHECK(a.dropped(Drop::too_big) == 0);
    // Two datagrams of 1300 bytes in two fragments each, and one of 400.
    CHECK(b.pod_receives().size() == 5);
    spec.dont_fragment = true;
    a.pod_sends(tap_message(spec, pattern(3000), 1300));
    a.step();
    CHECK(a.punted(Punt::Kind::too_big).has_value());
}

TEST_CASE("datagrams that need the path's whole size are counted") {
    Node a{1};
    Node b{2};
    join(a, b);
    const auto large = [&](std::size_t size) {
        a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, size)));
        a.step();
        return a.peers[0].state->totals().tx_large;
    };
    CHECK(large(100) == 0);
    CHECK(large(1280 - 60 - 4) == 0);
    CHECK(large(1280 - 60 - 3) == 1);
    a.peers[0].mtu = 1280;
    a.publish();
    CHECK(large(600) == 2);
}

TEST_CASE("a datagram that the kernel finds too big is reported") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.peers[0].mtu = 65535;
    a.publish();
    // Options make the packet larger than the loopback interface carries.
    const Bytes options(8, 1);
    REQUIRE(::setsockopt(a.udp.fd(), IPPROTO_IP, IP_OPTIONS, options.data(), 8) == 0);
    a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 65470)));
    a.step();
    const auto punt = a.punted(Punt::Kind::path_too_big);
    REQUIRE(punt.has_value());
    CHECK(punt->peer == 0);
}

TEST_CASE("what waits for a peer is bounded over all lanes") {
    const auto state = std::make_shared<PeerState>(2);
    const TimePoint now = Clock::now();
    PendingFrames lanes[2];
    std::size_t dropped = 0;
    for (int i = 0; i < 100; ++i) {
        dropped += lanes[i % 2].add(1, state, {}, Bytes(100), now);
    }
    CHECK(dropped == 36);
    CHECK(lanes[0].drop_all(1) + lanes[1].drop_all(1) == 64);
    CHECK(lanes[0].add(1, state, {}, Bytes(100), now) == 0);
    // A lane that holds nothing cannot make room where others hold all.
    for (int i = 0; i < 64; ++i) {
        lanes[0].add(1, state, {}, Bytes(100), now);
    }
    CHECK(lanes[1].add(1, state, {}, Bytes(100), now) == 1);
}

TEST_CASE("however many small frames share a datagram, it fits the way to another lane") {
    Node a{1};
    Node b{2};
    join(a, b);
    a.peers[0].mtu = 65000;
    a.publish();
    for (int i = 0; i < 30; ++i) {
        a.pod_sends(plain(make_raw(a.pod_mac, b.pod_mac, 1000)));
    }
    a.step();
    const std::uint64_t sealed = a.lane->counters().records_sealed.value();
    CHECK(sealed >= (30 * 1004 + Handoff::kMaxDatagram - 1) / Handoff::kMaxDatagram);
    CHECK(sealed < 10);
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
    const auto state = std::make_shared<PeerState>(1);
    pending.add(1, state, {}, frame, start);
    pending.add(1, state, {}, frame, start + std::chrono::seconds{3});
    CHECK(pending.drop_stale(1, start + std::chrono::seconds{5}) == 0);
    CHECK(pending.drop_stale(1, start + std::chrono::seconds{6}) == 1);
    CHECK(pending.drop_stale(2, start + std::chrono::seconds{6}) == 0);
    CHECK(pending.count(1) == 1);
    CHECK(pending.drop_all(1) == 1);
    CHECK(pending.drop_all(1) == 0);
    CHECK_FALSE(state->waiting().occupied());
}

TEST_CASE("frames that wait come out as they went in, in their order, and leave their memory") {
    constexpr std::size_t kBlocks = 200;
    PendingFrames pending{kBlocks * BlockPool::kBlockSize};
    const TimePoint now = Clock::now();
    const std::array states{std::make_shared<PeerState>(1), std::make_shared<PeerState>(1)};
    Bytes into(70000);
    for (int round = 0; round < 50; ++round) {
        // 200 blocks hold one superframe of 64 KB, and a few frames besides.
        std::vector<Bytes> sent;
        for (const std::size_t size : {std::size_t{65550},
                                       std::size_t{0},
                                       std::size_t{1},
                                       std::size_t{471},
                                       std::size_t{1500}}) {
            sent.push_back(pattern(size + static_cast<std::size_t>(round)));
            VnetHeader vnet;
            vnet.gso_size = static_cast<std::uint16_t>(size % 1000);
            CHECK(pending.add(3, states[0], vnet, sent.back(), now) == 0);
            CHECK(pending.add(4, states[1], {}, Bytes(10), now) == 0);
        }
        CHECK(pending.drop_all(4) == sent.size());
        for (const Bytes& one : sent) {
            const auto taken = pending.take(3, into);
            REQUIRE(taken.has_value());
            CHECK(Bytes(taken->bytes.begin(), taken->bytes.end()) == one);
            CHECK(taken->vnet.gso_size == (one.size() - static_cast<std::size_t>(round)) % 1000);
        }
        CHECK_FALSE(pending.take(3, into).has_value());
        CHECK(pending.sizes().total == 0);
        CHECK_FALSE(states[0]->waiting().occupied());
    }
}

TEST_CASE("where there is no memory left a peer's own oldest frames make room, and no other's") {
    constexpr std::size_t kBlocks = 20;
    PendingFrames pending{kBlocks * BlockPool::kBlockSize};
    const TimePoint now = Clock::now();
    const auto first = std::make_shared<PeerState>(1);
    const auto second = std::make_shared<PeerState>(1);
    const Bytes frame(1300); // three blocks
    for (int i = 0; i < 6; ++i) {
        CHECK(pending.add(1, first, {}, frame, now) == 0);
    }
    CHECK(pending.add(1, first, {}, frame, now) == 1);
    CHECK(pending.add(2, second, {}, frame, now) == 1);
    CHECK(pending.count(1) == 6);
    CHECK(pending.count(2) == 0);
    CHECK_FALSE(second->waiting().occupied());
    CHECK(pending.add(1, first, {}, Bytes(65536), now) == 7);
    CHECK(pending.count(1) == 0);
    CHECK_FALSE(first->waiting().occupied());
    // A place that another peer has now.
    CHECK(pending.add(1, first, {}, frame, now) == 0);
    CHECK(pending.add(1, second, {}, frame, now) == 1);
    CHECK_FALSE(first->waiting().occupied());
    CHECK(pending.count(1) == 1);
}

} // namespace weave::dataplane::test
