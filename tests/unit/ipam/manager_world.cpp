// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "manager_world.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weave::ipam::test {

ManagerWorld::ManagerWorld(std::size_t nodes,
                           std::uint64_t seed,
                           Duration lease,
                           const std::string& range)
    : random_(seed) {
    nodes_.resize(nodes);
    for (std::size_t i = 0; i < nodes; ++i) {
        ManagerSettings& settings = nodes_[i].settings;
        settings.allocator.self.octets[6] = static_cast<std::uint8_t>(below(256));
        settings.allocator.self.octets[7] = static_cast<std::uint8_t>(below(256));
        settings.allocator.self.octets[14] = static_cast<std::uint8_t>(i >> 8);
        settings.allocator.self.octets[15] = static_cast<std::uint8_t>(i);
        settings.allocator.range = *Prefix::parse(range);
        settings.allocator.rest = std::chrono::seconds(5);
        settings.lease = lease;
        settings.expects_others = true;
        settings.boot = "first";
    }
}

void ManagerWorld::start(std::size_t number, bool rebooted) {
    Node& node = nodes_[number];
    node.up = true;
    node.settings.origin = random_();
    if (rebooted) {
        node.settings.boot = std::to_string(++boots_);
    }
    node.manager = std::make_unique<Manager>(node.settings, now_);
    node.store.clear();
    node.view.clear();
    node.told.reset();
    if (!node.saved) {
        return;
    }
    node.manager->restore(*node.saved, now_);
    for (const auto& [index, holder] : node.saved->allocator.leases) {
        node.manager->release(holder, index, now_); // nobody has it any more
    }
}

void ManagerWorld::crash(std::size_t number) {
    nodes_[number].up = false;
}

Answer::Outcome ManagerWorld::allocate(std::size_t number, const std::string& holder) {
    Manager& it = manager(number);
    const Answer answer = it.allocate(holder, it.allocator().range(), now_);
    commit(number);
    return answer.outcome;
}

Answer::Outcome ManagerWorld::claim(std::size_t number, const std::string& holder, Index index) {
    const Answer answer = manager(number).claim(holder, index, false, now_);
    commit(number);
    return answer.outcome;
}

void ManagerWorld::release(std::size_t number, const std::string& holder) {
    manager(number).release_all(holder, now_);
    commit(number);
}

