// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Many views at once: what comes of each deciding for itself.
#include "lone_view.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

namespace {

/** Many views that know all of each other; what each asks for happens at once. */
struct Town {
    explicit Town(std::size_t count, std::uint64_t seed, ActiveViewSettings settings = {})
        : random(seed) {
        for (std::size_t i = 0; i < count; ++i) {
            numbers[node_of(i)] = i;
            links.emplace_back();
            views.push_back(
                std::make_unique<ActiveView>(node_of(i), fake_ports({}, random).random, settings));
            views[i]->set_directory({
                .size = [this] { return known; },
                .at = [](std::size_t at) { return node_of(at); },
                .knows = [](const NodeId&) { return true; },
                .endpoints = [](const NodeId&) { return std::vector<Endpoint>(1); },
                .reachable = {},
            });
        }
        known = count;
    }

    void link(std::size_t a, std::size_t b) {
        if (links[a].insert(b).second) {
            links[b].insert(a);
            views[a]->on_linked(node_of(b), now);
            views[b]->on_linked(node_of(a), now);
        }
    }

    void link_all(std::size_t first, std::size_t end) {
        for (std::size_t a = first; a < end; ++a) {
            for (std::size_t b = first; b < a; ++b) {
                link(a, b);
            }
        }
    }

    void pass(Duration span) {
        for (const TimePoint end = now + span; now < end; now += 50ms) {
            for (std::size_t i = 0; i < views.size(); ++i) {
                tick(i);
            }
        }
    }

    void tick(std::size_t i) {
        views[i]->tick(now);
        for (const NodeId& node : views[i]->missing()) {
            const std::size_t other = numbers.at(node);
            const std::size_t half = views.size() / 2;
            crossed += (i < half) != (other < half) ? 1U : 0U;
            ++dials;
            link(i, other);
        }
        for (const NodeId& node : std::vector(views[i]->surplus())) {
            const std::size_t other = numbers.at(node);
            ++closes;
            links[i].erase(other);
            links[other].erase(i);
            views[i]->on_unlinked(node, now);
            views[other]->on_crowded(node_of(i), now);
        }
    }

    /** Each hears whom the others name. */
    void tell_names() {
        for (std::size_t i = 0; i < views.size(); ++i) {
            const auto& names = views[i]->neighbours();
            for (std::size_t other = 0; other < views.size(); ++other) {
                views[other]->on_names_us(node_of(i), names && names->contains(node_of(other)));
            }
        }
    }

    [[nodiscard]] std::size_t in_reach() const {
        std::set<std::size_t> seen{0};
        std::vector<std::size_t> queue{0};
        while (!queue.empty()) {
            const std::size_t at = queue.back();
            queue.pop_back();
            for (const std::size_t next : links[at]) {
                if (seen.insert(next).second) {
                    queue.push_back(next);
                }
            }
        }
        return seen.size();
    }

    [[nodiscard]] std::size_t fewest() const {
        return std::min_element(links.begin(), links.end(), by_size)->size();
    }

    [[nodiscard]] std::size_t greatest() const {
        return std::max_element(links.begin(), links.end(), by_size)->size();
    }

    static bool by_size(const std::set<std::size_t>& a, const std::set<std::size_t>& b) {
        return a.size() < b.size();
    }

    std::size_t known = 0;
    std::mt19937_64 random;
    std::map<NodeId, std::size_t> numbers;
    TimePoint now = TimePoint{} + 1h;
    std::vector<std::unique_ptr<ActiveView>> views;
    std::vector<std::set<std::size_t>> links;
    std::size_t dials = 0;
    std::size_t closes = 0;
    std::size_t crossed = 0;
};

} // namespace

TEST_CASE("a full mesh that grew too large keeps the same links at both ends") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Town town(129, seed, quiet());
        town.known = 128;
        town.link_all(0, 129);
        town.pass(10s);
        town.tell_names();
        CHECK(town.fewest() == 128);
        town.known = 129;
        town.pass(50ms);
        CHECK(town.in_reach() == 129);
        CHECK(town.closes > 129 * 50);
        town.pass(10s);
        CHECK(town.dials < 40); // and few anew
        CHECK(town.in_reach() == 129);
        CHECK(town.fewest() >= 8);
        CHECK(town.greatest() <= 16);
    }
}

TEST_CASE("a large mesh that starts at once, or joins by one node, comes to rest") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        Town town(300, seed, quiet());
        if (seed > 1) {
            for (std::size_t i = 1; i < 300; ++i) {
                town.link(i, 0);
            }
        }
        for (int second = 0; second < 60; ++second) {
            town.pass(1s);
            town.tell_names();
        }
        CHECK(town.in_reach() == 300);
        CHECK(town.fewest() >= 8);
        CHECK(town.greatest() <= 16);
        town.dials = town.closes = 0;
        town.pass(1min);
        CHECK(town.dials == 0);
        CHECK(town.closes == 0);
    }
}

TEST_CASE("parts of a mesh that lost each other are visited from the other part all the time") {
    Town town(300, 4);
    for (std::size_t a = 0; a < 300; ++a) {
        for (std::size_t step = 1; step <= 5; ++step) {
            town.link(a, a / 150 * 150 + (a + step) % 150); // two rings
        }
    }
    town.pass(5s);
    town.crossed = 0;
    town.pass(30s);
    CHECK(town.crossed > 100);
}
