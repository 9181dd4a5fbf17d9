// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/members.hpp"
#include "wire/record.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace weave::ipam::test {

/**
 * Nodes that follow the rules of the allocator with their claims, and records that go from store to
 * store as in the mesh: a record of who is connected comes within a few seconds, others may come at
 * any time, kinds in any order. A connection that broke is noticed within ten seconds, at each end
 * for itself. Time is virtual and one for all.
 */
class MembersWorld {
  public:
    static constexpr Index kPlaces = 64;
    static constexpr Duration kStep = std::chrono::seconds(2);
    static constexpr Duration kNotice = std::chrono::seconds(10);

    struct Node {
        MembersSettings settings;
        std::unique_ptr<Members> members;
        Ring ring{kPlaces};
        std::vector<std::pair<Run, Claim>> given;
        bool up = false;
        bool frozen = false;
        bool lost_for_good = false;
        int group = 0;

        struct Saved {
            MembersState members;
            Ring ring{kPlaces};
            std::vector<std::pair<Run, Claim>> given;
        };

        std::optional<Saved> saved;

        struct Stored {
            std::uint64_t version = 0;
            std::shared_ptr<const wire::Allocation> allocation;
            std::shared_ptr<const wire::MemberSets> sets;
        };

        /** By owner, then by kind. */
        std::vector<std::array<Stored, 2>> store;
        std::vector<TimePoint> connected_at; ///< with each, last
        std::vector<bool> view;
        std::vector<TimePoint> notice_at;
        std::vector<TimePoint> synced_at;
        bool ring_changed = false;
    };

    MembersWorld(std::size_t nodes, std::uint64_t seed, Duration lease);

    /** Of no order that would favour the first. */
    static NodeId id(std::size_t number) {
        NodeId out;
        out.octets[0] = static_cast<std::uint8_t>(number * 89 + 40);
        out.octets[6] = static_cast<std::uint8_t>(number >> 8);
        out.octets[7] = static_cast<std::uint8_t>(number);
        return out;
    }

    static Prefix range() { return *Prefix::parse("10.0.0.0/26"); }

    std::size_t below(std::size_t bound) { return random_() % bound; }

    Node& at(std::size_t number) { return nodes_[number]; }

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    [[nodiscard]] TimePoint now() const { return now_; }

    void start(std::size_t number, bool rebooted = false);

    void crash(std::size_t number) { nodes_[number].up = false; }

    void found(std::size_t number);

    /** The owner of a place gives a run to another. */
    void give(std::size_t from, std::size_t to);

    void step();

    void pass(Duration time) {
        for (const TimePoint end = now_ + time; now_ < end;) {
            step();
        }
    }

    /** Whether the node would hand out from the place. */
    [[nodiscard]] bool believes(const Node& node, Index place) const;

    /** Places from which two nodes would hand out. */
    [[nodiscard]] int believed_twice() const;

    [[nodiscard]] int usable() const;

    /** What each node sees, for a failure. */
    [[nodiscard]] std::string text() const;

    /** All that are up follow one set, of just them. */
    [[nodiscard]] bool agreed() const;

    std::size_t published_bytes = 0;
    std::size_t published_records = 0;
    std::size_t takeovers = 0;
    std::size_t minority_takeovers = 0;
    /** Era and who took over with it. */
    std::map<std::uint32_t, std::set<std::size_t>> heirs;
    /** One in so many saves is followed by a crash before anything is told; 0: none. */
    std::size_t crash_after_save = 0;

  private:
    [[nodiscard]] bool connected(std::size_t one, std::size_t other) const {
        const Node& a = nodes_[one];
        const Node& b = nodes_[other];
        return a.up && b.up && !a.frozen && !b.frozen && a.group == b.group;
    }

    void look_and_hear(std::size_t number);

    /** All that the other one has and that is news. */
    void hear(std::size_t number, std::size_t from);

    static void merge(Node& node, std::size_t owner);

    void take_over(Node& node);

    void flush(Node& node, std::size_t number);

    void publish(Node& node, std::size_t number);

    void note_published(std::size_t tlvs);

    std::mt19937_64 random_;
    TimePoint now_ = TimePoint{} + std::chrono::hours(100);
    std::vector<Node> nodes_;
    std::uint64_t version_ = 0;
};

} // namespace weave::ipam::test
