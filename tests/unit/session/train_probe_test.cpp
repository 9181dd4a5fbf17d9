// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/train_probe.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;

namespace {

const Endpoint kHere{IpAddress::v4({10, 0, 0, 2}), 6784};
const Endpoint kThere{IpAddress::v4({10, 0, 0, 3}), 6784};

/** What the way does to a datagram: train, place in it; true: it arrives. */
using Way = std::function<bool(const SendTrain&, unsigned)>;

bool is_train(const SendTrain& train) {
    return train.count > 1;
}

bool all(const SendTrain&, unsigned) {
    return true;
}

/** As some drivers do: the last datagram of a train that is as long as the others is damaged. */
bool no_equal_tail(const SendTrain& train, unsigned place) {
    return !is_train(train) || train.tail != train.size || place + 1 < train.count;
}

bool no_short_tail(const SendTrain& train, unsigned place) {
    return !is_train(train) || train.tail == train.size || place + 1 < train.count;
}

bool first_only(const SendTrain&, unsigned place) {
    return place == 0;
}

struct Probing {
    Probing() { probe.set_way(kHere, now); }

    /** Lets time pass; the way is as it says. */
    void pass(Duration duration, const Way& way) {
        const TimePoint end = now + duration;
        for (; now < end; now += 100ms) {
            probe.tick(1500, now);
            for (const SendTrain& train : probe.take_trains()) {
                ++trains;
                for (unsigned i = 0; i < train.count; ++i) {
                    if (way(train, i)) {
                        CHECK(probe.on_probe_ack(train.first_id + i));
                    }
                }
            }
        }
    }

    TimePoint now = TimePoint{} + 1000h;
    TrainProbe probe{{}, seeded(3)};
    int trains = 0;
};

} // namespace

TEST_CASE("where all trains arrive they are used, and tested once an hour") {
    Probing world;
    CHECK(world.probe.verdict() == Trains::untested);
    world.pass(2s, all);
    CHECK(world.probe.verdict() == Trains::whole);
    CHECK(world.trains == 4);
    world.pass(59min, all);
    CHECK(world.trains == 4);
    world.pass(2min, all);
    CHECK(world.trains == 8);
}

TEST_CASE("the three shapes: equal, short and least tail, and one datagram alone") {
    TrainProbe probe{{}, seeded(4)};
    const TimePoint now = TimePoint{} + 1000h;
    probe.tick(1400, now);
    CHECK(probe.take_trains().empty()); // there is no way yet
    probe.set_way(kHere, now);
    probe.tick(1400, now);
    const auto trains = probe.take_trains();
    REQUIRE(trains.size() == 4);
    CHECK(trains[0].count == 1);
    const std::uint16_t tails[] = {1400, 1400, 700, 0};
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(trains[i].size == 1400);
        CHECK(trains[i].tail == tails[i]);
        CHECK((i == 0 || trains[i].count == 4));
    }
}

TEST_CASE("what does not arrive is not used, until it does") {
    struct Case {
        Way way;
        Trains verdict;
    };

    for (const Case& each : {Case{no_equal_tail, Trains::no_equal_tail},
                             Case{no_short_tail, Trains::none},
                             Case{first_only, Trains::none}}) {
        Probing world;
        world.pass(10s, each.way);
        CHECK(world.probe.verdict() == each.verdict);
        // The hypervisor was mended: an hour later it is found out.
        world.pass(59min, all);
        CHECK(world.probe.verdict() == each.verdict);
        world.pass(2min, all);
        CHECK(world.probe.verdict() == Trains::whole);
    }
}

TEST_CASE("loss is not damage: each place needs to arrive once in three attempts") {
    Probing world;
    int sent = 0;
    // Every fifth is lost, whatever it is; now and then the one alone is among them.
    world.pass(120s, [&](const SendTrain&, unsigned) { return ++sent % 5 != 0; });
    CHECK(world.probe.verdict() == Trains::whole);
}

TEST_CASE("a way that carries nothing says nothing of trains") {
    Probing world;
    world.pass(1min, [](const SendTrain&, unsigned) { return false; });
    CHECK(world.probe.verdict() == Trains::untested);
    // Nor does one on which large datagrams are lost, all of them.
    world.pass(1min, [](const SendTrain& train, unsigned place) {
        return place + 1 == train.count && train.tail == 0;
    });
    CHECK(world.probe.verdict() == Trains::untested);
    world.pass(20s, all);
    CHECK(world.probe.verdict() == Trains::whole);
}

TEST_CASE("another way is another matter") {
    Probing world;
    world.pass(10s, no_equal_tail);
    REQUIRE(world.probe.verdict() == Trains::no_equal_tail);
    world.probe.set_way(kHere, world.now);
    CHECK(world.probe.verdict() == Trains::no_equal_tail);
    world.probe.set_way(kThere, world.now);
    CHECK(world.probe.verdict() == Trains::untested);
    world.pass(2s, all);
    CHECK(world.probe.verdict() == Trains::whole);
    // By a relay no train of ours goes to the peer.
    world.probe.set_way(std::nullopt, world.now);
    const int before = world.trains;
    world.pass(2h, all);
    CHECK(world.trains == before);
}

TEST_CASE("an answer to a probe of a way that is not used any more is nobody's") {
    TrainProbe probe{{}, seeded(4)};
    const TimePoint now = TimePoint{} + 1000h;
    probe.set_way(kHere, now);
    probe.tick(1400, now);
    const auto trains = probe.take_trains();
    probe.set_way(kThere, now);
    CHECK_FALSE(probe.on_probe_ack(trains[1].first_id));
    probe.tick(1400, now);
    CHECK_FALSE(probe.on_probe_ack(trains[1].first_id));
}

TEST_CASE("what status shows of trains") {
    CHECK(std::string{text(Trains::untested)} == "untested");
    CHECK(std::string{text(Trains::whole)} == "whole");
    CHECK(std::string{text(Trains::no_equal_tail)} == "no_equal_tail");
    CHECK(std::string{text(Trains::none)} == "none");
}
