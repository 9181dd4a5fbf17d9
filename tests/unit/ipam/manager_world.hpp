// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/manager.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace weave::ipam::test {

/**
 * Nodes with pods, and records that go from node to node as in the mesh: each keeps the newest of
 * every node, also of those out of reach, and passes them on; a record of who is reachable comes
 * within four seconds, kinds in any order. A break is noticed within ten seconds, at each end for
 * itself. Virtual time, one for all.
 */
class ManagerWorld {
  public:
    static constexpr Duration kStep = std::chrono::seconds(1);

    struct Node {
        ManagerSettings settings;
        std::unique_ptr<Manager> manager;
        std::optional<ManagerState> saved;
        bool up = false;
        int group = 0;

        using Said = std::variant<std::vector<Index>, wire::Allocation, wire::MemberSets>;

        struct Stored {
            std::uint64_t version = 0;
            std::shared_ptr<const Said> said;
        };

        std::map<NodeId, std::array<Stored, 3>> store; ///< kinds 2, 3, 4; its own too
        std::map<std::size_t, TimePoint> view;         ///< who is seen, and until when if cut off
        std::optional<std::vector<Index>> told;        ///< of the places in use
    };

    ManagerWorld(std::size_t nodes, std::uint64_t seed, Duration lease, const std::string& range);

    std::size_t below(std::size_t bound) { return random_() % bound; }

    Node& at(std::size_t number) { return nodes_[number]; }

    Manager& manager(std::size_t number) { return *nodes_[number].manager; }

    [[nodiscard]] const NodeId& id(std::size_t number) const {
        return nodes_[number].settings.allocator.self;
    }

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    [[nodiscard]] TimePoint now() const { return now_; }

    /** `rebooted`: the clock began anew. Pods that ran before are gone. */
    void start(std::size_t number, bool rebooted = false);
    void crash(std::size_t number);

    /** Its state file is gone. */
    void lose(std::size_t number) {
        nodes_[number].saved.reset();
        nodes_[number].settings.forgot = true;
    }

    Answer::Outcome allocate(std::size_t number, const std::string& holder);
    Answer::Outcome claim(std::size_t number, const std::string& holder, Index index);
    void release(std::size_t number, const std::string& holder);

    void step();

    void pass(Duration time) {
        for (const TimePoint end = now_ + time; now_ < end;) {
            step();
        }
    }

    /** Held on more than one node that is up. */
    std::vector<Index> twice();
    /** All that are up follow one set, of just them. */
    bool agreed();
    std::string text();

    /** What nodes held whose space was taken back while they were cut off: their pods live on. */
    std::set<Index> orphaned;
    std::size_t taken_back = 0;
    std::size_t published = 0;

  private:
    [[nodiscard]] bool connected(std::size_t one, std::size_t other) const {
        return nodes_[one].up && nodes_[other].up && nodes_[one].group == nodes_[other].group;
    }

    void look(std::size_t number);
    void hear(std::size_t number, std::size_t from);
    void tick(std::size_t number);
    void commit(std::size_t number);
    void publish(Node& node, std::size_t kind, Node::Said said);

    std::mt19937_64 random_;
    TimePoint now_ = TimePoint{} + std::chrono::hours(100);
    std::vector<Node> nodes_;
    std::uint64_t version_ = 0;
    int boots_ = 0;
};

} // namespace weave::ipam::test
