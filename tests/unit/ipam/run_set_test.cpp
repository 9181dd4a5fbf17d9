// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/run_set.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

using namespace weave::ipam;

TEST_CASE("a set of runs is a set") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    RunSet runs;
    std::set<Index> plain;
    for (int step = 0; step < 20000; ++step) {
        const auto index = static_cast<Index>(random() % 60);
        if (random() % 8 == 0) {
            const Run run{index, index + static_cast<Index>(random() % 8)};
            const bool add = random() % 2 == 0;
            add ? runs.insert(run) : runs.erase(run);
            for (Index each = run.first; each < run.end; ++each) {
                if (add) {
                    plain.insert(each);
                } else {
                    plain.erase(each);
                }
            }
        } else if (random() % 2 == 0) {
            REQUIRE(runs.insert(index) == plain.insert(index).second);
        } else {
            REQUIRE(runs.erase(index) == (plain.erase(index) == 1));
        }
        REQUIRE(runs.size() == plain.size());
        REQUIRE(runs.empty() == plain.empty());
        const Run part{index, index + static_cast<Index>(random() % 20)};
        REQUIRE(runs.count(part) == static_cast<std::size_t>(std::ranges::count_if(
                                        plain, [&](Index each) { return part.contains(each); })));
        const auto probe = static_cast<Index>(random() % 70);
        REQUIRE(runs.contains(probe) == plain.contains(probe));
        Index absent = probe;
        while (plain.contains(absent)) {
            ++absent;
        }
        REQUIRE(runs.next_absent(probe) == absent);
        const auto present = plain.lower_bound(probe);
        REQUIRE(runs.next_present(probe) ==
                (present == plain.end() ? std::nullopt : std::optional(*present)));
        std::set<Index> seen;
        runs.for_each([&](Index each) { seen.insert(each); });
        REQUIRE(seen == plain);
        const auto all = runs.runs();
        for (std::size_t i = 1; i < all.size(); ++i) {
            REQUIRE(all[i].first > all[i - 1].end); // as few as can be
        }
    }
}