void ManagerWorld::step() {
    now_ += kStep;
    std::vector<std::size_t> order(nodes_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::ranges::shuffle(order, random_);
    for (const std::size_t i : order) {
        if (nodes_[i].up) {
            look(i);
            tick(i);
            commit(i);
        }
    }
}

void ManagerWorld::look(std::size_t number) {
    Node& node = nodes_[number];
    std::vector<std::size_t> order;
    for (std::size_t j = 0; j < nodes_.size(); ++j) {
        if (j != number) {
            order.push_back(j);
        }
    }
    std::ranges::shuffle(order, random_);
    for (const std::size_t j : order) {
        const auto seen = node.view.find(j);
        if (connected(number, j)) {
            if (seen == node.view.end()) {
                node.manager->on_reachable(id(j), true, now_);
            }
            node.view[j] = TimePoint::max();
            if (below(2) == 0 || now_.time_since_epoch() % std::chrono::seconds(4) == Duration{}) {
                hear(number, j);
            }
        } else if (seen != node.view.end()) {
            if (seen->second == TimePoint::max()) {
                seen->second = now_ + std::chrono::seconds(below(9));
            }
            if (now_ >= seen->second) {
                node.view.erase(seen);
                node.manager->on_reachable(id(j), false, now_);
            }
        }
    }
}

/** All that the other one has and that is news, in any order. */
void ManagerWorld::hear(std::size_t number, std::size_t from) {
    Node& node = nodes_[number];
    std::vector<std::pair<NodeId, std::size_t>> news;
    for (const auto& [owner, kinds] : nodes_[from].store) {
        for (std::size_t kind = 0; kind < kinds.size() && owner != id(number); ++kind) {
            if (kinds.at(kind).version > node.store[owner].at(kind).version) {
                news.emplace_back(owner, kind);
            }
        }
    }
    std::ranges::shuffle(news, random_);
    for (const auto& [owner, kind] : news) {
        const Node::Stored stored = nodes_[from].store[owner].at(kind);
        node.store[owner].at(kind) = stored;
        if (const auto* used = std::get_if<std::vector<Index>>(stored.said.get())) {
            node.manager->on_in_use(owner, *used);
        } else if (const auto* said = std::get_if<wire::Allocation>(stored.said.get())) {
            node.manager->on_allocation(owner, *said, now_);
        } else {
            node.manager->on_sets(owner, std::get<wire::MemberSets>(*stored.said));
        }
    }
}

/** Whose space goes to this node in it, and who is cut off, has pods that live on. Which of them
 * had a place the heir may know wrongly, if its own ring is behind. */
void ManagerWorld::tick(std::size_t number) {
    Manager& it = manager(number);
    const auto pieces = [&] {
        return it.allocator().ring().owned(id(number), it.allocator().range());
    };
    const auto before = pieces();
    it.tick(now_);
    const Reclaim reclaim = it.members().reclaims(now_);
    const bool took = std::ranges::any_of(pieces(), [&](const auto& piece) {
        return piece.second == Stamp{reclaim.era, 0} && !std::ranges::count(before, piece);
    });
    for (std::size_t i = 0; took && i < nodes_.size(); ++i) {
        if (std::ranges::count(reclaim.from, id(i), &wire::Removal::node) > 0) {
            ++taken_back;
            if (nodes_[i].up) {
                nodes_[i].manager->allocator().leases().held().for_each(
                    [&](Index index) { orphaned.insert(index); });
            }
        }
    }
}

void ManagerWorld::publish(Node& node, std::size_t kind, Node::Said said) {
    node.store[node.settings.allocator.self].at(kind) = {
        ++version_, std::make_shared<const Node::Said>(std::move(said))};
    ++published;
}

void ManagerWorld::commit(std::size_t number) {
    Node& node = nodes_[number];
    const Manager::Changed changed = node.manager->changed();
    if (changed.state) { // of others' changes alone a crash may lose any
        node.saved = node.manager->state();
    }
    std::vector<Index> used;
    node.manager->allocator().leases().held().for_each([&](Index index) { used.push_back(index); });
    if (used != node.told) {
        node.told = used;
        publish(node, 0, std::move(used));
    }
    if (changed.record) {
        publish(node, 1, node.manager->record());
    }
    if (changed.sets) {
        publish(node, 2, node.manager->sets());
    }
}

std::vector<Index> ManagerWorld::twice() {
    std::map<Index, int> hands;
    for (const Node& node : nodes_) {
        if (node.up) {
            node.manager->allocator().leases().held().for_each(
                [&](Index index) { ++hands[index]; });
        }
    }
    std::vector<Index> out;
    for (const auto& [index, count] : hands) {
        if (count > 1) {
            out.push_back(index);
        }
    }
    return out;
}

bool ManagerWorld::agreed() {
    std::size_t up = 0;
    for (const Node& node : nodes_) {
        up += node.up ? 1U : 0U;
    }
    std::set<std::uint32_t> seqs;
    for (const Node& node : nodes_) {
        if (!node.up) {
            continue;
        }
        const MembersReport report = node.manager->members().report(now_);
        if (report.members != up || !report.member || report.pending > 0 ||
            !node.manager->members().may_allocate(now_)) {
            return false;
        }
        seqs.insert(report.seq);
    }
    return seqs.size() == 1;
}

std::string ManagerWorld::text() {
    std::string out;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const Node& node = nodes_[i];
        out += "\nnode " + std::to_string(i) + (node.up ? "" : " down");
        if (!node.manager) {
            continue;
        }
        const MembersReport report = node.manager->members().report(now_);
        const Report space = node.manager->allocator().report();
        out += ": group " + std::to_string(node.group) + ", set " + std::to_string(report.seq) +
               " of " + std::to_string(report.members) + ", sees " + std::to_string(report.seen) +
               ", pending " + std::to_string(report.pending) + ", lease state " +
               std::to_string(static_cast<int>(report.lease.state)) + " " +
               std::to_string(report.lease.left / std::chrono::seconds(1)) + " s, fence " +
               std::to_string(node.manager->members().fence()) + ", free " +
               std::to_string(space.free) + ", held " + std::to_string(space.held) + ", resting " +
               std::to_string(space.resting) + ", taken over " + std::to_string(space.taken_over) +
               "; holds";
        for (const auto& [index, holder] : node.manager->allocator().leases().holders()) {
            out += " " + std::to_string(index) + ":" + holder;
        }
        out += "; ring";
        for (const auto& [run, claim] : node.manager->allocator().ring().pieces()) {
            out += " " + std::to_string(run.first) + ":" + std::to_string(claim.owner.octets[15]) +
                   "@" + std::to_string(claim.stamp.era) + "." +
                   std::to_string(claim.stamp.version);
        }
    }
    return out;
}

} // namespace weave::ipam::test
