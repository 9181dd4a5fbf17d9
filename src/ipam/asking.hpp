// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "ipam/ring.hpp"

#include <map>
#include <optional>
#include <utility>

namespace weave::ipam {

/**
 * What this node has no space for, and whom it asks: one node for one run at a time, each run in
 * turn. Not thread-safe.
 */
class Asking {
  public:
    /** Of more runs at once the callers come back later. */
    static constexpr std::size_t kMaxWants = 1024;

    struct Asked {
        NodeId from;
        Run within;
        /** When it was asked in vain. */
        TimePoint until;
    };

    /** How long one waits for an answer; who gave none is passed over, for that want, four times as
     * long. Of one very place nobody else could be asked. */
    explicit Asking(Duration ask_again)
        : ask_again_(ask_again) {}

    /** False when there are too many. */
    bool want(Run within, TimePoint until);

    void end(Run within) { wants_.erase(within); }

    /** How many wants this run could serve. */
    [[nodiscard]] std::size_t wants_in(Run within) const;

    [[nodiscard]] bool empty() const { return wants_.empty(); }

    [[nodiscard]] const std::optional<Asked>& asked() const { return asked_; }

    [[nodiscard]] bool is_passed_over(const NodeId& node, Run within) const {
        return passed_over_.contains({within, node});
    }

    /** No more asking for now. */
    void stop() { asked_.reset(); }

    /**
     * Ends what is over, and asks for the next want. `has(Run)` says whether its space is here,
     * `whom(Run)` gives the node to ask, if any, `stands(Asked)` whether it is still right to ask.
     * Who is asked to begin a ring takes its time and is waited for: `patient`.
     */
    template <class Has, class Whom, class Stands>
    void turn(TimePoint now, bool patient, Has has, Whom whom, Stands stands) {
        drop_old(now);
        if (asked_ && (!wants_.contains(asked_->within) || has(asked_->within) ||
                       !stands(*asked_) || (asked_->until == TimePoint::max()) != patient)) {
            asked_.reset();
        }
        end_asked(now);
        auto want = wants_.upper_bound(last_);
        for (std::size_t left = wants_.size(); left > 0 && !asked_; --left, ++want) {
            if (want == wants_.end()) {
                want = wants_.begin();
            }
            if (has(want->first)) {
                continue; // who wanted it comes back for it
            }
            if (const auto from = whom(want->first)) {
                asked_ = {*from, want->first, patient ? TimePoint::max() : now + ask_again_};
                last_ = want->first;
            }
        }
    }

    /** When turn() has something to do; max() when nothing is wanted. */
    [[nodiscard]] TimePoint next_deadline() const;

  private:
    void drop_old(TimePoint now);
    void end_asked(TimePoint now);

    Duration ask_again_;
    std::map<Run, TimePoint> wants_; ///< until when, unless it is wanted again
    std::optional<Asked> asked_;
    Run last_;
    std::map<std::pair<Run, NodeId>, TimePoint> passed_over_;
};

} // namespace weave::ipam
