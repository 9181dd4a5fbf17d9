// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"
#include "mesh/directory.hpp"
#include "mesh/random.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace weave::mesh {

struct ActiveViewSettings {
    /** Up to so many known nodes there is a link to each. */
    std::size_t full_mesh = 128;
    /** Links above that. */
    std::size_t least = 8;
    std::size_t most = 12;
    /** What the user allows. It does not split the mesh: at least `least` stay. */
    std::size_t max_links = std::numeric_limits<std::size_t>::max();
    /** Neighbours that are named to all; in meshes of up to `watch_all` nobody is. */
    std::size_t named = 4;
    std::size_t watch_all = 8;
    /** A link is not closed as one too many before this age: who comes has the time to learn of
     * others. */
    Duration young = std::chrono::seconds(4);
    /** Nor is who it leads to named before this one, except after the start. */
    Duration settled = std::chrono::seconds(5);
    Duration first_settled = std::chrono::seconds(1);
    Duration visit_every = std::chrono::seconds(20);
    Duration visit_for = std::chrono::seconds(3); ///< less than `young`
    /** The same while links broke lately: those are visited first, each so many times at most. */
    Duration revisit_every = std::chrono::seconds(5);
    unsigned revisits = 6;
    /** Between rounds of picking nodes, growing while no link that stands comes of it. */
    Duration first_pause = std::chrono::milliseconds(250);
    Duration pause_cap = std::chrono::seconds(10);
    double growth = 1.5;
    /** Who could not be reached or has enough links is not picked again so soon ... */
    Duration avoid_for = std::chrono::minutes(1);
    /** ... or only by a node that has no link at all. */
    Duration avoid_alone = std::chrono::seconds(2);
    std::size_t max_avoided = 256;
};

/**
 * Decides whom to be linked to: all, while the mesh is small; above that a few random nodes, each
 * by the choice of either end, and for a moment now and then another one, so that parts of the mesh
 * that lost each other meet again. Sans-I/O; one thread.
 */
class ActiveView {
  public:
    ActiveView(const NodeId& self, Random random, ActiveViewSettings settings = {});

    /** Without one the mesh is taken for small. */
    void set_directory(Directory directory);

    void on_linked(const NodeId& node, TimePoint now);
    void on_unlinked(const NodeId& node, TimePoint now);
    /** The same, and not because either end wanted it: who comes back may know nobody. */
    void on_lost(const NodeId& node, TimePoint now);
    /** The node ended the link because it has enough. */
    void on_crowded(const NodeId& node, TimePoint now);
    /** None of the node's endpoints answered. */
    void on_failed(const NodeId& node, TimePoint now);
    void on_gone(const NodeId& node);
    /** The node names this one among its neighbours, or no longer does. */
    void on_names_us(const NodeId& node, bool names);

    void tick(TimePoint now);
    [[nodiscard]] TimePoint next_deadline() const;

    /** Only some of the nodes are linked. */
    [[nodiscard]] bool partial() const { return partial_; }

    /** What partial() is after the next tick. */
    [[nodiscard]] bool outgrown() const;
    /** Links to this node stand or are wanted. */
    [[nodiscard]] bool wants(const NodeId& node) const;
    /** In a partial mesh: wanted, and not linked yet. */
    [[nodiscard]] std::vector<NodeId> missing() const;

    /** In a partial mesh: whose links are to be closed now, see on_unlinked(). */
    [[nodiscard]] const std::vector<NodeId>& surplus() const { return surplus_; }

    /** Whom to name; nothing where everybody watches everybody. */
    [[nodiscard]] const std::optional<std::set<NodeId>>& neighbours() const { return named_; }

    [[nodiscard]] const Directory& directory() const { return directory_; }

    [[nodiscard]] bool knows(const NodeId& node) const {
        return directory_.knows && directory_.knows(node);
    }

    /** It could not be reached a while ago. */
    [[nodiscard]] bool failing(const NodeId& node) const;

    /** How many nodes are not to be picked: at most `max_avoided`. */
    [[nodiscard]] std::size_t avoided() const { return avoided_.size(); }

    /** At most as many as the driver knows of. */
    [[nodiscard]] std::size_t namers() const { return names_us_.size(); }

  private:
    struct Link {
        TimePoint since;
        /** This node picked the other one, which makes it a neighbour at once. */
        bool picked = false;
        /** Of a full mesh that is none any more: to be closed when it is not young. */
        bool leaving = false;
    };

    struct Avoided {
        TimePoint since;
        bool failed = false;
    };

    struct Visit {
        NodeId node;
        TimePoint ends = TimePoint::max(); ///< until it is linked
    };

    struct Lost {
        NodeId node;
        unsigned visits = 0; ///< left
    };

    using Links = std::map<NodeId, Link>;

    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] std::pair<std::size_t, std::size_t> limits() const;
    void hurry(TimePoint now);
    void become_partial(TimePoint now);
    void become_full();
    void choose_leaving();
    void end_visit(TimePoint now);
    void begin_visit(TimePoint now);
    void trim(TimePoint now);
    void close_some(std::vector<NodeId> closable, std::size_t count);
    void fill(TimePoint now);
    void name(TimePoint now);
    [[nodiscard]] std::optional<NodeId> pick(TimePoint now, bool visit);
    [[nodiscard]] std::optional<NodeId> next_lost();
    [[nodiscard]] bool eligible(const NodeId& node) const;
    [[nodiscard]] bool visiting(const NodeId& node) const;
    [[nodiscard]] bool named(const NodeId& node) const;
    [[nodiscard]] bool counts(const Links::value_type& link, TimePoint now) const;
    [[nodiscard]] std::size_t counted(TimePoint now) const;
    [[nodiscard]] std::size_t most() const;
    [[nodiscard]] Duration settling() const;
    void avoid(const NodeId& node, bool failed, TimePoint now);
    void shuffle(std::vector<NodeId>& nodes);

    NodeId self_;
    Random random_;
    ActiveViewSettings settings_;
    Directory directory_;
    bool partial_ = false;
    TimePoint now_ = TimePoint::min();
    Links links_;
    /** To be linked to. */
    std::set<NodeId> picks_;
    TimePoint next_pick_ = TimePoint::min();
    Duration pause_;
    std::optional<Visit> visit_;
    /** At most `most`. */
    std::deque<Lost> lost_;
    TimePoint next_visit_ = TimePoint::max();
    std::map<NodeId, Avoided> avoided_;
    std::vector<NodeId> surplus_;
    std::set<NodeId> names_us_;
    std::optional<std::set<NodeId>> named_;
    /** Somebody was named since the start. */
    bool named_before_ = false;
};

} // namespace weave::mesh
