// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/distances.hpp"

#include "mesh/routes.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace weave::sim {
namespace {

/** Of each node those that something joins it with, the same in both directions. */
class Pairs {
  public:
    explicit Pairs(std::size_t count)
        : of_(count) {}

    void add(std::size_t a, std::size_t b) {
        if (a < of_.size() && b < of_.size() && a != b) {
            of_[a].insert(b);
            of_[b].insert(a);
        }
    }

    [[nodiscard]] const std::set<std::size_t>& of(std::size_t node) const { return of_[node]; }

  private:
    std::vector<std::set<std::size_t>> of_;
};

Pairs watch_pairs(const std::vector<mesh::NodeInfo>& infos, const Distances& numbers) {
    Pairs out(infos.size());
    for (std::size_t a = 0; a < infos.size(); ++a) {
        const bool all = !infos[a].neighbours && infos.size() <= mesh::kAllWatchAll;
        for (std::size_t b = 0; all && b < infos.size(); ++b) {
            out.add(a, b);
        }
        for (const NodeId& named : infos[a].neighbours.value_or(std::vector<NodeId>{})) {
            out.add(a, numbers.number(named));
        }
    }
    return out;
}

/** Each node's group, named by one of its members. */
std::vector<std::size_t> groups_of(const Pairs& watch, const Pairs& lost, std::size_t count) {
    std::vector<std::size_t> group(count);
    std::iota(group.begin(), group.end(), std::size_t{0});
    const auto root = [&](std::size_t node) {
        while (group[node] != node) {
            node = group[node] = group[group[node]];
        }
        return node;
    };
    for (std::size_t a = 0; a < count; ++a) {
        for (const std::size_t b : watch.of(a)) {
            if (!lost.of(a).contains(b)) {
                group[root(a)] = root(b);
            }
        }
    }
    for (std::size_t a = 0; a < count; ++a) {
        group[a] = root(a);
    }
    return group;
}

/** Which of them `self` has to believe alive. */
std::vector<bool> living(std::size_t self,
                         const std::vector<mesh::NodeInfo>& infos,
                         const Pairs& lost,
                         const Distances& numbers) {
    const std::size_t count = infos.size();
    const Pairs watch = watch_pairs(infos, numbers);
    const auto group = groups_of(watch, lost, count);
    std::map<std::size_t, std::size_t> sizes;
    std::map<std::size_t, std::size_t> losses;
    for (std::size_t a = 0; a < count; ++a) {
        ++sizes[group[a]];
        for (const std::size_t b : watch.of(a).empty() ? lost.of(a) : watch.of(a)) {
            losses[group[a]] += group[b] == group[self] ? 1U : 0U;
        }
    }
    std::vector<bool> out(count);
    for (std::size_t a = 0; a < count; ++a) {
        const std::size_t enough = std::min(sizes[group[a]], sizes[group[self]]) / 2;
        out[a] = group[a] == group[self] || losses[group[a]] < std::max<std::size_t>(1, enough);
    }
    return out;
}

/** Steps from `start` among the living. Whoever is left after a node was looked at has no edge to
 * it, so that this costs nodes and lost pairs. */
std::vector<unsigned> walk(std::size_t start, const std::vector<bool>& alive, const Pairs& lost) {
    std::vector<unsigned> steps(alive.size(), 0);
    std::vector<std::size_t> left;
    for (std::size_t to = 0; to < alive.size(); ++to) {
        if (to != start && alive[to]) {
            left.push_back(to);
        }
    }
    std::vector<std::size_t> queue{start};
    for (std::size_t head = 0; head < queue.size() && !left.empty(); ++head) {
        const std::size_t at = queue[head];
        std::erase_if(left, [&](std::size_t to) {
            if (lost.of(at).contains(to)) {
                return false;
            }
            steps[to] = steps[at] + 1;
            queue.push_back(to);
            return true;
        });
    }
    return steps;
}

} // namespace

std::size_t Distances::number(const NodeId& node) const {
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), node);
    return at == nodes.end() || *at != node ? nodes.size()
                                            : static_cast<std::size_t>(at - nodes.begin());
}

unsigned Distances::to(const NodeId& node) const {
    const std::size_t at = number(node);
    return at == nodes.size() ? 0 : hops[at];
}

Distances true_distances(const NodeId& self, const std::vector<mesh::NodeInfo>& infos) {
    Distances out;
    for (const mesh::NodeInfo& info : infos) {
        out.nodes.push_back(info.id);
    }
    Pairs lost(infos.size());
    for (std::size_t i = 0; i < infos.size(); ++i) {
        for (const NodeId& other : infos[i].unreachable) {
            lost.add(i, out.number(other));
        }
    }
    const std::size_t start = out.number(self);
    if (start == infos.size()) {
        out.hops.assign(infos.size(), 1); // it has not said anything yet, nor does it know better
        return out;
    }
    out.hops = walk(start, living(start, infos, lost, out), lost);
    return out;
}

} // namespace weave::sim
