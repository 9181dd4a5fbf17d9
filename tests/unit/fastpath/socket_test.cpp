// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Sockets on a veth whose other end is a plain host.
#include "tests/support/fast_rig.hpp"

#include <algorithm>

using namespace weave;
using namespace weave::test;
using namespace weave::fastpath;

namespace {

/** Makes an answer of what was received: checksums stay right, as they are sums. */
void turn_round(ByteSpan frame) {
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    std::swap_ranges(frame.begin() + 26, frame.begin() + 30, frame.begin() + 30);
    std::swap_ranges(frame.begin() + 34, frame.begin() + 36, frame.begin() + 36);
}

void echo_all(Rig& rig, Socket& socket, std::size_t rounds) {
    os::ReceiveSlots slots;
    for (std::size_t round = 0; round < rounds; ++round) {
        const std::size_t count = 1 + round % 70;
        for (std::size_t i = 0; i < count; ++i) {
            rig.send(kPort, 100 + round % 1300);
        }
        std::size_t seen = 0;
        while (seen < count) {
            REQUIRE(readable(socket.fd()));
            for (const ByteSpan& frame : socket.receive()) {
                REQUIRE(frame.size() == 42 + 100 + round % 1300);
                const ByteSpan out = socket.claim();
                REQUIRE(out.size() == 2048);
                std::copy(frame.begin(), frame.end(), out.begin());
                turn_round(out);
                out[40] = out[41] = 0; // what came over a veth has no checksum yet
                socket.submit(frame.size());
                ++seen;
            }
            socket.release();
            REQUIRE(socket.flush() == 0);
        }
        std::size_t back = 0;
        while (back < count) {
            REQUIRE(readable(rig.other->fd()));
            back += rig.other->receive(slots).datagrams.size();
        }
    }
}

} // namespace

TEST_CASE("datagrams come and go, and no frame is lost") {
    Rig rig;
    for (const Hook hook : {Hook::native, Hook::generic}) {
        CAPTURE(static_cast<int>(hook));
        const auto socket = rig.open(hook);
        CHECK_FALSE(socket->zero_copy()); // no veth can
        const std::uint64_t before = rig.filter.redirected();
        echo_all(rig, *socket, 140);
        const SocketProgress done = socket->progress();
        CHECK(done.received > 4000);
        CHECK(rig.filter.redirected() - before == done.received);
        CHECK(done.submitted == done.received);
        CHECK(done.completed == done.submitted);
        CHECK(done.dropped == 0);
        CHECK(done.strays == 0);
        CHECK(socket->sends_away() == 0);
        rig.filter.detach();
    }
}

TEST_CASE("what is not ours goes to the kernel's sockets") {
    Rig rig;
    const os::UdpSocket plain = os::UdpSocket::open({{kOwn, 7000}});
    const os::UdpSocket same_port = os::UdpSocket::open({{kOwn, kPort}});
    const auto socket = rig.open(Hook::native);
    rig.send(7000, 100);
    CHECK(readable(plain.fd()));
    rig.send(kPort, 100);
    CHECK(readable(socket->fd()));
    rig.filter.detach();
    rig.send(kPort, 100);
    CHECK(readable(same_port.fd()));
}

TEST_CASE("a train arrives, in one piece or many") {
    Rig rig;
    const os::UdpSocket same_port = os::UdpSocket::open({{kOwn, kPort}});
    os::ReceiveSlots slots;
    for (const Hook hook : {Hook::native, Hook::generic}) {
        const auto socket = rig.open(hook);
        Bytes text(40 * 1000, 0x55);
        const iovec data{text.data(), text.size()};
        REQUIRE(rig.other->send({kOwn, kPort}, std::nullopt, {&data, 1}, 1000) == 0);
        std::size_t bytes = 0;
        for (int attempt = 0; attempt < 200 && bytes < text.size(); ++attempt) {
            for (const ByteSpan& frame : socket->receive()) {
                bytes += frame.size() - 42;
            }
            socket->release();
            // Behind the driver a train is one frame, which no socket takes: it passes.
            for (const os::Datagram& datagram : same_port.receive(slots).datagrams) {
                bytes += datagram.bytes.size();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        CHECK(bytes == text.size());
        rig.filter.detach();
    }
}

TEST_CASE("nobody takes what comes: the kernel drops and counts, and all goes on") {
    Rig rig;
    const auto socket = rig.open(Hook::native);
    for (std::size_t i = 0; i < 2 * Umem::kReceiveFrames; ++i) {
        rig.send(kPort, 100);
    }
    std::size_t seen = 0;
    while (true) {
        const std::size_t some = socket->receive().size();
        socket->release();
        if (some == 0) {
            break;
        }
        seen += some;
    }
    CHECK(seen == Umem::kReceiveFrames);
    echo_all(rig, *socket, 3);
}

TEST_CASE("frames that nobody sends fill the line, and are sent later") {
    Rig rig;
    const auto socket = rig.open(Hook::native);
    Bytes frame(60);
    std::copy(kThere.octets.begin(), kThere.octets.end(), frame.begin());
    frame[12] = 0x88;
    frame[13] = 0xb5; // for experiments
    std::size_t count = 0;
    for (ByteSpan out = socket->claim(); !out.empty(); out = socket->claim()) {
        std::copy(frame.begin(), frame.end(), out.begin());
        socket->submit(frame.size());
        ++count;
    }
    CHECK(count == Umem::kSendFrames);
    CHECK(socket->sends_away() == count);
    // Who goes on asking is seen, though nothing more is given.
    CHECK(socket->progress().submitted == count);
    CHECK(socket->progress().refused == 1);
    CHECK(socket->claim().empty());
    CHECK(socket->progress().refused == 2);
    CHECK(socket->flush() == 0);
    CHECK(socket->sends_away() == 0);
    CHECK(socket->progress().completed == count);
}

TEST_CASE("an interface that vanishes is noticed by who sends") {
    auto rig = std::make_unique<Rig>();
    const auto socket = rig->open(Hook::native);
    rig->near.delete_link(rig->link);
    pollfd wait{socket->fd(), POLLIN, 0};
    CHECK(::poll(&wait, 1, 0) == 0); // whoever only receives has to look for the interface
    CHECK(socket->receive().empty());
    CHECK_FALSE(socket->claim().empty());
    socket->submit(60);
    CHECK(socket->flush() != 0);
    CHECK_THROWS_WITH_AS(Socket(*rig->umem, "fast0", 0, 0, Hook::native),
                         "cannot open an AF_XDP socket on queue 0 of fast0: No such device",
                         std::system_error);
}

TEST_CASE("a queue has one socket") {
    Rig rig;
    const auto socket = rig.open(Hook::native);
    Umem second{2048, 1};
    CHECK_THROWS_WITH_AS(
        Socket(second, "fast0", 0, 0, Hook::native),
        "cannot open an AF_XDP socket on queue 0 of fast0: Device or resource busy",
        std::system_error);
    CHECK_THROWS_AS(Socket(second, "fast0", 5000, 0, Hook::native), std::system_error);
}
