// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace weave {

/** Monotonic time. Machines get it as an argument; no protocol decision uses the wall clock. */
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

} // namespace weave
