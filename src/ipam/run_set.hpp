// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/ring.hpp"

#include <map>
#include <optional>
#include <vector>

namespace weave::ipam {

/** A set of indices kept as runs: every call costs the logarithm of the number of runs, and those
 * with a Run also the number of runs in it. Not thread-safe. */
class RunSet {
  public:
    /** False when it was there already. */
    bool insert(Index index);
    void insert(Run run);
    /** False when it was not there. */
    bool erase(Index index);
    void erase(Run run);
    [[nodiscard]] bool contains(Index index) const;
    /** The first index at or after `from` that is not in the set. */
    [[nodiscard]] Index next_absent(Index from) const;
    /** The first index at or after `from` that is in the set. */
    [[nodiscard]] std::optional<Index> next_present(Index from) const;

    [[nodiscard]] std::size_t size() const { return size_; }

    /** How many of a run's indices are in the set. */
    [[nodiscard]] std::size_t count(Run within) const;

    [[nodiscard]] bool empty() const { return size_ == 0; }

    /** In order, as few as can be. */
    [[nodiscard]] std::vector<Run> runs() const;

    /** In order; the set must not change meanwhile. */
    template <class Visit> void for_each(Visit visit) const {
        for (const auto& [first, end] : runs_) {
            for (Index index = first; index < end; ++index) {
                visit(index);
            }
        }
    }

    bool operator==(const RunSet&) const = default;

  private:
    std::map<Index, Index> runs_; ///< first to end; never adjacent
    std::size_t size_ = 0;
};

} // namespace weave::ipam
