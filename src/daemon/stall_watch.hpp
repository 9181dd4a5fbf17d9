// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <cstdint>

namespace weave::daemon {

/** Sums over the sockets of one interface. */
struct FastProgress {
    std::uint64_t submitted = 0;  ///< frames given to the kernel to send
    std::uint64_t completed = 0;  ///< of those, back
    std::uint64_t redirected = 0; ///< datagrams that the filter sent to the sockets
    std::uint64_t taken = 0;      ///< of those, received here or dropped for want of room
    std::uint64_t refused = 0;    ///< how often the line of those to send had no place
};

/**
 * Whether an interface's own sockets go on working: some drivers stop for good when a wake-up was
 * lost. A machine without input or output.
 */
class StallWatch {
  public:
    /** Work was given in every look and none of it came back for as long. */
    static constexpr Duration kPatience = std::chrono::milliseconds{1000};

    enum class Verdict : std::uint8_t { works, sends_stalled, receives_stalled };

    /** Some times a second. A verdict other than `works` stays until reset(). */
    Verdict look(const FastProgress& progress, TimePoint now);

    void reset() { *this = {}; }

  private:
    /** One direction. */
    struct Side {
        std::uint64_t given = 0;
        std::uint64_t done = 0;
        TimePoint moved{}; ///< or was idle

        bool stalled(std::uint64_t now_given, std::uint64_t now_done, TimePoint now);
    };

    Side sends_;
    Side receives_;
};

} // namespace weave::daemon
