// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Meshes in which not everybody is linked with everybody.
#include "sim/checks.hpp"

#include <map>
#include <set>
#include <vector>

using namespace std::chrono_literals;
using weave::sim::repeat;
using weave::sim::require_clean;
using weave::sim::require_converged;
using weave::sim::World;

namespace {

/** Forty nodes are many with these. */
weave::mesh::ActiveViewSettings few_links() {
    weave::mesh::ActiveViewSettings out;
    out.full_mesh = 16;
    return out;
}

/** Each has node 0 as target and no other. */
void boot_by_one(World& world) {
    for (std::size_t i = 0; i < world.size(); ++i) {
        world.add_target(i, 0);
        world.start(i);
        world.run_for(20ms);
    }
}

/** All nodes have links, but few, and are one mesh by these. */
void require_few_links(World& world) {
    const weave::mesh::ActiveViewSettings settings = few_links();
    std::map<weave::NodeId, std::set<weave::NodeId>> links;
    for (std::size_t i = 0; i < world.size(); ++i) {
        for (const auto& [link, peer] : world.mesh(i).links()) {
            links[world.id(i)].insert(peer);
            links[peer].insert(world.id(i));
        }
        CHECK(world.connector(i).partial());
        CHECK(world.mesh(i).links().size() <= 2 * settings.most); // with visits
    }
    std::set<weave::NodeId> seen{world.id(0)};
    std::vector<weave::NodeId> queue{world.id(0)};
    while (!queue.empty()) {
        const std::set<weave::NodeId> next = links[queue.back()];
        queue.pop_back();
        for (const weave::NodeId& node : next) {
            if (seen.insert(node).second) {
                queue.push_back(node);
            }
        }
    }
    INFO("again: " << repeat(world));
    CHECK(seen.size() == world.size());
}

} // namespace

TEST_CASE("forty nodes of a mesh with few links come by one node, and are one mesh") {
    World world(201, 40, few_links());
    boot_by_one(world);
    require_converged(world, 20s);
    world.run_for(1min);
    require_few_links(world);
    std::size_t links = 0;
    for (std::size_t i = 0; i < world.size(); ++i) {
        links += world.mesh(i).links().size();
        CHECK(world.mesh(i).links().size() >= few_links().least - 1); // one may just have gone
        CHECK(world.connector(i).neighbours()->size() == few_links().named);
    }
    CHECK(links <= 40 * few_links().most);
    CHECK(*world.mesh(7).routes() == weave::mesh::Routes{});
    require_clean(world);
}

TEST_CASE("a mesh that grows out of links between all, and back, stays one") {
    World world(202, 40, few_links());
    for (std::size_t i = 0; i < 16; ++i) {
        world.add_target(i, 0);
        world.start(i);
    }
    require_converged(world, 20s);
    CHECK_FALSE(world.connector(3).partial());
    CHECK(world.mesh(3).links().size() == 15);
    for (std::size_t i = 16; i < 40; ++i) {
        world.add_target(i, 1 + i % 3);
        world.start(i);
        world.run_for(500ms);
    }
    require_converged(world, 20s);
    world.run_for(20s);
    require_few_links(world);
    for (std::size_t i = 12; i < 40; ++i) {
        world.stop(i, i % 2 == 0);
    }
    world.run_for(6min); // until they are forgotten
    require_converged(world, 20s);
    CHECK_FALSE(world.connector(3).partial());
    CHECK(world.mesh(3).links().size() == 11);
}

TEST_CASE("a storm of restarts leaves a mesh with few links one") {
    World world(203, 40, few_links());
    boot_by_one(world);
    require_converged(world, 20s);
    world.set_weather({.loss = 0.02, .duplication = 0.02, .delay_min = 1ms, .delay_max = 100ms});
    for (int i = 0; i < 60; ++i) {
        const std::size_t node = world.random()() % world.size();
        world.stop(node, world.random()() % 2 == 0);
        world.run_for(std::chrono::milliseconds(world.random()() % 1000));
        world.start(node, world.random()() % 4 == 0);
        world.run_for(std::chrono::milliseconds(world.random()() % 1000));
    }
    world.set_weather({});
    world.run_for(10s);
    require_few_links(world);
    require_converged(world, 1min);
    world.run_for(1min);
    require_few_links(world);
}

TEST_CASE("halves of a mesh with few links find together, whether they forgot each other or not") {
    for (const weave::Duration apart : {weave::Duration(90s), weave::Duration(8min)}) {
        World world(204, 40, few_links());
        boot_by_one(world);
        require_converged(world, 20s);
        std::set<std::size_t> side;
        for (std::size_t i = 0; i < 40; i += 2) {
            side.insert(i);
        }
        world.cut(side);
        world.run_for(apart);
        const bool forgotten = apart > weave::Duration(5min);
        CHECK(world.mesh(0).nodes().size() == (forgotten ? 20 : 40));
        CHECK(world.mesh(39).nodes().size() == (forgotten ? 20 : 40));
        world.heal();
        require_converged(world, 3min);
        CHECK(world.mesh(0).nodes().size() == 40);
        world.run_for(30s);
        require_few_links(world);
    }
}
