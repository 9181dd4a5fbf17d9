// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/processes.hpp"

#include <algorithm>
#include <iterator>

namespace weave::mesh {
namespace {

/** A node that lost its boot epoch gives way to its own dead link until that is noticed: only after
 * longer than that is who it gives way to alive. */
constexpr Duration kSurelyAlive = std::chrono::seconds(10);

} // namespace

std::optional<Endpoint>
Processes::heard(const NodeId& node, std::uint32_t instance, const Endpoint& at, TimePoint now) {
    if (!nodes_.contains(node) && nodes_.size() >= max_nodes_) {
        return std::nullopt;
    }
    std::vector<Process>& seen = nodes_[node];
    const auto found = std::find_if(
        seen.begin(), seen.end(), [&](const Process& it) { return it.instance == instance; });
    Process process{instance, at, std::nullopt};
    std::optional<Endpoint> other;
    if (found != seen.end()) {
        process.shut_out = found->shut_out;
#ifdef WEAVE_BREAK_NEWEST_PROCESS // the simulator proves that it notices
        const bool followed = true;
#else
        const bool followed = std::next(found) != seen.end();
#endif
        if (followed && (!process.shut_out || now - *process.shut_out >= kSurelyAlive)) {
            other = seen.back().at;
        }
        seen.erase(found);
    } else if (seen.size() == kMaxOfNode) {
        seen.erase(seen.begin());
    }
    seen.push_back(process);
    return other;
}

void Processes::lost(const NodeId& node, TimePoint now) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() || found->second.size() < 2) {
        return;
    }
    std::vector<Process>& seen = found->second;
    seen.back().shut_out = seen.back().shut_out.value_or(now);
    std::iter_swap(seen.rbegin(), std::next(seen.rbegin()));
}

void Processes::ended(const NodeId& node, std::uint32_t instance) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() || found->second.size() < 2) {
        return;
    }
    std::vector<Process>& seen = found->second;
    if (seen.back().instance == instance && std::next(seen.rbegin())->shut_out) {
        seen.pop_back();
        seen.back().shut_out.reset();
    }
}

std::size_t Processes::most_of_a_node() const {
    std::size_t most = 0;
    for (const auto& [node, seen] : nodes_) {
        most = std::max(most, seen.size());
    }
    return most;
}

} // namespace weave::mesh
