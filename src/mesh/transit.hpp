// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <chrono>
#include <optional>
#include <vector>

namespace weave::mesh {

/** How long a record takes to the tables of the farthest of the peers with these round trips;
 * nullopt: who knows how far that one is. At most 80 ms. */
[[nodiscard]] std::chrono::milliseconds
transit_time(const std::vector<std::optional<Duration>>& round_trips);

} // namespace weave::mesh
