// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/lanes.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <stdexcept>

using namespace weave;

TEST_CASE("an injection that finds the lane's ring full is counted") {
    boost::asio::io_context io;
    os::Tap tap;
    tap.queues.resize(1); // no TAP: the lane never runs
    daemon::LanesSettings settings;
    settings.listen = {*IpAddress::parse("127.0.0.1")};
    daemon::Lanes lanes(io, settings, std::move(tap));
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
    os::Tap tap;
    tap.queues.resize(1);
    daemon::LanesSettings settings;
    settings.listen = {*IpAddress::parse("127.0.0.1")};
    daemon::Lanes lanes(io, settings, std::move(tap));
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
