// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "frames.hpp"
#include "node.hpp"
#include "watch.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weave::dataplane::test {
namespace {

/** A lane at work on a thread of its own, watched from its first batch to its last. */
class WatchedLane {
  public:
    explicit WatchedLane(Lane& lane)
        : lane_(lane)
        , thread_([this] {
            start_watching();
            lane_.run();
            doings_ = stop_watching();
        }) {}

    ~WatchedLane() { end(); }

    WatchedLane(const WatchedLane&) = delete;
    WatchedLane& operator=(const WatchedLane&) = delete;

    void check() {
        end();
        CHECK(doings_.batches > 0);
        CHECK(doings_.allocations == 0);
        CHECK(doings_.frees == 0);
        CHECK(doings_.locks == 0);
        CHECK(doings_.clocks <= doings_.batches);
        CHECK(doings_.system_calls == 0);
        CHECK(doings_.first_system_call == -1);
    }

  private:
    void end() {
        if (thread_.joinable()) {
            lane_.stop();
            thread_.join();
        }
    }

    Lane& lane_;
    Doings doings_;
    std::thread thread_;
};

bool soon(const std::function<bool()>& true_now) {
    for (int i = 0; i < 5000; ++i) {
        if (true_now()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return false;
}

/** What each node's lane is given, and taken of what it gives away. */
class Crowd {
  public:
    explicit Crowd(std::vector<Node*> nodes)
        : nodes_(std::move(nodes)) {
        for (const Node* node : nodes_) {
            sent_.push_back(node->lane->counters().tap_reads.value());
        }
    }

    /** Into the TAP of node `from`, as soon as there is room. */
    void pod_sends(std::size_t from, ByteView message) {
        pollfd room{nodes_[from]->tap_pod.get(), POLLOUT, 0};
        REQUIRE(::poll(&room, 1, 5000) == 1);
        nodes_[from]->pod_sends(message);
        ++sent_[from];
    }

    /** Waits until the lanes have taken all that was sent, and empties what they fill. */
    void settle() {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            REQUIRE(
                soon([&] { return nodes_[i]->lane->counters().tap_reads.value() == sent_[i]; }));
        }
        for (Node* node : nodes_) {
            node->pod_receives();
            while (node->lane->punts().front() != nullptr) {
                node->lane->punts().release();
            }
        }
    }

  private:
    std::vector<Node*> nodes_;
    std::vector<std::uint64_t> sent_;
};

os::UdpSocket stranger() {
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    options.reuse_port = false;
    return os::UdpSocket::open(options);
}

/** A datagram that `from` sealed for its peer `index`, which did not get it. */
Bytes intercepted(Node& from, PeerIndex index, const Node& to) {
    const os::UdpSocket wire_tap = stranger();
    const Path path =
        std::exchange(from.peers[index].path, {Path::Kind::direct, wire_tap.local(), {}, kNoPeer});
    from.publish();
    from.pod_sends(plain(make_raw(from.pod_mac, to.pod_mac, 200)));
    from.step();
    from.peers[index].path = path;
    from.publish();
    os::ReceiveSlots slots;
    const auto received = wire_tap.receive(slots);
    REQUIRE(received.datagrams.size() == 1);
    const ByteSpan bytes = received.datagrams[0].bytes;
    return {bytes.begin(), bytes.end()};
}

void send(const os::UdpSocket& socket, const Node& to, ByteView bytes) {
    const iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    CHECK(socket.send(to.endpoint(), std::nullopt, {&data, 1}) == 0);
}

FrameSpec udp(FrameSpec spec) {
    spec.protocol = kProtocolUdp;
    return spec;
}

/** What pods send to each other: large, small, to all, too large, and to nobody. */
void pods_talk(Crowd& crowd, std::size_t from, const Node& sender, const Node& receiver) {
    FrameSpec spec = from_a_to_b(sender, receiver);
    crowd.pod_sends(from, tap_message(spec, pattern(60000), 1324));
    crowd.pod_sends(from, tap_message(udp(spec), pattern(12000), 1200));
    for (std::size_t i = 0; i < 40; ++i) {
        crowd.pod_sends(from, tap_message(udp(spec), pattern(18 + 30 * i), 0));
    }
    crowd.pod_sends(from, tap_message(spec, pattern(1400), 0));
    spec.to = *MacAddress::parse("ff:ff:ff:ff:ff:ff");
    crowd.pod_sends(from, tap_message(udp(spec), pattern(4000), 1000));
    spec.to = *MacAddress::parse("02:00:00:00:00:55");
    crowd.pod_sends(from, tap_message(udp(spec), pattern(100), 0));
    spec = from_a_to_b(sender, receiver);
    crowd.pod_sends(from, tap_message(udp(spec), pattern(1470), 0));
    spec.dont_fragment = false;
    crowd.pod_sends(from, tap_message(udp(spec), pattern(1470), 0));
    spec.from = *MacAddress::parse("02:00:00:00:00:77");
    crowd.pod_sends(from, tap_message(spec, pattern(10), 0));
    crowd.pod_sends(from, plain(pattern(9)));
}

/** Datagrams of every first byte and any length, at random. */
void strangers_talk(const os::UdpSocket& socket, const Node& to, std::mt19937& random) {
    for (unsigned kind = 0; kind < 10; ++kind) {
        Bytes bytes(1 + random() % 1400);
        for (std::uint8_t& byte : bytes) {
            byte = static_cast<std::uint8_t>(random());
        }
        bytes[0] = static_cast<std::uint8_t>(kind);
        send(socket, to, bytes);
    }
}

/** A datagram that was seen before: as it was, altered, and to a session that nobody has. */
void replay(const os::UdpSocket& socket, const Node& to, const Bytes& seen, int round) {
    send(socket, to, seen);
    Bytes altered = seen;
    altered.back() ^= 1;
    altered[8] = static_cast<std::uint8_t>(200 + round); // a counter that was not seen
    send(socket, to, altered);
    Bytes unknown = seen;
    unknown[7] ^= 0x40; // of the receiver index
    send(socket, to, unknown);
}

Injection about_pending(Injection::Kind kind, PeerIndex peer) {
    Injection out;
    out.kind = kind;
    out.peer = peer;
    return out;
}

Injection probe(PeerIndex peer) {
    Injection out;
    out.kind = Injection::Kind::record;
    out.peer = peer;
    out.record = wire::RecordKind::probe;
    out.pad_to = 1400;
    out.length = 8;
    return out;
}

} // namespace

TEST_CASE("what the hooks must find they find") {
    Doings doings;
    std::thread{[&] {
        start_watching();
        Bytes bytes(100);
        bytes[0] = static_cast<std::uint8_t>(Clock::now().time_since_epoch().count());
        std::mutex mutex;
        const std::lock_guard lock{mutex};
        std::fputs("", stderr);
        ::getppid();
        doings = stop_watching();
        CHECK(bytes.size() == 100);
    }}.join();
    CHECK(doings.allocations == 1);
    CHECK(doings.clocks == 1);
    CHECK(doings.locks == 1);
    CHECK(doings.system_calls == 1);
    CHECK(doings.first_system_call == SYS_getppid);
}

TEST_CASE(
    "packets of every kind: no allocation, no lock, one clock reading a batch, no other call") {
    Node a{1}, b{2}, c{3}, relay{4}, late{5};
    join(a, b);
    join(a, c);
    join(a, relay);
    join(c, relay);
    // No session before the last rounds: frames for it wait.
    const PeerIndex late_at_a = a.add_peer(late);
    const PeerIndex a_at_late = late.add_peer(a);
    // a and c reach each other through the relay only.
    a.peers[1].path = {Path::Kind::relay, {}, {}, 2};
    c.peers[0].path = {Path::Kind::relay, {}, {}, 1};
    const Bytes repeated = intercepted(a, 0, b);
    c.publish();
    late.publish();
    const os::UdpSocket thief = stranger();
    std::mt19937 random{7};
    Crowd crowd{{&a, &b, &c, &relay, &late}};
    {
        WatchedLane lane_a{*a.lane}, lane_b{*b.lane}, lane_c{*c.lane}, lane_r{*relay.lane};
        WatchedLane lane_l{*late.lane};
        for (int round = 0; round < 20; ++round) {
            pods_talk(crowd, 0, a, b);
            pods_talk(crowd, 1, b, a);
            pods_talk(crowd, 0, a, c);
            pods_talk(crowd, 2, c, a);
            pods_talk(crowd, 0, a, late);
            for (const Node* node : {&a, &b, &c, &relay}) {
                strangers_talk(thief, *node, random);
            }
            replay(thief, b, repeated, round);
            if (round == 18) {
                give_session(a, late_at_a, late, a_at_late);
            }
            for (const auto kind : {Injection::Kind::flush_pending,
                                    Injection::Kind::drop_stale,
                                    Injection::Kind::drop_pending}) {
                a.inject(about_pending(kind, late_at_a));
                if (round % 2 == 0) {
                    break; // they go on waiting
                }
            }
            a.inject(probe(0));
            c.inject(probe(0));
            b.publish(); // the tables change under way
            crowd.settle();
        }
        for (WatchedLane* lane : {&lane_a, &lane_b, &lane_c, &lane_r, &lane_l}) {
            lane->check();
        }
    }
    // All of it was there.
    CHECK(b.lane->counters().records_opened.value() > 1000);
    CHECK(relay.lane->counters().relayed.value() > 1000);
    CHECK(b.dropped(Drop::replayed) >= 19);
    CHECK(b.dropped(Drop::bad_tag) > 0);
    CHECK(b.dropped(Drop::malformed_datagram) > 0);
    CHECK(b.dropped(Drop::unknown_kind) > 0);
    CHECK(b.dropped(Drop::unknown_receiver) > 0);
    CHECK(b.dropped(Drop::source_not_owned) > 0);
    CHECK(a.dropped(Drop::too_big) > 0);
    CHECK(a.dropped(Drop::malformed_frame) > 0);
    CHECK(a.dropped(Drop::queue_full) > 0);
    CHECK(a.dropped(Drop::no_session) > 0);
    CHECK(late.lane->counters().records_opened.value() > 0);
}

TEST_CASE("what passes from lane to lane is neither allocated nor locked for") {
    const IpAddress loopback = *IpAddress::parse("127.0.0.1");
    Handoff handoff{2};
    Node a{1, loopback, {1, 2, nullptr}};
    Node b{2, loopback, {0, 2, &handoff}};
    // Lane 1 of b has no socket of its own; its TAP is what the test takes b's frames from.
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
    Crowd crowd{{&a}};
    {
        WatchedLane lane_a{*a.lane}, first_lane{*b.lane}, second_lane{second};
        for (int round = 0; round < 20; ++round) {
            crowd.pod_sends(0, tap_message(from_a_to_b(a, b), pattern(30000), 1324));
            crowd.settle();
            b.pod_receives();
        }
        CHECK(soon([&] { return second.counters().records_opened.value() == 20 * 23; }));
        for (WatchedLane* lane : {&lane_a, &first_lane, &second_lane}) {
            lane->check();
        }
    }
}

} // namespace weave::dataplane::test
