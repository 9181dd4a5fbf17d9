// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "lone_view.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

TEST_CASE("now and then another node is visited for a moment") {
    Lone lone(1000);
    lone.pass(1ms);
    const auto kept = lone.linked;
    lone.tried.clear();
    lone.pass(1h);
    CHECK(lone.linked.size() >= kept.size());
    CHECK(lone.tried.size() > 3600 / 30);
    CHECK(lone.tried.size() < 3600 / 10);
    CHECK(lone.closed.size() + 1 >= lone.tried.size());
    std::set<std::size_t> visited;
    for (const auto& [node, when] : lone.tried) {
        CHECK_FALSE(kept.contains(node));
        visited.insert(node);
    }
    CHECK(visited.size() > 100);
    const auto named = lone.named();
    CHECK(named.size() == 4);
    CHECK(std::includes(kept.begin(), kept.end(), named.begin(), named.end()));
}

TEST_CASE("who was lost is visited soon, a few times, as it may know nobody when it comes back") {
    Lone lone(300, quiet());
    lone.link(1, 9);
    lone.pass(1min);
    const auto lose = [&] {
        const std::size_t node = *lone.linked.begin();
        lone.tried.clear();
        lone.view.on_lost(node_of(node), lone.now);
        lone.linked.erase(node);
        return node;
    };
    const auto tries = [&](std::size_t node) {
        return std::ranges::count_if(lone.tried, [&](const auto& it) { return it.first == node; });
    };
    lone.answers = false;
    const std::size_t dead = lose();
    lone.pass(2min);
    CHECK(tries(dead) == 6);
    lone.answers = true;
    const std::size_t back = lose();
    lone.pass(10s);
    CHECK(tries(back) == 1);
    lone.pass(2min);
    CHECK(tries(dead) + tries(back) == 1);
    // Who has enough links has not been lost.
    const std::size_t crowded = *lone.linked.begin();
    lone.tried.clear();
    lone.view.on_crowded(node_of(crowded), lone.now);
    lone.pass(50s);
    CHECK(tries(crowded) == 0);
}

TEST_CASE("a visit lasts three seconds and counts at neither end") {
    Lone lone(1000);
    lone.pass(1ms);
    for (unsigned i = 0; i < 8; ++i) {
        const auto before = lone.linked;
        lone.tried.clear();
        while (lone.tried.empty()) {
            lone.pass(10ms);
        }
        REQUIRE(lone.tried.size() == 1);
        CHECK(lone.linked.size() == 9);
        lone.pass(2900ms);
        CHECK(lone.linked.size() == 9);
        lone.unlink(*before.begin()); // is replaced although there are eight with the visit
        lone.pass(200ms);
        CHECK(lone.linked.size() == 8);
    }
    Lone visited(1000, quiet());
    visited.pass(1h);
    for (unsigned i = 0; i < 20; ++i) {
        visited.link(1500, 20);
        visited.pass(3s);
        for (std::size_t each = 1500; each < 1520; ++each) {
            visited.unlink(each);
        }
    }
    CHECK(visited.closed.empty());
    CHECK(visited.tried.size() == 8);
}

TEST_CASE("an end of a visit that was never begun, and one of a mesh that became small") {
    Lone lone(1000);
    lone.pass(1ms);
    lone.tried.clear();
    lone.answers = false;
    while (lone.tried.empty()) {
        lone.pass(10ms);
    }
    CHECK(lone.view.failing(node_of(lone.tried[0].first)));
    CHECK(lone.view.missing().empty());
    lone.answers = true;
    lone.tried.clear();
    while (lone.tried.empty()) {
        lone.pass(10ms);
    }
    lone.known = 20;
    lone.closed.clear();
    lone.pass(1h);
    CHECK(lone.closed.empty());
}

TEST_CASE("a tick that comes late ends a visit and nothing else") {
    Lone lone(1000);
    lone.pass(1ms);
    lone.link(1500, 4);
    lone.tried.clear();
    while (lone.tried.empty()) {
        lone.pass(10ms);
    }
    CHECK(lone.linked.size() == 13);
    const std::vector visited{node_of(lone.tried[0].first)};
    lone.now += 10s;
    lone.view.tick(lone.now);
    CHECK(lone.view.surplus() == visited);
    for (std::size_t i = 0; i < 20; ++i) {
        lone.link(1600, 11);
        lone.now += 10s;
        lone.view.tick(lone.now);
        CHECK(lone.view.surplus().size() == 12);
        CHECK(std::ranges::count(lone.view.surplus(), visited[0]) == 1);
    }
}
