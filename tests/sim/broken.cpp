// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Linked with one source of the mesh broken on purpose: passes when the named invariant notices.
#include "sim/scenarios.hpp"

#include <cstdio>
#include <string>

using namespace std::chrono_literals;
using weave::sim::World;

namespace {

bool noticed(const World& world, const std::string& name) {
    for (const auto& violation : world.violations()) {
        if (violation.name == name) {
            std::printf("noticed: %s: %s\n", name.c_str(), violation.detail.c_str());
            return true;
        }
    }
    return false;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: broken INVARIANT\n");
        return 2;
    }
    const std::string name = argv[1];
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        World world(seed, 12);
        world.stop_at(name);
        weave::sim::boot_all_at_once(world);
        world.run_until_converged(60s);
        weave::sim::ring(world, 1);
        world.run_until_converged(20s);
        world.check_paths();
        weave::sim::storm(world, 30);
        world.run_for(30s);
        weave::sim::flood(world);
        if (noticed(world, name)) {
            return 0;
        }
    }
    std::printf("%s was broken and nobody noticed\n", name.c_str());
    return 1;
}
