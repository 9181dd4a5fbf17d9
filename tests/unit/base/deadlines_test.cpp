// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "base/deadlines.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

using namespace weave;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;
using Names = std::vector<std::string>;

} // namespace

TEST_CASE("what is due comes out, earliest first, and once") {
    Deadlines<std::string> deadlines;
    CHECK(deadlines.next() == TimePoint::max());
    CHECK(deadlines.take_due(kStart).empty());
    deadlines.set("late", kStart + 3s);
    deadlines.set("early", kStart + 1s);
    deadlines.set("middle", kStart + 2s);
    CHECK(deadlines.next() == kStart + 1s);
    CHECK(deadlines.take_due(kStart + 1s - 1ns).empty());
    CHECK(deadlines.take_due(kStart + 2s) == Names{"early", "middle"});
    CHECK(deadlines.take_due(kStart + 2s).empty());
    CHECK(deadlines.next() == kStart + 3s);
    CHECK(deadlines.size() == 1);
}

TEST_CASE("a key has one deadline, the last one set") {
    Deadlines<std::string> deadlines;
    deadlines.set("a", kStart + 1s);
    deadlines.set("b", kStart + 2s);
    deadlines.set("a", kStart + 3s);
    CHECK(deadlines.size() == 2);
    CHECK(deadlines.next() == kStart + 2s);
    deadlines.set("a", kStart + 1s);
    CHECK(deadlines.next() == kStart + 1s);
    CHECK(deadlines.take_due(kStart + 5s) == Names{"a", "b"});
    deadlines.set("a", kStart + 6s); // as before it was taken
    CHECK(deadlines.next() == kStart + 6s);
}

TEST_CASE("keys that are due together all come out, in their order") {
    Deadlines<std::string> deadlines;
    for (const char* name : {"c", "a", "b"}) {
        deadlines.set(name, kStart);
    }
    CHECK(deadlines.take_due(kStart) == Names{"a", "b", "c"});
    CHECK(deadlines.size() == 0);
}

TEST_CASE("a key without a deadline is not held") {
    Deadlines<std::string> deadlines;
    deadlines.set("a", TimePoint::max());
    CHECK(deadlines.size() == 0);
    deadlines.set("a", kStart);
    deadlines.set("b", kStart + 1s);
    deadlines.set("a", TimePoint::max());
    CHECK(deadlines.size() == 1);
    CHECK(deadlines.next() == kStart + 1s);
    CHECK(deadlines.take_due(kStart + 1h) == Names{"b"});
    CHECK(deadlines.take_due(TimePoint::max()).empty());
}

TEST_CASE("what is due is what a look at every key would find") {
    std::mt19937 random(7);
    Deadlines<int> deadlines;
    std::map<int, TimePoint> all;
    TimePoint now = kStart;
    for (int i = 0; i < 20000; ++i) {
        const int key = static_cast<int>(random() % 50);
        const TimePoint at =
            random() % 4 == 0 ? TimePoint::max() : now + std::chrono::milliseconds(random() % 100);
        deadlines.set(key, at);
        all[key] = at;
        now += std::chrono::milliseconds(random() % 3);
        TimePoint next = TimePoint::max();
        for (const auto& [each, deadline] : all) {
            next = std::min(next, deadline);
        }
        REQUIRE(deadlines.next() == next);
        for (const int taken : deadlines.take_due(now)) {
            REQUIRE(all[taken] <= now);
            all[taken] = TimePoint::max();
        }
        REQUIRE(deadlines.next() > now);
    }
}
