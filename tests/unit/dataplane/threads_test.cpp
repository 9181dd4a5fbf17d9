// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Lanes on threads of their own while the control thread changes all that they read. The thread
// sanitizer is the judge.
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <array>
#include <thread>

#include <poll.h>
#include <sys/socket.h>

namespace weave::dataplane::test {
namespace {

const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");

/** A node with two lanes. Its peers send all to the first one's socket, so that half of it changes
 * lanes here. */
class Host {
  public:
    explicit Host(std::uint8_t number)
        : handoff_(2)
        , node(number, kLoopback, {0, 2, &handoff_})
        , socket_(open_socket()) {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
        tap_.reset(ends[0]);
        pod_.reset(ends[1]);
        LaneConfig config;
        config.index = 1;
        config.lanes = 2;
        config.tap = tap_.get();
        config.udp4 = &socket_;
        config.cell = &node.cell;
        config.control = &node.control;
        config.handoff = &handoff_;
        second_ = std::make_unique<Lane>(config);
    }

    void start() {
        for (Lane* lane : lanes()) {
            threads_.emplace_back([lane] { lane->run(); });
        }
    }

    void halt() {
        for (Lane* lane : lanes()) {
            lane->stop();
        }
        for (std::thread& thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }

    /** One frame by each queue of the TAP; what came is thrown away. */
    void pods_send(ByteView message) {
        std::array<std::uint8_t, TapPort::kBufferSize> scrap;
        for (const int queue : {node.tap_pod.get(), pod_.get()}) {
            pollfd room{queue, POLLOUT, 0};
            REQUIRE(::poll(&room, 1, 5000) == 1);
            REQUIRE(::send(queue, message.data(), message.size(), 0) ==
                    static_cast<ssize_t>(message.size()));
            while (::recv(queue, scrap.data(), scrap.size(), 0) > 0) {
            }
        }
    }

    /** The key of before is good for a while. */
    void keep_session() { node.sessions = {node.peers[0].session}; }

    /** An address that was not there, and back to what was. */
    void change_tables(unsigned round) {
        const MacAddress mac{{2, 0, 0, 0, 1, static_cast<std::uint8_t>(round)}};
        const AddressTable before = node.addresses;
        const AddressChange change{mac, 0};
        node.addresses = before.with({&change, 1});
        node.publish();
        node.peers[0].state->set_trains(round % 2 == 0 ? TrainShape::any : TrainShape::short_tail);
        node.addresses = before;
        node.publish();
    }

    void probe() {
        for (Lane* lane : lanes()) {
            if (Injection* slot = lane->injections().claim()) {
                slot->kind = Injection::Kind::record;
                slot->peer = 0;
                slot->record = wire::RecordKind::probe;
                slot->pad_to = 1400;
                slot->length = 8;
                lane->injections().publish();
                lane->wake();
            }
        }
    }

    /** All that the control thread reads of lanes; how many punts of that kind there were. */
    unsigned look(Punt::Kind kind) {
        unsigned found = 0;
        for (Lane* lane : lanes()) {
            while (const Punt* punt = lane->punts().front()) {
                found += punt->kind == kind ? 1 : 0;
                lane->punts().release();
            }
        }
        const DataSession& session = *node.peers[0].session;
        const auto totals = node.peers[0].state->totals();
        CHECK(totals.rx_bytes >= totals.rx_packets);
        CHECK(session.failures() == 0);
        CHECK(session.most_sealed() < 1'000'000);
        return found;
    }

    [[nodiscard]] std::array<Lane*, 2> lanes() const { return {node.lane.get(), second_.get()}; }

  private:
    static os::UdpSocket open_socket() {
        os::UdpOptions options;
        options.bind = {kLoopback, 0};
        options.reuse_port = false;
        return os::UdpSocket::open(options);
    }

    Handoff handoff_;

  public:
    Node node;

  private:
    os::UdpSocket socket_;
    os::UniqueFd tap_, pod_;
    std::unique_ptr<Lane> second_;
    std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE("lanes at work, halted and started again, while all that they read changes") {
    Host a{1}, b{2};
    join(a.node, b.node);
    const Bytes there = tap_message(from_a_to_b(a.node, b.node), pattern(20000), 1324);
    const Bytes back = tap_message(from_a_to_b(b.node, a.node), pattern(500), 0);
    std::array<unsigned, 2> acks{};
    for (unsigned turn = 0; turn < 3; ++turn) {
        a.start();
        b.start();
        for (unsigned round = 0; round < 40; ++round) {
            a.pods_send(there);
            b.pods_send(back);
            if (round % 8 == 7) {
                a.keep_session();
                b.keep_session();
                give_session(a.node, 0, b.node, 0);
            }
            a.change_tables(round);
            b.change_tables(round);
            a.probe();
            b.probe();
            acks[0] += a.look(Punt::Kind::probe_ack);
            acks[1] += b.look(Punt::Kind::probe_ack);
        }
        a.halt();
        b.halt();
    }
    CHECK(acks[0] > 0);
    CHECK(acks[1] > 0);
    for (const Host* host : {&a, &b}) {
        for (const Lane* lane : host->lanes()) {
            CHECK(lane->counters().records_opened.value() > 0);
            CHECK(lane->counters().tap_writes.value() > 0);
            CHECK(lane->counters().dropped(Drop::wrong_lane) == 0);
            CHECK(lane->counters().dropped(Drop::bad_tag) == 0);
            CHECK(lane->counters().dropped(Drop::replayed) == 0);
        }
    }
}

} // namespace weave::dataplane::test
