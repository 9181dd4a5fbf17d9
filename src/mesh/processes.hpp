// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace weave::mesh {

/**
 * Which processes speak with a node's identity. After a restart the process before is heard of no
 * more; two that are heard in turn both live, so the identity was copied. One thread.
 */
class Processes {
  public:
    /** Processes remembered of a node; more machines than that with one identity are told of in
     * turn. */
    static constexpr std::size_t kMaxOfNode = 4;

    explicit Processes(std::size_t max_nodes)
        : max_nodes_(max_nodes) {}

    /** A link to this process of the node came up. Returns where another one is that lives too. */
    std::optional<Endpoint>
    heard(const NodeId& node, std::uint32_t instance, const Endpoint& at, TimePoint now);
    /** The link of the process heard last has given way to one that another process has. */
    void lost(const NodeId& node, TimePoint now);
    /** The link of the process heard last ended: nobody gives way to it any more, and perhaps it
     * was dead when others did. */
    void ended(const NodeId& node, std::uint32_t instance);

    void forget(const NodeId& node) { nodes_.erase(node); }

    [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }

    [[nodiscard]] std::size_t most_of_a_node() const;

  private:
    struct Process {
        std::uint32_t instance = 0;
        Endpoint at;
        /** Since when its links have given way to those of another one. */
        std::optional<TimePoint> shut_out;
    };

    std::size_t max_nodes_;
    /** The one that has the node's link last. */
    std::map<NodeId, std::vector<Process>> nodes_;
};

} // namespace weave::mesh
