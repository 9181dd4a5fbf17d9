// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/frames.hpp"
#include "fastpath/umem.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>

using namespace weave::fastpath;

TEST_CASE("a frame holds what an interface of its size can receive") {
    CHECK(Umem::frame_size(1500) == 2048);
    CHECK(Umem::frame_size(1774) == 2048);
    CHECK(Umem::frame_size(1775) == 4096);
    CHECK(Umem::frame_size(3822) == 4096);
    CHECK(Umem::frame_size(3823) == 0);
    CHECK(Umem::frame_size(9000) == 0);
}

TEST_CASE("an offset that is none of ours, or here already, is refused") {
    FreeFrames frames{4096, 2, 2048};
    CHECK_FALSE(frames.give_back(4096)); // here
    CHECK_FALSE(frames.give_back(4095));
    CHECK_FALSE(frames.give_back(4096 + 2 * 2048));
    CHECK_FALSE(frames.give_back(~std::uint64_t{0}));
    CHECK(frames.take() == 4096);
    CHECK(frames.take() == 6144);
    CHECK(frames.away() == 2);
    CHECK(frames.give_back(6144 + 256)); // inside the frame
    CHECK_FALSE(frames.give_back(6144));
    CHECK(frames.take() == 6144);
}

TEST_CASE("whatever the order, no frame is lost and none is out twice") {
    for (unsigned seed = 0; seed < 50; ++seed) {
        std::mt19937_64 random{seed};
        const std::size_t count = 1 + random() % 40;
        FreeFrames frames{random() % 7 * 2048, count, 2048};
        std::deque<std::uint64_t> out; // what the kernel has
        for (unsigned step = 0; step < 2000; ++step) {
            if (random() % 2 == 0 && frames.count() != 0) {
                const std::uint64_t taken = frames.take();
                REQUIRE(std::find(out.begin(), out.end(), taken) == out.end());
                out.push_back(taken);
            } else if (!out.empty()) {
                const std::size_t which = random() % out.size();
                REQUIRE(frames.give_back(out[which] + random() % 2048));
                out.erase(out.begin() + static_cast<std::ptrdiff_t>(which));
            }
            REQUIRE(frames.away() == out.size());
            REQUIRE(frames.count() + frames.away() == count);
        }
        for (const std::uint64_t offset : out) {
            REQUIRE(frames.give_back(offset));
            REQUIRE_FALSE(frames.give_back(offset));
        }
        std::set<std::uint64_t> all;
        while (frames.count() != 0) {
            all.insert(frames.take());
        }
        CHECK(all.size() == count);
    }
}
