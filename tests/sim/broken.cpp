// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Linked with one source broken on purpose: passes when the named
// invariant notices, and no other.
#include "sim/scenarios.hpp"

#include <cstdio>
#include <string>

using namespace std::chrono_literals;
using weave::sim::World;

namespace {

/** What the whole suite does, on few nodes. */
void everything(World& world) {
    weave::sim::boot_all_at_once(world);
    world.run_until_converged(60s);
    weave::sim::backlog(world);
    weave::sim::ring(world, 1);
    world.run_until_converged(20s);
    world.exchange_frames();
    weave::sim::rekey_often(world);
    weave::sim::flood(world);
    weave::sim::storm(world, 30);
    world.run_for(10s);
}

enum class Verdict { silent, noticed, something_else };

Verdict judge(const World& world, const std::string& name) {
    Verdict verdict = Verdict::silent;
    for (const auto& violation : world.violations()) {
        const bool wanted = violation.name == name;
        std::printf("%s %s: %s\n",
                    wanted ? "noticed" : "broken, too:",
                    violation.name.c_str(),
                    violation.detail.c_str());
        if (!wanted) {
            return Verdict::something_else;
        }
        verdict = Verdict::noticed;
    }
    return verdict;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: broken INVARIANT\n");
        return 2;
    }
    const std::string name = argv[1];
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        World world(seed, 9);
        world.stop_at(name);
        everything(world);
        const Verdict verdict = judge(world, name);
        if (verdict != Verdict::silent) {
            return verdict == Verdict::noticed ? 0 : 1;
        }
    }
    std::printf("%s was broken and nobody noticed\n", name.c_str());
    return 1;
}
