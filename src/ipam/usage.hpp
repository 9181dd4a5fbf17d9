// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/run_set.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace weave::ipam {

/**
 * Which indices the pods of other nodes use, as those nodes said last. Of a node that is away, its
 * space taken over, it is only what was known last. Not thread-safe.
 */
class Usage {
  public:
    /** All that the node uses; returns the indices in which that differs from before. */
    std::vector<Index> set(const NodeId& node, RunSet used);
    /** One more: of what was kept on disk. */
    void add(const NodeId& node, Index index);
    void set_away(const NodeId& node, bool away);
    void forget(const NodeId& node);

    /** Used by nodes that are not away: never to be handed out. */
    [[nodiscard]] const RunSet& live() const { return live_; }

    /** Used, as far as was known last, by nodes that are away. */
    [[nodiscard]] const RunSet& last_known() const { return last_known_; }

    /** Of the nodes that are not away one that uses it. */
    [[nodiscard]] std::optional<NodeId> user(Index index) const;
    /** How many of the run's indices the node uses. */
    [[nodiscard]] std::size_t count(const NodeId& node, Run within) const;

    [[nodiscard]] const std::map<NodeId, RunSet>& by_node() const { return by_node_; }

    [[nodiscard]] const std::set<NodeId>& away() const { return away_; }

  private:
    [[nodiscard]] bool used(Index index, bool away) const;

    std::map<NodeId, RunSet> by_node_;
    std::set<NodeId> away_;
    RunSet live_;
    RunSet last_known_;
};

} // namespace weave::ipam
