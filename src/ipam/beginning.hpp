// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"

#include <optional>
#include <set>

namespace weave::ipam {

/**
 * Which other nodes can be reached and which have spoken, and from that when this node may begin a
 * ring of its own: not while a live one could be beside it whose records are on their way, as
 * reachability and records arrive apart. Not thread-safe.
 *
 * With nobody else: at once, or, when others are expected, after `join_wait`. With others: when all
 * of them have said that they have nothing, this node has the lowest id of all, and for `join_wait`
 * nobody came or went. Who says nothing (it has another range, or an older version) is waited for
 * `begin_wait`.
 */
class Beginning {
  public:
    struct Settings {
        NodeId self;
        Duration join_wait{};
        Duration begin_wait{};
        bool expects_others = false;
    };

    Beginning(Settings settings, TimePoint now)
        : settings_(settings)
        , changed_at_(now) {}

    void on_reachable(const NodeId& node, bool reachable, TimePoint now);

    /** A record of this range. */
    void on_heard(const NodeId& node);
    void forget(const NodeId& node);

    /** Someone wants space. */
    void want(TimePoint now) { wanted_since_ = wanted_since_.value_or(now); }

    /** Nobody does any more. */
    void end_want() { wanted_since_.reset(); }

    /** When this node may begin, if nothing changes; nullopt when it is another's to begin. */
    [[nodiscard]] std::optional<TimePoint> at() const;

    /** Of those that can be reached and have spoken, the lowest, when it is lower than this node:
     * whom to ask to begin. */
    [[nodiscard]] std::optional<NodeId> lower() const;

    [[nodiscard]] bool is_reachable(const NodeId& node) const { return reachable_.contains(node); }

    [[nodiscard]] const std::set<NodeId>& reachable() const { return reachable_; }

  private:
    Settings settings_;
    TimePoint changed_at_;
    std::optional<TimePoint> wanted_since_;
    std::set<NodeId> reachable_;
    std::set<NodeId> heard_; ///< ever
    std::set<NodeId> fresh_; ///< since it was last out of reach
};

} // namespace weave::ipam
