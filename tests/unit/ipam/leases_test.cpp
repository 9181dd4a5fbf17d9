// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/leases.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace weave;
using namespace weave::ipam;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;

std::optional<Index> longest_rested(const Leases& leases) {
    return leases.rested([](Index) { return true; });
}

} // namespace

TEST_CASE("a rest ends: then the place is free again, the longest rested first") {
    Leases leases(60s);
    for (Index index = 1; index <= 3; ++index) {
        leases.add("a", index);
    }
    CHECK(leases.release("a", 2, kStart));
    CHECK(leases.release("a", 1, kStart + 10s));
    CHECK(leases.rested_at() == kStart + 60s);
    CHECK_FALSE(leases.advance(kStart + 60s - 1ms));
    CHECK(leases.occupied().size() == 3);
    CHECK(leases.advance(kStart + 60s));
    CHECK(longest_rested(leases) == 2);
    CHECK(leases.occupied().runs() == std::vector<Run>{{1, 2}, {3, 4}});
    CHECK(leases.known().runs() == std::vector<Run>{{1, 4}}); // but not as good as new
    CHECK(leases.rested_at() == kStart + 70s);
    CHECK(leases.resting() == std::vector<Index>{1});
    CHECK(leases.advance(kStart + 70s));
    CHECK(longest_rested(leases) == 2);
    leases.add("b", 2);
    CHECK(longest_rested(leases) == 1);
    CHECK(leases.rested_at() == TimePoint::max());
}

TEST_CASE("what is given away is forgotten, also while it rests; what is held is not") {
    Leases leases(60s);
    for (Index index = 1; index <= 3; ++index) {
        leases.add("a", index);
    }
    leases.release("a", 1, kStart);
    leases.advance(kStart + 60s);
    leases.release("a", 2, kStart + 60s);
    leases.forget({0, 10});
    CHECK(leases.known().runs() == std::vector<Run>{{3, 4}});
    CHECK(leases.rested_at() == TimePoint::max());
    CHECK_FALSE(longest_rested(leases));
}

TEST_CASE("no more rested places are remembered than the bound; the others are as new") {
    Leases leases(60s);
    const auto count = static_cast<Index>(Leases::kMaxRested + 100);
    for (Index index = 0; index < count; ++index) {
        leases.add("a", index);
        leases.release("a", index, kStart);
    }
    leases.advance(kStart + 60s);
    CHECK(leases.known().size() == Leases::kMaxRested);
    CHECK_FALSE(leases.known().contains(99));
    CHECK(longest_rested(leases) == 100);
    CHECK(leases.occupied().empty());
}
