// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "lone_view.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

TEST_CASE("a mesh is full up to a size, and full again only when it is well below that") {
    Lone lone(128);
    CHECK_FALSE(lone.view.partial());
    CHECK(lone.view.wants(node_of(77)));
    CHECK(lone.view.missing().empty());
    lone.known = 129;
    CHECK(lone.view.outgrown());
    lone.view.tick(lone.now);
    CHECK(lone.view.partial());
    CHECK_FALSE(lone.view.wants(node_of(1000)));
    lone.known = 113;
    lone.view.tick(lone.now);
    CHECK(lone.view.partial());
    lone.known = 112;
    CHECK_FALSE(lone.view.outgrown());
    lone.view.tick(lone.now);
    CHECK_FALSE(lone.view.partial());
    CHECK(lone.view.missing().empty());
    CHECK(lone.view.wants(node_of(1000)));
}

TEST_CASE("without a directory a mesh is small") {
    std::mt19937_64 random(1);
    ActiveView view(node_of(0), fake_ports({}, random).random);
    view.on_linked(node_of(1), TimePoint{} + 1h);
    view.tick(TimePoint{} + 2h);
    CHECK_FALSE(view.partial());
    CHECK_FALSE(view.neighbours());
    CHECK_FALSE(view.knows(node_of(1)));
    CHECK(view.next_deadline() == TimePoint::max());
}

TEST_CASE("a node alone in a large mesh picks the least number of others, and keeps them") {
    Lone lone(1000, quiet());
    CHECK(lone.view.missing().size() == 8);
    lone.pass(1ms);
    CHECK(lone.linked.size() == 8);
    CHECK_FALSE(lone.linked.contains(0));
    lone.pass(1h);
    CHECK(lone.tried.size() == 8);
    CHECK(lone.closed.empty());
    SUBCASE("who is lost is replaced at once") {
        const std::size_t lost = *lone.linked.begin();
        lone.unlink(lost);
        CHECK(lone.view.missing().size() == 1);
        lone.pass(1ms);
        CHECK(lone.linked.size() == 8);
    }
}

TEST_CASE("who fails is not picked again soon, and another one is") {
    Lone lone(1000, quiet());
    const auto first = lone.view.missing();
    for (std::size_t i = 0; i < 7; ++i) {
        lone.view.on_linked(first[i], lone.now);
    }
    lone.view.on_failed(first[7], lone.now);
    CHECK(lone.view.failing(first[7]));
    CHECK_FALSE(lone.view.failing(first[6]));
    CHECK_FALSE(lone.view.wants(first[7]));
    lone.pass(1s);
    REQUIRE(lone.tried.size() == 1);
    CHECK(node_of(lone.tried[0].first) != first[7]);
    lone.pass(1min);
    lone.view.on_linked(first[7], lone.now);
    CHECK_FALSE(lone.view.failing(first[7]));
}

TEST_CASE("where nobody answers picking slows down and what is remembered is bounded") {
    Lone lone(2000, quiet());
    lone.answers = false;
    lone.pass(10s);
    CHECK(lone.tried.size() >= 50);
    lone.tried.clear();
    lone.pass(1h);
    CHECK(lone.tried.size() >= 8 * 3600 / 15);
    CHECK(lone.tried.size() <= 8 * 3600 / 5);
    CHECK(lone.view.avoided() <= 256);
    lone.answers = true;
    lone.link(1500, 1); // a sign that some are there
    CHECK(lone.view.missing().size() == 8);
    lone.pass(1ms);
    CHECK(lone.linked.size() == 9);
    lone.known = 0;
    lone.pass(1min);
    CHECK(lone.view.avoided() == 0);
}

TEST_CASE("links that are dropped as soon as they stand are not made one after the other") {
    Lone lone(2000, quiet());
    const TimePoint end = lone.now + 1h;
    while (lone.now < end) {
        lone.pass(100ms);
        for (const std::size_t i : std::set(lone.linked)) {
            lone.unlink(i);
            CHECK(lone.view.failing(node_of(i)));
        }
    }
    CHECK(lone.tried.size() <= 8 * 3600 / 5);
    lone.pass(16s);
    CHECK(lone.linked.size() == 8);
    const std::size_t lost = *lone.linked.begin();
    lone.unlink(lost); // of those that stand each is replaced at once
    CHECK_FALSE(lone.view.failing(node_of(lost)));
    CHECK(lone.view.missing().size() == 1);
}

