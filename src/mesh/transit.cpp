// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/transit.hpp"

#include <algorithm>

namespace weave::mesh {

std::chrono::milliseconds transit_time(const std::vector<std::optional<Duration>>& round_trips) {
    // A peer that takes it at once, and one that has other things to do, or lost a segment.
    static constexpr auto kLeast = std::chrono::milliseconds(10);
    static constexpr auto kMost = std::chrono::milliseconds(80);
    std::chrono::milliseconds out{0};
    for (const auto& each : round_trips) {
        const auto whole = each ? std::chrono::ceil<std::chrono::milliseconds>(*each) : kMost;
        out = std::max(out, std::min(kLeast + whole, kMost));
    }
    return out;
}

} // namespace weave::mesh
