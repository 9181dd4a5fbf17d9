// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "ipam/asking.hpp"
#include "ipam/beginning.hpp"
#include "ipam/places.hpp"
#include "ipam/ring.hpp"
#include "ipam/state.hpp"
#include "wire/allocation.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weave::ipam {

struct AllocatorSettings {
    NodeId self;
    /** Of 4 to 2^24 addresses, or the constructor throws std::invalid_argument. */
    Prefix range;
    /** What holders that name no subnet are served from; empty: all of the range. */
    Run default_subnet;
    /** See Beginning. */
    Duration join_wait = std::chrono::seconds(3);
    Duration begin_wait = std::chrono::seconds(6);
    /** A node that was asked for space and gave none in this time is passed over for four times as
     * long. */
    Duration ask_again = std::chrono::seconds(2);
    /** An allocation that is not repeated within this time is no longer wanted. */
    Duration want_for = std::chrono::seconds(30);
    /** Freed indices rest for so long. */
    Duration rest = std::chrono::seconds(60);
};

struct Answer {
    enum class Outcome : std::uint8_t {
        ok,
        wait,        ///< space was asked for: ask again after news or tick(), or give up
        exhausted,   ///< no node that can be reached has space
        unreachable, ///< the place belongs to `node`, which cannot be reached
        held,        ///< another holder on this node has it
        used,        ///< `node` uses it
        outside,     ///< not in the range, or the first or last place of a subnet
        no_lease,    ///< this node may hand out nothing new; see Allocator::set_lease()
    };

    Outcome outcome = Outcome::outside;
    Index index = 0;
    NodeId node;
};

/** One index that this node and another one use. */
struct Conflict {
    Index index = 0;
    std::string holder;
    NodeId other;
    bool ours = false; ///< this node keeps it; else its holder has to be renumbered
};

/** What Allocator::restore() took. */
struct Restored {
    /** False: the state was of another range, and only its leases were kept. */
    bool all = true;
    /** Leases that are outside the range now. */
    std::size_t outside = 0;
};

/** What Allocator::release_all() released. */
struct Released {
    std::vector<Index> indices;
    std::vector<IpAddress> outside;
};

/** For people; in counts of indices. */
struct Report {
    struct Owner {
        NodeId node;
        std::size_t owned = 0;
        /** As far as the node said. */
        std::size_t used = 0;
        bool reachable = false;
    };

    /** All that own or use something, this node too, by id. */
    std::vector<Owner> owners;
    /** Of this node's own: never used or rested; held, also of others' space; resting; came from
     * nodes that are away, or was last known to be used by them. */
    std::size_t free = 0;
    std::size_t held = 0;
    std::size_t resting = 0;
    std::size_t taken_over = 0;
    /** Claims of other nodes that were not believed; see Allocator::on_allocation(). */
    std::uint64_t left_out = 0;
};

/**
 * Hands out the range's indices from the parts that this node owns, moves parts to nodes that ask,
 * and asks others when it has none: all by records, so that nothing is sent while a node has space.
 * The driver saves state() before it publishes record() or answers, when changed() says so.
 * Sans-I/O; one thread.
 *
 * Safety: an index is handed out by the owner its ring names, and an owner takes its own name off
 * before another's comes on, so among nodes of one history no index is in two hands. Nodes that
 * began apart may have given out one index twice, and so may take_over() while the node that was
 * taken from still has pods; see conflicts(). decisions/0014-address-ring.md has the reasons.
 */
class Allocator {
  public:
    /** Bounds: of what others name in the ring, and of what this node's own record may hold. */
    static constexpr std::size_t kManyPieces = 8192;
    static constexpr std::int64_t kMaxGrowth = 1024;
    static constexpr std::size_t kMaxOwned = 192;
    static constexpr std::size_t kMaxGiven = wire::kMaxClaims - kMaxOwned;
    /** Of more neighbouring pieces of ours one is made. */
    static constexpr std::size_t kCompactAbove = 32;

    Allocator(const AllocatorSettings& settings, bool expects_others, TimePoint now);

    /** Before anything else. What makes no sense is left out. */
    Restored restore(const AllocatorState& state, TimePoint now);
    [[nodiscard]] AllocatorState state() const;

    /**
     * Whether this node may hand out or give what it owns: not while other nodes may take it for
     * gone, and its space with it. What a holder has is answered all the same, and claim() with
     * `in_use` works. It may, until it is told otherwise.
     */
    void set_lease(bool may);

    /** Own claims of an older era are void from now on: neither handed out from nor given, and told
     * all the same, until somebody takes them over. Never goes back. */
    void set_fence(std::uint32_t era);

    /** What is given away is of this era or a later one. */
    void set_gift_era(std::uint32_t era) { gift_era_ = era; }

    /** An index within the run for the holder; the one that it has already, if any. The first and
     * last of a run of 4 or more are a subnet's own addresses: nobody's, from then on. */
    Answer allocate(const std::string& holder,
                    Run within,
                    TimePoint now,
                    const std::vector<Index>& besides = {});

    /** Nobody comes back for what was wanted of the run: no place is kept for it. */
    void give_up(Run within) { asking_.end(within); }

    /** This index for the holder. `in_use`: it has it already, whatever the ring says. */
    Answer claim(const std::string& holder, Index index, bool in_use, TimePoint now);
    /** False when the holder does not hold it. */
    bool release(const std::string& holder, Index index, TimePoint now);
    /** Of outside(). */
    void release_outside(const std::string& holder, const IpAddress& address);
    Released release_all(const std::string& holder, TimePoint now);

