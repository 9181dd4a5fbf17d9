// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/replay.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace weave::crypto {
namespace {

using Window = ReplayWindow<>;

struct Step {
    std::uint64_t counter;
    bool accepted;
};

struct Case {
    const char* name;
    std::vector<Step> steps;
};

constexpr std::uint64_t kEdge = Window::kWindow;
constexpr std::uint64_t kRing = kEdge + 64;
constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

const std::vector<Case>& cases() {
    static const std::vector<Case> table{
        {"zero once", {{0, true}, {0, false}}},
        {"zero after others",
         {{1, true}, {9, true}, {0, true}, {0, false}, {1, false}, {9, false}}},
        {"in order", {{0, true}, {1, true}, {2, true}, {1, false}, {3, true}}},
        {"first is large", {{1'000'000, true}, {1'000'000, false}, {999'999, true}, {0, false}}},
        {"oldest inside", {{kEdge, true}, {1, true}, {1, false}, {0, false}}},
        {"8191 behind", {{20'000, true}, {20'000 - 8191, true}, {20'000 - 8191, false}}},
        {"edge moves",
         {{kEdge - 1, true},
          {0, true},
          {kEdge, true},
          {0, false},
          {1, true},
          {kEdge + 1, true},
          {1, false}}},
        {"jump of the ring",
         {{5, true}, {5 + kRing, true}, {5, false}, {5 + kRing, false}, {6 + kRing - kEdge, true}}},
        {"jump just inside the ring",
         {{64, true}, {64 + kEdge, true}, {65, true}, {64, false}, {63, false}}},
        {"jump far beyond",
         {{3, true},
          {1ull << 40, true},
          {3, false},
          {(1ull << 40) - 1, true},
          {(1ull << 40) - 1, false}}},
        {"word borders",
         {{63, true},
          {64, true},
          {127, true},
          {128, true},
          {63, false},
          {64, false},
          {127, false},
          {128, false},
          {62, true},
          {126, true}}},
        {"greatest counter",
         {{kMax - 1, true},
          {kMax, true},
          {kMax, false},
          {kMax - 1, false},
          {kMax - 2, true},
          {0, false}}},
    };
    return table;
}

} // namespace

TEST_CASE("replay: table") {
    for (const Case& one : cases()) {
        CAPTURE(one.name);
        Window window;
        for (std::size_t i = 0; i < one.steps.size(); ++i) {
            CAPTURE(i);
            CHECK(window.check(one.steps[i].counter) == one.steps[i].accepted);
            CHECK(window.commit(one.steps[i].counter) == one.steps[i].accepted);
        }
    }
}

TEST_CASE("replay: check changes nothing and newest follows commits") {
    Window window;
    CHECK(window.newest() == 0);
    CHECK(window.check(500));
    CHECK(window.check(500));
    CHECK(window.newest() == 0);
    CHECK(window.commit(500));
    CHECK(window.commit(300));
    CHECK(window.newest() == 500);
}

TEST_CASE("replay: agrees with a plain set over random walks") {
    std::mt19937_64 random(1);
    for (int round = 0; round < 20; ++round) {
        ReplayWindow<128> window;
        std::set<std::uint64_t> seen;
        std::uint64_t newest = 0;
        for (int i = 0; i < 5000; ++i) {
            const std::uint64_t jump = random() % 100 == 0 ? random() % 1000 : random() % 40;
            const std::uint64_t base = newest > 90 ? newest - 90 : 0;
            const std::uint64_t counter = base + random() % 90 + (random() % 3 == 0 ? jump : 0);
            const bool old = !seen.empty() && newest >= counter &&
                             newest - counter >= ReplayWindow<128>::kWindow;
            const bool fresh = !old && !seen.contains(counter);
            REQUIRE(window.commit(counter) == fresh);
            if (fresh) {
                seen.insert(counter);
                newest = std::max(newest, counter);
            }
        }
        CHECK(window.newest() == newest);
    }
}

} // namespace weave::crypto
