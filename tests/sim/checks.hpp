// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/scenarios.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

/** What test cases want of worlds. */
namespace weave::sim {

/** What to type to see the same again. */
inline std::string repeat(const World& world) {
    const doctest::ContextOptions& options = *doctest::getContextOptions();
    std::string name = options.currentTest->m_name;
    std::replace(name.begin(), name.end(), ',', '?'); // a comma would end the pattern
    return "WEAVE_SIM_SEED=" + std::to_string(world.seed()) + " " + options.binary_name.c_str() +
           " -tc='" + name + "'";
}

inline void require_clean(World& world) {
    for (const auto& violation : world.violations()) {
        FAIL_CHECK(violation.name << ": " << violation.detail << "; again: " << repeat(world));
    }
}

inline void require_converged(World& world, Duration span) {
    const bool converged = world.run_until_converged(span);
    INFO("again: " << repeat(world));
    INFO(world.unconverged());
    REQUIRE(converged);
    CHECK(world.exchange_frames() == "");
    require_clean(world);
}

} // namespace weave::sim
