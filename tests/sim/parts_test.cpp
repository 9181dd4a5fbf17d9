// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the simulator itself is made of.
#include "sim/agenda.hpp"
#include "sim/archive.hpp"
#include "sim/scenarios.hpp"
#include "support/fake_ports.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

using weave::Bytes;
using weave::TimePoint;
using weave::sim::Agenda;
using weave::sim::Archive;

namespace {

Bytes signed_record(std::uint64_t owner, std::uint64_t version) {
    const auto key = weave::test::fake_key(owner);
    const auto sign = [&](weave::ByteView message) { return weave::test::fake_sign(key, message); };
    const auto node = weave::test::fake_identify(key);
    return weave::wire::sign_record(node, key, {1, version}, 77, {}, sign)->raw;
}

TimePoint at(int seconds) {
    return TimePoint{std::chrono::seconds(seconds)};
}

} // namespace

TEST_CASE("equal records are one object for as long as somebody holds it") {
    Archive archive;
    auto first = *archive.decode(signed_record(1, 1));
    CHECK(*archive.decode(signed_record(1, 1)) == first);
    const auto newer = *archive.decode(signed_record(1, 2));
    const auto other = *archive.decode(signed_record(2, 1));
    CHECK(newer != first);
    CHECK(newer->stamp.version == 2);
    CHECK(other->node != first->node);
    CHECK(archive.size() == 3);
    first.reset();
    CHECK(archive.size() == 2);
    CHECK((*archive.decode(signed_record(1, 1)))->stamp.version == 1);
    CHECK(archive.size() == 2);
}

TEST_CASE("the archive refuses what does not decode, and outlives itself in a record") {
    weave::wire::RecordPtr left;
    {
        Archive archive;
        CHECK(!archive.decode(Bytes(20, 9)));
        CHECK(archive.size() == 0);
        left = *archive.decode(signed_record(1, 1));
    }
    CHECK(left->raw == signed_record(1, 1));
}

TEST_CASE("one object is verified once, its copy and a forgery each for themselves") {
    Archive archive;
    const auto record = *archive.decode(signed_record(1, 1));
    CHECK(archive.verify(*record));
    CHECK(archive.verify(**archive.decode(signed_record(1, 1))));
    CHECK(archive.verified() == 1);
    const weave::wire::Record copy = *record;
    CHECK(archive.verify(copy));
    CHECK(archive.verified() == 2);
    Bytes forged = signed_record(1, 1);
    forged.back() ^= 1;
    const auto bad = *archive.decode(forged);
    CHECK(bad != record);
    CHECK(!archive.verify(*bad));
    CHECK(!archive.verify(*bad));
    CHECK(archive.verified() == 3);
}

TEST_CASE("what is due at one time happens in the order in which it was asked for") {
    Agenda agenda;
    std::vector<int> seen;
    const auto see = [&](int which) { return [&seen, which] { seen.push_back(which); }; };
    agenda.add(at(2), see(1));
    agenda.add(at(1), see(2));
    const auto third = agenda.add(at(3), see(3));
    const auto fourth = agenda.add(at(1), see(4));
    agenda.add(at(2), see(5));
    const auto sixth = agenda.add(at(9), see(6));
    agenda.move(third, at(1));
    agenda.move(fourth, at(2));
    agenda.cancel(sixth);
    CHECK(agenda.due(fourth) == at(2));
    CHECK(agenda.size() == 5);
    CHECK(agenda.next() == at(1));
    while (!agenda.empty()) {
        agenda.run_next();
    }
    CHECK(seen == std::vector{2, 3, 1, 5, 4});
    CHECK(agenda.next() == TimePoint::max());
}

TEST_CASE("an event may ask for others, and lets go of what it captured") {
    const auto held = std::make_shared<int>(0);
    {
        Agenda agenda;
        agenda.add(at(1), [held, &agenda] {
            for (int i = 0; i < 1000; ++i) {
                agenda.add(at(2), [held] { ++*held; });
            }
            ++*held;
        });
        agenda.cancel(agenda.add(at(1), [held] { *held = -1; }));
        CHECK(held.use_count() == 2);
        for (int i = 0; i < 301; ++i) {
            agenda.run_next();
        }
        CHECK(*held == 301);
        CHECK(held.use_count() == 701);
    }
    CHECK(held.use_count() == 1);
}

TEST_CASE("thousands of events, moved and called off at random, come in order") {
    std::mt19937_64 random(7);
    Agenda agenda;
    std::vector<Agenda::Handle> waiting(500, Agenda::kNone);
    TimePoint now = at(0);
    int early = 0;
    std::size_t run = 0;
    for (int i = 0; i < 20000; ++i) {
        const std::size_t which = random() % waiting.size();
        const TimePoint when = now + std::chrono::milliseconds(random() % 5000);
        if (waiting[which] == Agenda::kNone) {
            waiting[which] = agenda.add(when, [&, which] {
                waiting[which] = Agenda::kNone;
                ++run;
            });
        } else if (random() % 4 == 0) {
            agenda.cancel(waiting[which]);
            waiting[which] = Agenda::kNone;
        } else {
            agenda.move(waiting[which], when);
        }
        if (random() % 3 == 0 && !agenda.empty()) {
            TimePoint first = TimePoint::max();
            for (const auto handle : waiting) {
                first = handle == Agenda::kNone ? first : std::min(first, agenda.due(handle));
            }
            early += agenda.next() == first && first >= now ? 0 : 1;
            now = agenda.next();
            agenda.run_next();
        }
    }
    CHECK(early == 0);
    CHECK(run > 3000);
    const auto live = std::ranges::count_if(waiting, [](auto it) { return it != Agenda::kNone; });
    CHECK(agenda.size() == static_cast<std::size_t>(live));
}

TEST_CASE("a percentile is what so many are not above") {
    using namespace std::chrono_literals;
    using weave::sim::percentile;
    const std::vector<weave::Duration> times{1s, 2s, 3s, 4s};
    CHECK(percentile(times, 0.5) == 2s);
    CHECK(percentile(times, 0.51) == 3s);
    CHECK(percentile(times, 0.99) == 4s);
    CHECK(percentile(times, 1) == 4s);
    CHECK(percentile(times, 0) == 1s);
    CHECK(percentile({}, 0.5) == 0s);
}
