// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh.hpp"

namespace weave::ipam::test {

void Mesh::crash(std::size_t number) {
    Node& node = nodes_[number];
    node.allocator = std::make_unique<Allocator>(node.settings, true, now_);
    node.allocator->restore(node.saved, now_);
    node.allocator->set_lease(node.lease);
    node.heard.assign(nodes_.size(), {});
}

void Mesh::drift(const Chance& chance) {
    for (std::size_t node = 0; node < size(); ++node) {
        if (chance()) {
            turn(node);
        }
    }
    spread(chance);
    for (std::size_t to = 0; to < size(); ++to) {
        for (std::size_t from = 0; from < size(); ++from) {
            if (to != from && !nodes_[from].old.empty() && chance() && chance() && chance()) {
                at(to).on_allocation(id(from), nodes_[from].old.front()->said, now_);
                nodes_[to].heard[from].said = nullptr; // the newest comes again
            }
        }
    }
}

void Mesh::commit(Node& node) {
    const auto [state, record, others] = node.allocator->changed();
    if (save_ && state) { // of others' changes alone a crash may lose any
        node.saved = node.allocator->state();
    }
    if (state) {
        publish_used(node);
    }
    if (record) {
        const std::uint64_t version = node.said ? node.said->version + 1 : 1;
        node.old.push_back(node.said ? node.said : std::make_shared<Said>());
        if (node.old.size() > 4) {
            node.old.pop_front();
        }
        node.said = std::make_shared<Said>(Said{version, node.allocator->record()});
        ++published_;
    }
}

void Mesh::publish_used(Node& node) {
    std::vector<Index> used;
    node.allocator->leases().held().for_each([&](Index index) { used.push_back(index); });
    if (used != node.used->used) {
        node.used = std::make_shared<Used>(Used{node.used->version + 1, std::move(used)});
    }
}

bool Mesh::gossip(std::size_t from, std::size_t to, std::size_t origin, const Chance& chance) {
    Stored& mine = nodes_[to].store[origin];
    const Stored& theirs = newest(from, origin);
    bool moved = false;
    if (newer(theirs.said, mine.said) && chance()) {
        mine.said = theirs.said;
        moved = true;
    }
    if (newer(theirs.used, mine.used) && chance()) {
        mine.used = theirs.used;
        moved = true;
    }
    return moved;
}

void Mesh::spread(const Chance& chance) {
    for (std::size_t node = 0; node < size(); ++node) {
        nodes_[node].store[node] = {nodes_[node].said, nodes_[node].used};
    }
    bool moved = true;
    while (std::exchange(moved, false)) {
        for (std::size_t to = 0; to < size(); ++to) {
            for (std::size_t from = 0; from < size() && !cut_.empty(); ++from) {
                for (std::size_t origin = 0; origin < size(); ++origin) {
                    moved = (to != from && to != origin && !apart(to, from) &&
                             gossip(from, to, origin, chance)) ||
                            moved;
                }
            }
            for (std::size_t origin = 0; origin < size() && cut_.empty(); ++origin) {
                if (to != origin) { // all are neighbours
                    gossip(origin, to, origin, chance);
                }
            }
        }
    }
    for (std::size_t to = 0; to < size(); ++to) {
        const auto reachable = cut_.empty() ? std::vector<bool>(size(), true) : reach(to);
        for (std::size_t origin = 0; origin < size(); ++origin) {
            if (to != origin) {
                tell(to, origin, reachable[origin], chance);
            }
        }
    }
}

std::vector<bool> Mesh::reach(std::size_t from) const {
    std::vector<bool> out(size(), false);
    std::vector<std::size_t> next{from};
    out[from] = true;
    while (!next.empty()) {
        const std::size_t at = next.back();
        next.pop_back();
        for (std::size_t other = 0; other < size(); ++other) {
            if (!out[other] && !apart(at, other)) {
                out[other] = true;
                next.push_back(other);
            }
        }
    }
    return out;
}

void Mesh::tell(std::size_t to, std::size_t origin, bool reachable, const Chance& chance) {
    Node& node = nodes_[to];
    Heard& heard = node.heard[origin];
    const Stored& stored = node.store[origin];
    if (stored.said != heard.said && chance()) {
        heard.said = stored.said;
        node.allocator->on_allocation(id(origin), heard.said->said, now_);
    }
    if (heard.reachable != reachable && chance()) {
        heard.reachable = reachable;
        node.allocator->on_reachable(id(origin), reachable, now_);
    }
    if (stored.used != heard.used && chance()) {
        heard.used = stored.used;
        node.allocator->on_in_use(id(origin), heard.used->used);
    }
}

} // namespace weave::ipam::test