    /**
     * What another node publishes. False, and nothing changes, when it is of another range. Left
     * out and counted in Report::left_out: claims on a place that the same record claimed already,
     * those that would make a ring of many pieces grow by a node that made it grow a lot before,
     * and gifts when this node's record is full.
     */
    bool on_allocation(const NodeId& node, const wire::Allocation& said, TimePoint now);
    /** Which indices another node's pods use. */
    void on_in_use(const NodeId& node, const std::vector<Index>& used);
    void on_reachable(const NodeId& node, bool reachable, TimePoint now);

    /**
     * Takes what a node that is gone, or away for long, owns by this node's ring, as far as it is
     * of an era before `below`, by claims {era, 0}; this node's own void claims too. The caller
     * sees to it that nobody else takes in this era, that the other does not use these claims any
     * more, and that the records of all nodes that can be reached were heard after it went. How
     * many places.
     */
    std::size_t take_over(const NodeId& from, std::uint32_t below, std::uint32_t era);
    /** What is nobody's, by this node's ring, likewise. */
    std::size_t take_unowned(std::uint32_t era);
    /** What a node that left is known to use is only what was known last, until it is back. */
    void set_away(const NodeId& node);
    /** The node is gone for good, and with it its pods. */
    void forget_use(const NodeId& node);

    /** Gives space to those who asked, asks others, begins a ring when that is due; call at
     * next_deadline() and after any news. */
    void tick(TimePoint now);
    /** Later than the last tick(), or max(). */
    [[nodiscard]] TimePoint next_deadline() const;

    /** What changed since the last call. */
    struct Changed {
        /** state(): to be saved before the answer and before the record goes out. */
        bool state = false;
        /** record(), also when nothing was published yet: an empty one tells others something. */
        bool record = false;
        /** Only what others own, in state(): to be saved some time soon. */
        bool others = false;
    };

    Changed changed();
    [[nodiscard]] wire::Allocation record() const;

    [[nodiscard]] const Ring& ring() const { return ring_; }

    [[nodiscard]] const Leases& leases() const { return places_.leases(); }

    [[nodiscard]] const std::vector<Outside>& outside() const { return outside_; }

    /** Of what this node owns within the run: never used, or rested, and not the last choice. */
    [[nodiscard]] std::size_t free(Run within) const { return places_.free(within); }

    /** By this node's ring some of the run is nobody's. */
    [[nodiscard]] bool has_unowned(Run within) const;

    /** Nothing of the run is free here, and nobody is there who would have it to give. */
    [[nodiscard]] bool exhausted(Run within) const;

    /** A holder that is in one keeps its index, which nobody gets while either lives. */
    [[nodiscard]] std::vector<Conflict> conflicts() const;
    [[nodiscard]] Report report() const;

    [[nodiscard]] Run range() const { return {0, ring_.size()}; }

  private:
    using Piece = std::pair<Run, Claim>;

    struct Plea {
        Run within;
        /** State of gains_ when there was nothing to give. */
        std::optional<std::uint64_t> in_vain_at;
    };

    // allocator.cpp
    Answer hand_out(const std::string& holder, Index index);
    Answer want(Run within, TimePoint now);
    [[nodiscard]] Answer want_claim(Index index, TimePoint now);
    [[nodiscard]] std::optional<NodeId> whom_to_ask(Run within) const;
    void ask(TimePoint now);
    void restore_lease(const AllocatorState& state, Index index, const std::string& holder);
    void restore_ring(const AllocatorState& state, TimePoint now);
    void keep(const IpAddress& address, const std::string& holder);

    // allocator_ring.cpp: whose is what
    bool merge(Run run, const Claim& claim);
    void refresh_owned();
    void compact();
    bool begin(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> begins_at() const;
    void hear_claims(const NodeId& node, const wire::Allocation& said);
    [[nodiscard]] bool believes(const NodeId& node, Run run, const Claim& claim) const;
    [[nodiscard]] bool concerns_us(Run run, const Claim& claim) const;
    void retire_given(const NodeId& node, const wire::Allocation& said);
    void give(TimePoint now);
    bool give_to(const NodeId& node, Run within, std::size_t others);
    void give_away(Run run, const NodeId& to);
    std::size_t take(const std::vector<Run>& runs, std::uint32_t era);
    [[nodiscard]] bool waits_for_gift(const NodeId& node) const;
    void advance(TimePoint now);

    AllocatorSettings settings_;
    Ring ring_;
    Places places_;
    Beginning beginning_;
    Asking asking_;
    bool lease_ = true;
    std::uint32_t fence_ = 0;
    std::uint32_t gift_era_ = 0;
    /** Own claims from before the fence. */
    std::vector<std::pair<Run, Stamp>> void_;
    std::vector<Outside> outside_;
    /** Given away and not yet said by the one who got it. */
    std::vector<Piece> given_;
    std::map<NodeId, Plea> pleas_;
    /** By how many pieces each node's claims made the ring grow. */
    std::map<NodeId, std::int64_t> growth_;
    std::uint64_t left_out_ = 0;
    /** Grows whenever there may be more to give. */
    std::uint64_t gains_ = 0;
    bool owned_changed_ = false; ///< perhaps; what places_ was told is not up to date
    Changed changed_;
    wire::Allocation published_; ///< as of the last changed()
};

} // namespace weave::ipam
