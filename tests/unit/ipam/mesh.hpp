// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/allocator.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weave::ipam::test {

/** Begins at `start`, in a range of at most 65536. */
inline NodeId node_at(Index start, std::uint8_t tag = 0) {
    NodeId node;
    node.octets[6] = static_cast<std::uint8_t>(start >> 8);
    node.octets[7] = static_cast<std::uint8_t>(start);
    node.octets[15] = tag;
    return node;
}

/**
 * Allocators with the driver and the mesh that they are made for, on virtual time. The driver saves
 * before it publishes or answers; a crash goes back to what was saved. The mesh keeps the newest
 * record of every node, also of those out of reach, and passes it on over the links that are not
 * cut; reachability, what is used and allocations come apart. settle() lets all of it arrive;
 * drift() some of it, and old records too.
 */
class Mesh {
  public:
    using Chance = std::function<bool()>;

    Mesh(const std::string& range, const std::vector<Index>& starts, bool expects_others = false)
        : expects_others_(expects_others) {
        for (std::size_t i = 0; i < starts.size(); ++i) {
            AllocatorSettings settings;
            settings.self = node_at(starts[i], static_cast<std::uint8_t>(i));
            settings.range = *Prefix::parse(range);
            Node& node = nodes_.emplace_back();
            node.settings = settings;
            node.allocator = std::make_unique<Allocator>(settings, expects_others, now_);
            node.saved = node.allocator->state();
            node.store.resize(starts.size());
            node.heard.resize(starts.size());
        }
        settle();
    }

    Allocator& at(std::size_t node) { return *nodes_[node].allocator; }

    [[nodiscard]] const NodeId& id(std::size_t node) const { return nodes_[node].settings.self; }

    [[nodiscard]] const AllocatorSettings& settings(std::size_t node) const {
        return nodes_[node].settings;
    }

    [[nodiscard]] TimePoint now() const { return now_; }

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    /** Records that were published, of all nodes. */
    [[nodiscard]] std::size_t published() const { return published_; }

    Answer allocate(std::size_t node, const std::string& holder) {
        return allocate(node, holder, at(node).range());
    }

    Answer allocate(std::size_t node, const std::string& holder, Run within) {
        const Answer answer = at(node).allocate(holder, within, now_);
        commit(nodes_[node]);
        return answer;
    }

    Answer claim(std::size_t node, const std::string& holder, Index index, bool in_use = false) {
        const Answer answer = at(node).claim(holder, index, in_use, now_);
        commit(nodes_[node]);
        return answer;
    }

    bool release(std::size_t node, const std::string& holder, Index index) {
        const bool released = at(node).release(holder, index, now_);
        commit(nodes_[node]);
        return released;
    }

    void take_over(std::size_t node, std::size_t from, std::uint32_t era) {
        at(node).take_over(id(from), era, era);
        commit(nodes_[node]);
    }

    void set_lease(std::size_t node, bool may) {
        nodes_[node].lease = may;
        at(node).set_lease(may);
    }

    [[nodiscard]] bool lease(std::size_t node) const { return nodes_[node].lease; }

    void cut(std::size_t one, std::size_t other) { cut_.insert(std::minmax(one, other)); }

    void heal(std::size_t one, std::size_t other) { cut_.erase(std::minmax(one, other)); }

    void cut_off(std::size_t node) {
        for (std::size_t other = 0; other < size(); ++other) {
            if (other != node) {
                cut(node, other);
            }
        }
    }

    void heal_all() { cut_.clear(); }

    [[nodiscard]] bool apart(std::size_t one, std::size_t other) const {
        return !cut_.empty() && cut_.contains(std::minmax(one, other));
    }

    /** What happened since it was saved last is lost. Records of others are kept by the driver. */
    void crash(std::size_t number);

    /** The allocator ticks, and what it says is saved and then published. */
    void turn(std::size_t number) {
        nodes_[number].allocator->tick(now_);
        commit(nodes_[number]);
    }

    /** Until nobody says anything new. */
    void settle() {
        std::size_t rounds = 0;
        for (std::size_t before = published_ + 1; before != published_;) {
            if (++rounds > 20000) {
                throw std::logic_error("records go round without end");
            }
            before = published_;
            for (std::size_t node = 0; node < size(); ++node) {
                turn(node);
            }
            spread([] { return true; });
        }
    }

    /** Some of what is on its way arrives, and some that is old. */
    void drift(const Chance& chance);

    void pass(Duration duration, Duration step = std::chrono::milliseconds(500)) {
        const TimePoint end = now_ + duration;
        while (now_ < end) {
            now_ = std::min(end, now_ + step);
            settle();
        }
    }

    void skip(Duration duration) { now_ += duration; }

    /** The whole state is saved at every change; with many nodes that is most of the time spent. */
    void save(bool save) { save_ = save; }

  private:
    struct Said {
        std::uint64_t version = 0;
        wire::Allocation said;
    };

    struct Used {
        std::uint64_t version = 0;
        std::vector<Index> used;
    };

    using SaidPtr = std::shared_ptr<const Said>;
    using UsedPtr = std::shared_ptr<const Used>;

    struct Stored {
        SaidPtr said;
        UsedPtr used;
    };

    struct Heard {
        SaidPtr said;
        UsedPtr used;
        bool reachable = false;
    };

    struct Node {
        AllocatorSettings settings;
        std::unique_ptr<Allocator> allocator;
        AllocatorState saved;
        bool lease = true;
        SaidPtr said;
        UsedPtr used = std::make_shared<Used>();
        std::deque<SaidPtr> old;
        std::vector<Stored> store; ///< of each node's records the newest that came here
        std::vector<Heard> heard;  ///< what of it the allocator was told
    };

    void commit(Node& node);

    static void publish_used(Node& node);

    template <class Ptr> static bool newer(const Ptr& one, const Ptr& other) {
        return one && (!other || one->version > other->version);
    }

    /** Of a node's own records, too, the newest is in its store. */
    [[nodiscard]] const Stored& newest(std::size_t holder, std::size_t origin) const {
        return nodes_[holder].store[origin];
    }

    /** Over one link, from one store to the other. */
    bool gossip(std::size_t from, std::size_t to, std::size_t origin, const Chance& chance);

    void spread(const Chance& chance);

    [[nodiscard]] std::vector<bool> reach(std::size_t from) const;

    void tell(std::size_t to, std::size_t origin, bool reachable, const Chance& chance);

    TimePoint now_ = TimePoint{} + std::chrono::hours(1);
    bool expects_others_;
    bool save_ = true;
    std::vector<Node> nodes_;
    std::set<std::pair<std::size_t, std::size_t>> cut_;
    std::size_t published_ = 0;
};

} // namespace weave::ipam::test
