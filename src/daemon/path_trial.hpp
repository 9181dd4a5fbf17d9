// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <vector>

namespace weave::daemon {

/**
 * Compares two ways to the same peers under the traffic that there is: slots of one and the other
 * in turn, so that what changes with time changes for both. A machine without input or output.
 */
class PathTrial {
  public:
    static constexpr Duration kSlot = std::chrono::milliseconds{100};
    /** Of each slot's beginning, in which the other way's packets still arrive. */
    static constexpr Duration kLeadIn = std::chrono::milliseconds{20};
    /** Of each way: more than a second of it is measured. */
    static constexpr std::size_t kSlots = 14;
    /** What the way past the kernel has to be better by. */
    static constexpr double kGain = 1.15;
    /** Traffic worth a trial, in bytes a second: with less, both ways carry all of it. */
    static constexpr double kWorth = 12.5e6;

    enum class State : std::uint8_t {
        sockets, ///< measures these now
        fast,    ///< measures the way past the kernel now
        gained,  ///< it carried kGain times as much
        no_gain,
        idle ///< the traffic stopped in the middle: nothing is known
    };

    /** `bytes`: moved so far in both directions; as in step(). */
    PathTrial(TimePoint now, std::uint64_t bytes);

    /** To be called all the time; says which way is to be used until the next call. */
    State step(TimePoint now, std::uint64_t bytes);

    /** Medians, in bytes a second; 0 before the end. */
    [[nodiscard]] double sockets_rate() const { return sockets_rate_; }

    [[nodiscard]] double fast_rate() const { return fast_rate_; }

  private:
    void end_slot(TimePoint now, std::uint64_t bytes);
    void judge();

    State state_ = State::fast;
    TimePoint slot_began_;
    TimePoint counted_from_{};
    std::uint64_t bytes_;
    std::vector<double> sockets_;
    std::vector<double> fast_;
    double sockets_rate_ = 0;
    double fast_rate_ = 0;
};

} // namespace weave::daemon
