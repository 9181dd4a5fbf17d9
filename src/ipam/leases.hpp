// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "ipam/run_set.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weave::ipam {

/**
 * Which index this node has handed out to whom, and in which order those that came back may go out
 * again. What came back rests for a while, and then is rested: free again, but after all that was
 * never used, the longest rested first. Not thread-safe.
 */
class Leases {
  public:
    /** How many rested indices are remembered; beyond, the longest rested count as never used. */
    static constexpr std::size_t kMaxRested = 16384;

    explicit Leases(Duration rest)
        : rest_(rest) {}

    /** The holder's index within the run, the lowest of several. */
    [[nodiscard]] std::optional<Index>
    find(const std::string& holder, Run within, const std::vector<Index>& besides = {}) const;
    /** All of the holder's, in order. */
    [[nodiscard]] std::vector<Index> held_by(const std::string& holder) const;

    [[nodiscard]] bool holds(Index index) const { return holders_.contains(index); }

    [[nodiscard]] const std::string* holder(Index index) const;

    /** The index must not be held; one that rests stops resting. */
    void add(const std::string& holder, Index index);
    /** False when the holder does not hold it. */
    bool release(const std::string& holder, Index index, TimePoint now);
    /** As release(), without a memory of who held it: after a restart. */
    void rest(Index index, TimePoint now);
    /** Ends the rest of what has rested long enough; true when there was any. */
    bool advance(TimePoint now);
    /** What of the run rests or has rested is no longer this node's to give. */
    void forget(Run run);

    /** The longest rested for which `fits` holds. */
    template <class Fits> [[nodiscard]] std::optional<Index> rested(Fits fits) const {
        for (auto turn = order_.begin(); turn != order_.end() && turn->first < resting_from_;
             ++turn) {
            if (fits(turn->second.index)) {
                return turn->second.index;
            }
        }
        return std::nullopt;
    }

    /** When the next rest ends, as advance() will find; max() when nothing rests. */
    [[nodiscard]] TimePoint rested_at() const;

    [[nodiscard]] std::size_t size() const { return holders_.size(); }

    [[nodiscard]] const RunSet& held() const { return held_; }

    /** Held or resting. */
    [[nodiscard]] const RunSet& occupied() const { return occupied_; }

    /** Held, resting or rested: anything but never used. */
    [[nodiscard]] const RunSet& known() const { return known_; }

    [[nodiscard]] const std::unordered_map<Index, std::string>& holders() const { return holders_; }

    /** Those that rest still, the longest first. */
    [[nodiscard]] std::vector<Index> resting() const;

  private:
    struct Turn {
        Index index;
        TimePoint since;
    };

    using Turns = std::map<std::uint64_t, Turn>;

    void drop(Turns::iterator turn);

    Duration rest_;
    std::unordered_map<Index, std::string> holders_;
    std::unordered_map<std::string, std::set<Index>> by_holder_;
    RunSet held_;
    RunSet occupied_;
    RunSet known_;
    std::uint64_t next_turn_ = 0;
    std::uint64_t resting_from_ = 0; ///< earlier turns have rested
    std::size_t rested_ = 0;
    Turns order_; ///< what rests or has rested
    std::unordered_map<Index, std::uint64_t> turns_;
};

} // namespace weave::ipam
