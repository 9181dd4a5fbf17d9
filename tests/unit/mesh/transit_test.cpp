// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/transit.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace std::chrono_literals;

TEST_CASE("a pod waits for the farthest peer that is connected, and not without end") {
    CHECK(transit_time({}) == 0ms);
    CHECK(transit_time({300us}) == 11ms);
    CHECK(transit_time({300us, 20ms, 1ms}) == 30ms);
    CHECK(transit_time({3s}) == 80ms);
    CHECK(transit_time({300us, std::nullopt}) == 80ms); // nobody knows how far that one is
}
