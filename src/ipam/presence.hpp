// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"

#include <map>
#include <optional>

namespace weave::ipam {

/**
 * Who is there and since when, and who is not, by this node's own clock. Time in which it did not
 * look (a frozen process, a suspended host) is no evidence: it does not count as absence, and who
 * was there before it is believed to be there anew. Not thread-safe.
 */
class Presence {
  public:
    /** Between two looks of more than `blink` this node was frozen. */
    Presence(TimePoint now, Duration blink)
        : blink_(blink)
        , looked_(now) {}

    /** Call every second or so. */
    void look(TimePoint now);
    void set_reachable(const NodeId& node, bool reachable, TimePoint now);
    /** Who has never been there is absent from when it was first heard of. */
    void hear_of(const NodeId& node, TimePoint now);

    /** Forgets those that `keep` does not want and that are not reachable. */
    template <class Keep> void prune(Keep keep) {
        std::erase_if(nodes_,
                      [&](const auto& one) { return !one.second.reachable && !keep(one.first); });
    }

    [[nodiscard]] bool reachable(const NodeId& node) const;
    /** Reachable for so long, without a break or a freeze. */
    [[nodiscard]] bool reachable_for(const NodeId& node, Duration time, TimePoint now) const;

    struct Absence {
        Duration time{};
        /** It has been reachable since this node began; else `time` may be too short. */
        bool seen = false;
    };

    /** nullopt: it is reachable, or was never heard of. */
    [[nodiscard]] std::optional<Absence> absence(const NodeId& node, TimePoint now) const;

    /** When it last woke up, if it ever froze. */
    [[nodiscard]] std::optional<TimePoint> woke() const { return woke_; }

    /** Calls visit(node) for each that is reachable, in order. */
    template <class Visit> void for_each_reachable(Visit visit) const {
        for (const auto& [node, one] : nodes_) {
            if (one.reachable) {
                visit(node);
            }
        }
    }

  private:
    struct One {
        bool reachable = false;
        bool seen = false;
        TimePoint since; ///< reachable, or absent
    };

    Duration blink_;
    TimePoint looked_;
    std::optional<TimePoint> woke_;
    std::map<NodeId, One> nodes_;
};

} // namespace weave::ipam