TEST_CASE("nobody without an address is picked, and who is out of reach only when nobody else is") {
    Lone lone(2000, quiet());
    for (std::size_t i = 0; i < 2000; ++i) {
        if (i % 2 == 0) {
            lone.nowhere.insert(i);
        } else if (i % 4 == 1) {
            lone.dead.insert(i);
        }
    }
    lone.view.on_failed(lone.view.missing()[0], lone.now);
    for (const NodeId& node : lone.view.missing()) {
        lone.view.on_failed(node, lone.now);
    }
    lone.pass(2s);
    CHECK(lone.linked.size() == 8);
    for (const std::size_t i : lone.linked) {
        CHECK(i % 4 == 3);
        lone.view.on_unlinked(node_of(i), lone.now);
    }
    for (std::size_t i = 3; i < 2000; i += 4) {
        lone.dead.insert(i);
    }
    lone.tried.clear();
    lone.pass(2s);
    CHECK(lone.tried.size() == 8);
}

TEST_CASE("of links above the most random old ones are closed, and the fewest that will do") {
    Lone lone(1000, quiet());
    lone.pass(1ms);
    const auto picked = lone.linked;
    lone.pass(1min);
    lone.link(1500, 10);
    lone.pass(3900ms);
    CHECK(lone.closed.empty());
    CHECK(lone.linked.size() == 18);
    lone.pass(200ms);
    CHECK(lone.linked.size() == 12);
    CHECK(lone.tried.size() == 8);
    lone.pass(1h);
    CHECK(lone.linked.size() == 12);
    const auto closed_picks =
        std::ranges::count_if(lone.closed, [&](std::size_t i) { return picked.contains(i); });
    CHECK(closed_picks > 0);
    CHECK(closed_picks < 6);
}

TEST_CASE("who comes counts when it has stayed for a while") {
    Lone lone(1000, quiet());
    lone.link(1500, 3);
    CHECK(lone.view.missing().size() == 8);
    Lone later(128, quiet());
    later.link(1, 3);
    later.pass(4s);
    later.known = 200;
    later.view.tick(later.now);
    CHECK(later.view.missing().size() == 5);
}

TEST_CASE("pairs of which one names the other are kept") {
    Lone lone(1000, quiet());
    lone.pass(10s);
    const auto named = lone.named();
    CHECK(named.size() == 4);
    lone.link(1500, 30);
    for (std::size_t i = 1500; i < 1505; ++i) {
        lone.view.on_names_us(node_of(i), true);
    }
    lone.pass(1min);
    CHECK(lone.linked.size() == 12);
    CHECK(std::includes(lone.linked.begin(), lone.linked.end(), named.begin(), named.end()));
    for (std::size_t i = 1500; i < 1505; ++i) {
        CHECK(lone.linked.contains(i));
    }
    SUBCASE("but not all when very many name one") {
        lone.link(1600, 100);
        for (std::size_t i = 1600; i < 1700; ++i) {
            lone.view.on_names_us(node_of(i), true);
        }
        lone.pass(1min);
        CHECK(lone.linked.size() == 16);
        CHECK(std::includes(lone.linked.begin(), lone.linked.end(), named.begin(), named.end()));
    }
    SUBCASE("and no longer when it names it no more") {
        lone.link(1600, 100);
        for (std::size_t i = 1500; i < 1505; ++i) {
            lone.view.on_names_us(node_of(i), false);
        }
        lone.view.on_gone(node_of(1500));
        CHECK(lone.view.namers() == 0);
        lone.pass(1min);
        CHECK(lone.linked.size() == 12);
        CHECK(std::ranges::count_if(lone.linked, [](auto i) { return i >= 1600; }) > 5);
    }
}

TEST_CASE("a node that has enough is left alone, and tried again only by who has no link at all") {
    ActiveViewSettings settings = quiet();
    settings.full_mesh = 2;
    Lone lone(3, settings);
    lone.answers = false;
    for (const NodeId& node : lone.view.missing()) {
        lone.view.on_linked(node, lone.now);
    }
    lone.view.on_crowded(node_of(1), lone.now);
    CHECK_FALSE(lone.view.failing(node_of(1)));
    lone.pass(59s);
    CHECK(lone.tried.empty());
    lone.view.on_crowded(node_of(2), lone.now);
    lone.pass(1900ms);
    REQUIRE(lone.tried.size() == 1);
    CHECK(lone.tried[0].first == 1);
    lone.answers = true;
    lone.pass(3s);
    CHECK_FALSE(lone.linked.empty());
}

TEST_CASE(
    "a node that is told of enough links while the mesh is nearly too large takes it for so") {
    Lone lone(113);
    lone.link(1, 112);
    lone.view.on_crowded(node_of(1), lone.now);
    CHECK(lone.view.partial());
    lone.pass(5s);
    CHECK(lone.view.partial());
    CHECK(lone.linked.size() <= 20);
    Lone smaller(112);
    smaller.link(1, 111);
    smaller.view.on_crowded(node_of(1), smaller.now);
    smaller.pass(5s);
    CHECK_FALSE(smaller.view.partial());
    CHECK(smaller.closed.empty());
}

