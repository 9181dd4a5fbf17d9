// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/stall_watch.hpp"

namespace weave::daemon {

bool StallWatch::Side::stalled(std::uint64_t now_given, std::uint64_t now_done, TimePoint now) {
    // Nothing new in line: what was sent may be back without anybody having looked.
    if (now_done != done || now_given == given || moved == TimePoint{}) {
        moved = now;
    }
    given = now_given;
    done = now_done;
    return now - moved >= kPatience;
}

StallWatch::Verdict StallWatch::look(const FastProgress& progress, TimePoint now) {
    // A line that stays full takes nothing, and is not idle.
    if (sends_.stalled(progress.submitted + progress.refused, progress.completed, now)) {
        return Verdict::sends_stalled;
    }
    if (receives_.stalled(progress.redirected, progress.taken, now)) {
        return Verdict::receives_stalled;
    }
    return Verdict::works;
}

} // namespace weave::daemon
