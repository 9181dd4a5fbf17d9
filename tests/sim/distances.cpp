// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/distances.hpp"

#include "mesh/routes.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

/** Pairs of nodes, the same in both directions. */
class Pairs {
  public:
    explicit Pairs(std::size_t count)
        : count_(count)
        , held_(count * count) {}

    void add(std::size_t a, std::size_t b) {
        if (a < count_ && b < count_ && a != b) {
            held_[a * count_ + b] = held_[b * count_ + a] = true;
        }
    }

    [[nodiscard]] bool has(std::size_t a, std::size_t b) const { return held_[a * count_ + b]; }

  private:
    std::size_t count_;
    std::vector<bool> held_;
};

/** Each node's steps from `start` over pairs that `joined` holds among nodes that `among` has; 0
 * for those not reached and for itself. */
template <class Joined>
std::vector<unsigned>
walk(std::size_t start, const std::vector<bool>& among, const Joined& joined) {
    std::vector<unsigned> steps(among.size(), 0);
    std::vector<std::size_t> queue{start};
    for (std::size_t head = 0; head < queue.size(); ++head) {
        const std::size_t at = queue[head];
        for (std::size_t to = 0; to < among.size(); ++to) {
            if (to != start && steps[to] == 0 && among[to] && joined(at, to)) {
                steps[to] = steps[at] + 1;
                queue.push_back(to);
            }
        }
    }
    return steps;
}

/** Which of them `self` has to believe alive. */
std::vector<bool> living(std::size_t self,
                         const std::vector<mesh::NodeInfo>& infos,
                         const Pairs& lost,
                         const Distances& numbers) {
    const std::size_t count = infos.size();
    Pairs watch(count);
    std::vector<bool> alone(count, true);
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count && !infos[a].neighbours; ++b) {
            if (count <= mesh::kAllWatchAll) {
                watch.add(a, b);
            }
        }
        for (const NodeId& named : infos[a].neighbours.value_or(std::vector<NodeId>{})) {
            watch.add(a, numbers.number(named));
        }
    }
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
            alone[a] = alone[a] && !(a != b && watch.has(a, b));
        }
    }
    const std::vector<bool> everybody(count, true);
    const auto vouches = [&](std::size_t a, std::size_t b) {
        return watch.has(a, b) && !lost.has(a, b);
    };
    const auto group_of = [&](std::size_t start) {
        const auto steps = walk(start, everybody, vouches);
        std::vector<bool> in(count);
        for (std::size_t i = 0; i < count; ++i) {
            in[i] = i == start || steps[i] > 0;
        }
        return in;
    };
    const std::vector<bool> ours = group_of(self);
    const auto size = [](const std::vector<bool>& group) {
        return static_cast<std::size_t>(std::ranges::count(group, true));
    };
    std::vector<bool> out(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::vector<bool> group = group_of(i);
        std::size_t losses = 0;
        for (std::size_t a = 0; a < count; ++a) {
            for (std::size_t b = 0; b < count && group[a]; ++b) {
                const bool judge = alone[a] ? lost.has(a, b) : watch.has(a, b);
                losses += ours[b] && judge ? 1U : 0U;
            }
        }
        const std::size_t enough = std::min(size(group), size(ours)) / 2;
        out[i] = ours[i] || losses < std::max<std::size_t>(1, enough);
    }
    return out;
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
    out.hops = walk(start, living(start, infos, lost, out), [&](std::size_t a, std::size_t b) {
        return !lost.has(a, b);
    });
    return out;
}

} // namespace weave::sim