TEST_CASE("the user may allow fewer links") {
    ActiveViewSettings settings = quiet();
    settings.max_links = 10;
    Lone lone(11, settings);
    CHECK_FALSE(lone.view.partial());
    lone.known = 12;
    lone.pass(1min);
    CHECK(lone.view.partial());
    lone.known = 500;
    lone.link(100, 30);
    lone.pass(1min);
    CHECK(lone.linked.size() == 10);
    SUBCASE("but not so few that the mesh might fall apart") {
        settings.max_links = 2;
        Lone strict(500, settings);
        strict.link(100, 30);
        strict.pass(1min);
        CHECK(strict.linked.size() == 8);
    }
}

TEST_CASE("a visit is not named, not even where nobody else could be") {
    ActiveViewSettings settings;
    settings.least = 0;
    Lone lone(1000, settings);
    while (lone.linked.empty()) {
        lone.pass(100ms);
    }
    lone.pass(2s);
    CHECK(lone.linked.size() == 1);
    CHECK(lone.named().empty());
}

TEST_CASE("who is to be closed is not named") {
    Lone lone(128, quiet());
    lone.link(1, 127);
    lone.known = 129;
    lone.pass(1500ms);
    const auto named = lone.named();
    CHECK(named.size() == 4);
    lone.pass(10s);
    CHECK(lone.named() == named);
    ActiveViewSettings settings = quiet();
    settings.young = settings.first_settled; // both at once
    Lone crowded(1000, settings);
    crowded.link(1500, 500);
    crowded.answers = false;
    crowded.pass(1s);
    CHECK(crowded.linked.size() == 12);
    CHECK(crowded.named().size() == 4);
}

TEST_CASE("neighbours are named when their links stand, and stay named as long as they do") {
    Lone lone(8);
    lone.link(1, 7);
    lone.pass(1min);
    CHECK_FALSE(lone.view.neighbours());
    Lone large(9);
    CHECK(large.view.neighbours() == std::set<NodeId>{});
    large.link(1, 1);
    large.pass(500ms);
    large.link(2, 7);
    large.pass(400ms);
    CHECK(large.named().empty());
    large.pass(200ms);
    CHECK(large.named().empty()); // one is too few to tell everybody of
    large.pass(400ms);
    const auto first = large.named(); // soon after the start
    CHECK(first.size() == 4);
    large.pass(1h);
    CHECK(large.named() == first);
    const std::size_t lost = *first.begin();
    large.unlink(lost);
    CHECK(large.named().size() == 4);
    CHECK_FALSE(large.named().contains(lost));
    large.known = 8;
    large.view.tick(large.now);
    CHECK_FALSE(large.view.neighbours());
}

TEST_CASE("a node that has few links names what it has after a while") {
    Lone lone(9);
    lone.link(1, 2);
    lone.pass(4900ms);
    CHECK(lone.named().empty());
    lone.pass(200ms);
    CHECK(lone.named().size() == 2);
    lone.link(3, 4);
    lone.pass(4900ms);
    CHECK(lone.named().size() == 2);
    lone.pass(200ms);
    CHECK(lone.named().size() == 4);
}

TEST_CASE("who names us is named before others") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Lone lone(100);
        lone.random.seed(seed);
        for (const std::size_t i : {7u, 50u, 60u, 99u}) {
            lone.view.on_names_us(node_of(i), true);
        }
        lone.link(1, 60);
        lone.pass(10s);
        const auto named = lone.named();
        CHECK(named.size() == 4);
        CHECK(named.contains(7));
        CHECK(named.contains(50));
        CHECK(named.contains(60));
    }
}

TEST_CASE("a young link of a full mesh that grew too large is not closed yet") {
    Lone lone(128);
    lone.link(1, 127);
    lone.known = 129;
    lone.pass(3900ms);
    CHECK(lone.closed.empty());
    lone.pass(200ms);
    CHECK(lone.linked.size() >= 8);
    CHECK(lone.linked.size() <= 20);
}

TEST_CASE("a view is never due again at once") {
    Lone lone(300);
    for (int i = 0; i < 3000; ++i) {
        lone.view.tick(lone.now);
        for (const NodeId& node : lone.view.missing()) {
            lone.random() % 3 == 0 ? lone.view.on_linked(node, lone.now)
                                   : lone.view.on_failed(node, lone.now);
        }
        for (const NodeId& node : std::vector(lone.view.surplus())) {
            lone.view.on_unlinked(node, lone.now);
        }
        lone.view.tick(lone.now);
        for (const NodeId& node : lone.view.missing()) {
            lone.view.on_failed(node, lone.now);
        }
        REQUIRE(lone.view.next_deadline() > lone.now);
        lone.now = lone.view.next_deadline();
    }
}
