// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/learned_macs.hpp"

#include <doctest/doctest.h>

using namespace weave;
using daemon::LearnedMacs;

namespace {

MacAddress mac(unsigned number) {
    return {
        {2, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

/** A bridge that hears what is in `here`, and a mesh that owns `elsewhere`. */
struct World {
    std::set<MacAddress> here;
    std::set<MacAddress> elsewhere;
    LearnedMacs macs{{[this](const MacAddress& mac) { return here.contains(mac); },
                      [this](const MacAddress& mac) { return elsewhere.contains(mac); }}};
    TimePoint now = Clock::now();

    bool review() {
        now += LearnedMacs::kReview;
        return macs.review(now);
    }
};

} // namespace

TEST_CASE("a MAC that the bridge hears is learned until the bridge forgets it") {
    World world;
    CHECK_FALSE(world.macs.on_source(mac(1))); // the bridge does not know it
    world.here = {mac(1), mac(2), MacAddress{}, MacAddress{{1, 0, 0, 0, 0, 1}}};
    CHECK(world.macs.on_source(mac(1)));
    CHECK_FALSE(world.macs.on_source(mac(1)));
    CHECK(world.macs.on_source(mac(2)));
    CHECK_FALSE(world.macs.on_source(MacAddress{}));
    CHECK_FALSE(world.macs.on_source(MacAddress{{1, 0, 0, 0, 0, 1}}));
    CHECK_FALSE(world.review());
    world.here.erase(mac(1));
    CHECK(world.review());
    CHECK(world.macs.all() == std::set{mac(2)});
}

TEST_CASE("what another node owns is not learned before that node gives it up") {
    World world;
    world.here = {mac(1)};
    world.elsewhere = {mac(1)};
    CHECK_FALSE(world.macs.on_source(mac(1)));
    world.elsewhere.clear();
    CHECK(world.macs.on_source(mac(1)));
    // Two learned it at once: the other one goes before.
    world.elsewhere = {mac(1)};
    CHECK(world.review());
    CHECK(world.macs.all().empty());
}

TEST_CASE("who sends from ever new MACs makes a node announce only so many") {
    World world;
    for (unsigned i = 0; i < 1000; ++i) {
        world.here.insert(mac(i));
        world.macs.on_source(mac(i));
    }
    CHECK(world.macs.all().size() == LearnedMacs::kMax);
    CHECK(world.macs.refused() == 1000 - LearnedMacs::kMax);
    world.here.erase(mac(0));
    CHECK(world.review());
    CHECK(world.macs.on_source(mac(999)));
}

TEST_CASE("the bridge is not asked more often than needed") {
    World world;
    world.here = {mac(1)};
    REQUIRE(world.macs.on_source(mac(1)));
    CHECK_FALSE(world.macs.review(world.now));
    world.here.clear();
    CHECK_FALSE(world.macs.review(world.now + LearnedMacs::kReview / 2));
    CHECK(world.macs.review(world.now + LearnedMacs::kReview));
}
