// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/lanes.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <stdexcept>

#include <netinet/in.h>
#include <sys/socket.h>

using namespace weave;

namespace {

/** Without a TAP. */
daemon::LaneDescriptors on_loopback(std::size_t queues, bool paired) {
    os::Tap tap;
    tap.queues.resize(queues);
    return daemon::open_sockets({0, {*IpAddress::parse("127.0.0.1")}}, std::move(tap), paired);
}

int hops_of(const os::UdpSocket& socket) {
    int hops = 0;
    socklen_t size = sizeof hops;
    REQUIRE(::getsockopt(socket.fd(), IPPROTO_IP, IP_TTL, &hops, &size) == 0);
    return hops;
}

} // namespace

TEST_CASE("every second lane of pairs is for sparse flows") {
    boost::asio::io_context io;
    daemon::Lanes lanes(io, on_loopback(4, true), true);
    CHECK(lanes.count() == 4);
    CHECK(lanes.sparse_count() == 2);
    CHECK(&lanes.lane_of_queue(0) == &lanes.lane(0));
    CHECK(&lanes.lane_of_queue(1) == &lanes.lane(2));
    CHECK(&lanes.lane_of_queue(2) == &lanes.lane(0));
    const auto& sockets = lanes.descriptors().udp4;
    CHECK(hops_of(sockets[1]) == hops_of(sockets[0]) - 1);
    CHECK(hops_of(sockets[2]) == hops_of(sockets[0]));
    CHECK(hops_of(sockets[3]) == hops_of(sockets[1]));

    daemon::Lanes alone(io, on_loopback(3, false), false);
    CHECK(alone.sparse_count() == 0);
    CHECK(&alone.lane_of_queue(4) == &alone.lane(1));
    CHECK(hops_of(alone.descriptors().udp4[1]) == hops_of(alone.descriptors().udp4[0]));
}

TEST_CASE("an injection that finds the lane's ring full is counted") {
    boost::asio::io_context io;
    daemon::Lanes lanes(io, on_loopback(1, false), false); // it never runs
    const auto nothing = [](dataplane::Injection&) {};
    std::size_t room = 0;
    while (room < 100'000 && lanes.inject(0, nothing)) {
        ++room;
    }
    CHECK(room == dataplane::LaneConfig{}.ring_slots);
    CHECK(lanes.injections_lost() == 1);
    CHECK_FALSE(lanes.inject_all(nothing));
    CHECK(lanes.injections_lost() == 2);
}

TEST_CASE("lanes go on after work that failed while they stood still") {
    boost::asio::io_context io;
    daemon::Lanes lanes(io, on_loopback(1, false), false);
    dataplane::Snapshot snapshot;
    snapshot.settings = std::make_shared<dataplane::Settings>();
    lanes.cell().publish(std::move(snapshot));
    const auto nothing = [](dataplane::Injection& out) {
        out.kind = dataplane::Injection::Kind::drop_pending;
    };
    lanes.go_on();
    CHECK_THROWS(lanes.while_halted([] { throw std::runtime_error("no room"); }));
    REQUIRE(lanes.inject(0, nothing));
    lanes.halt(); // a lane that runs does what it was told before it ends
    std::size_t room = 0;
    while (room < 100'000 && lanes.inject(0, nothing)) {
        ++room;
    }
    CHECK(room == dataplane::LaneConfig{}.ring_slots);
    lanes.stop();
}
