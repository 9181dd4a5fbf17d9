// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/udp_socket.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include <netinet/in.h>
#include <poll.h>

using namespace weave;
using namespace weave::os;

namespace {

UdpSocket open_on(const std::string& address, std::uint16_t port = 0) {
    UdpOptions options;
    options.bind = {IpAddress::parse(address).value(), port};
    return UdpSocket::open(options);
}

bool wait_readable(const UdpSocket& socket, int milliseconds = 2000) {
    pollfd poll{socket.fd(), POLLIN, 0};
    return ::poll(&poll, 1, milliseconds) == 1;
}

int send_bytes(const UdpSocket& socket,
               const Endpoint& to,
               const Bytes& data,
               std::optional<IpAddress> source = {},
               std::uint16_t segment = 0) {
    const iovec part{const_cast<std::uint8_t*>(data.data()), data.size()};
    return socket.send(to, source, {&part, 1}, segment);
}

Bytes numbered(std::size_t size) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::uint8_t>(i * 7);
    }
    return out;
}

} // namespace

TEST_CASE("a datagram arrives with its sender, its local address and its size, on both families") {
    for (const std::string address : {"127.0.0.1", "::1"}) {
        const UdpSocket a = open_on(address);
        const UdpSocket b = open_on(address);
        ReceiveSlots slots{4};
        CHECK(b.receive(slots).error == EAGAIN);
        REQUIRE(send_bytes(a, b.local(), numbered(100)) == 0);
        REQUIRE(wait_readable(b));
        const Received got = b.receive(slots);
        REQUIRE(got.datagrams.size() == 1);
        const Datagram& one = got.datagrams[0];
        CHECK(one.from == a.local());
        CHECK(one.local == b.local().address);
        CHECK(Bytes(one.bytes.begin(), one.bytes.end()) == numbered(100));
        CHECK(one.segment_size == 100);
        CHECK_FALSE(one.truncated);
    }
}

TEST_CASE("the source address is the caller's choice") {
    const UdpSocket a = open_on("0.0.0.0");
    const UdpSocket b = open_on("127.0.0.1");
    const auto chosen = IpAddress::parse("127.0.0.5");
    REQUIRE(send_bytes(a, b.local(), numbered(10), chosen) == 0);
    REQUIRE(wait_readable(b));
    ReceiveSlots slots{1};
    const Received got = b.receive(slots);
    CHECK(got.datagrams[0].from == Endpoint{*chosen, a.local().port});
}

TEST_CASE("a train is sent in one call and comes in as equal pieces") {
    for (const std::string address : {"127.0.0.1", "::1"}) {
        const UdpSocket a = open_on(address);
        const UdpSocket b = open_on(address);
        const Bytes data = numbered(5 * 1000 + 10);
        REQUIRE(send_bytes(a, b.local(), data, {}, 1000) == 0);
        Bytes seen;
        ReceiveSlots slots{4};
        while (seen.size() < data.size()) {
            REQUIRE(wait_readable(b));
            for (const Datagram& one : b.receive(slots).datagrams) {
                CHECK((one.segment_size == 1000 || one.segment_size == one.bytes.size()));
                seen.insert(seen.end(), one.bytes.begin(), one.bytes.end());
            }
        }
        CHECK(seen == data);
    }
}

TEST_CASE("a data slot that is too small says so") {
    const UdpSocket a = open_on("127.0.0.1");
    const UdpSocket b = open_on("127.0.0.1");
    REQUIRE(send_bytes(a, b.local(), numbered(200)) == 0);
    REQUIRE(wait_readable(b));
    ReceiveSlots slots{1, 100};
    const Received got = b.receive(slots);
    CHECK(got.datagrams[0].truncated);
    CHECK(got.datagrams[0].bytes.size() == 100);
}

TEST_CASE("ECN marks are seen") {
    const UdpSocket a = open_on("127.0.0.1");
    const UdpSocket b = open_on("127.0.0.1");
    const int tos = 3;
    REQUIRE(::setsockopt(a.fd(), IPPROTO_IP, IP_TOS, &tos, sizeof tos) == 0);
    REQUIRE(send_bytes(a, b.local(), numbered(1)) == 0);
    REQUIRE(wait_readable(b));
    ReceiveSlots slots{1};
    CHECK(b.receive(slots).datagrams[0].tos == 3);
}

TEST_CASE("sending to the other family, or more than a datagram holds, is an error value") {
    const UdpSocket a = open_on("127.0.0.1");
    CHECK(send_bytes(a, Endpoint{IpAddress::parse("::1").value(), 9}, numbered(1)) == EAFNOSUPPORT);
    CHECK(send_bytes(a, Endpoint{IpAddress::parse("127.0.0.1").value(), 9}, numbered(65600)) ==
          EMSGSIZE);
}

TEST_CASE("lanes: the low six bits at offset 4 pick the socket") {
    const UdpSocket first = open_on("127.0.0.1");
    const std::uint16_t port = first.local().port;
    std::vector<UdpSocket> group;
    for (int i = 0; i < 2; ++i) {
        group.push_back(open_on("127.0.0.1", port));
    }
    group.insert(group.begin(),
                 open_on("127.0.0.2", port)); // another address: no part of the group
    const std::array<const UdpSocket*, 3> lanes{&first, &group[1], &group[2]};
    attach_lane_steering(first, 3);
    const UdpSocket sender = open_on("127.0.0.1");
    ReceiveSlots slots{4};
    for (unsigned lane = 0; lane < 64; ++lane) {
        const Bytes data{4, 0, 0, 0, static_cast<std::uint8_t>(0x80 | lane), 1, 2, 3};
        REQUIRE(send_bytes(sender, first.local(), data) == 0);
        const UdpSocket& expected = *lanes[lane % 3];
        REQUIRE(wait_readable(expected));
        CHECK(expected.receive(slots).datagrams.size() == 1);
    }
    REQUIRE(send_bytes(sender, first.local(), {1, 2, 3}) == 0);
    REQUIRE(wait_readable(first));
}

TEST_CASE("buffers are read back and drops are counted") {
    const UdpSocket a = open_on("127.0.0.1");
    UdpOptions options;
    options.bind = {IpAddress::parse("127.0.0.1").value(), 0};
    options.buffer_bytes = 4096;
    const UdpSocket b = UdpSocket::open(options);
    CHECK(a.receive_buffer() > b.receive_buffer());
    CHECK(b.send_buffer() >= 4096);
    CHECK(b.kernel_drops() == 0);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(send_bytes(a, b.local(), numbered(1000)) == 0);
    }
    CHECK(b.kernel_drops() > 0);
}

TEST_CASE("a port that is taken is a sentence") {
    UdpOptions options;
    options.bind = {IpAddress::parse("127.0.0.1").value(), 0};
    options.reuse_port = false;
    const UdpSocket a = UdpSocket::open(options);
    options.bind = a.local();
    CHECK_THROWS_WITH_AS(UdpSocket::open(options),
                         doctest::Contains("cannot bind UDP 127.0.0.1:"),
                         std::system_error);
}
