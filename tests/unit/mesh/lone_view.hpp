// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mesh/active_view.hpp"
#include "support.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace weave::mesh::test {

/** One view, number 0, of a mesh that is made of numbers. */
struct Lone {
    explicit Lone(std::size_t known_in, ActiveViewSettings settings = {})
        : known(known_in)
        , view(node_of(0), fake_ports({}, random).random, settings) {
        for (std::size_t i = 0; i < 2000; ++i) {
            numbers[node_of(i)] = i;
        }
        view.set_directory({
            .size = [this] { return known; },
            .at = [](std::size_t i) { return node_of(i); },
            .knows = [this](const NodeId& node) { return numbers.at(node) < known; },
            .endpoints =
                [this](const NodeId& node) {
                    return nowhere.contains(numbers.at(node)) ? std::vector<Endpoint>{}
                                                              : std::vector<Endpoint>(1);
                },
            .reachable = [this](const NodeId& node) { return !dead.contains(numbers.at(node)); },
        });
        view.tick(now);
    }

    /** Links to these come up by the other ends' doing. */
    void link(std::size_t first, std::size_t count) {
        for (std::size_t i = first; i < first + count; ++i) {
            view.on_linked(node_of(i), now);
            linked.insert(i);
        }
        view.tick(now);
    }

    void unlink(std::size_t i) {
        view.on_unlinked(node_of(i), now);
        linked.erase(i);
        view.tick(now);
    }

    void pass(Duration span) {
        const TimePoint end = now + span;
        obey();
        while (now < end) {
            now = std::min(end, std::max(now + 1ms, view.next_deadline()));
            view.tick(now);
            obey();
        }
    }

    /** What it wants comes up unless nobody `answers`, what it has too many of is closed. */
    void obey() {
        for (const NodeId& node : view.missing()) {
            tried.emplace_back(numbers.at(node), now);
            if (answers) {
                view.on_linked(node, now);
                linked.insert(numbers.at(node));
            } else {
                view.on_failed(node, now);
            }
        }
        for (const NodeId& node : std::vector(view.surplus())) {
            closed.push_back(numbers.at(node));
            view.on_unlinked(node, now);
            linked.erase(numbers.at(node));
        }
    }

    [[nodiscard]] std::set<std::size_t> named() const {
        std::set<std::size_t> out;
        for (const NodeId& node : view.neighbours().value_or(std::set<NodeId>{})) {
            out.insert(numbers.at(node));
        }
        return out;
    }

    std::size_t known;
    std::set<std::size_t> nowhere;
    std::set<std::size_t> dead;
    bool answers = true;
    std::mt19937_64 random{7};
    std::map<NodeId, std::size_t> numbers;
    TimePoint now = TimePoint{} + 1h;
    ActiveView view;
    std::set<std::size_t> linked;
    std::vector<std::pair<std::size_t, TimePoint>> tried;
    std::vector<std::size_t> closed;
};

/** Without visits: for tests of the links that stay. */
inline ActiveViewSettings quiet() {
    ActiveViewSettings settings;
    settings.visit_every = 1000h;
    return settings;
}

} // namespace weave::mesh::test
