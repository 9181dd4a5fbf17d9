// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "ipam/members_report.hpp"
#include "ipam/members_state.hpp"
#include "ipam/presence.hpp"
#include "ipam/ring.hpp"
#include "wire/allocation.hpp"
#include "wire/member_set.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace weave::ipam {

/** Nodes whose membership is kept, beside those of the sets in force; of more nothing is kept. */
inline constexpr std::size_t kMaxHeard = 2048;
/** Nodes whose sets are kept. */
inline constexpr std::size_t kMaxShelves = 32;

struct MembersSettings {
    NodeId self;
    /** Records of another range mean nothing here. */
    Prefix range;
    /** How long this node hands out addresses after it last saw enough of the others; from
     * 10 seconds to a day, else it is taken to the nearer of them. */
    Duration lease = std::chrono::hours(1);
    /** This node ran before, and what it agreed to and owned is lost. */
    bool forgot = false;
    /** What is seen is proposed when it has stayed so for this long, or changed for six times it.
     */
    Duration stable_for = std::chrono::seconds(5);
    /** Until who became reachable counts. More than the time in which a dead link is found and a
     * record of a reachable node arrives. */
    Duration settle = std::chrono::seconds(15);
    /** Between two ticks of more than this the process was frozen. */
    Duration blink = std::chrono::seconds(5);
};

/** Claims to take over: of these nodes, of an era below the one named with each. */
struct Reclaim {
    std::uint32_t era = 0; ///< of the new claims
    std::vector<wire::Removal> from;
    /** And what nobody owns, as far as this node's ring knows: all who could have told have. */
    bool unowned = false;
};

/**
 * Decides whether this node may hand out addresses, who belongs to the mesh, and when and by whom
 * the space of nodes that left is taken back. By records alone; src/decisions/0015 has the rules
 * and why they hold. After any call that changed() the driver saves state(), then publishes.
 * Sans-I/O; one thread.
 */
class Members {
  public:
    Members(MembersSettings settings, TimePoint now);
    /** Before anything else. */
    void restore(const MembersState& state);
    [[nodiscard]] MembersState state() const;

    /** This node begins a ring: a mesh of one. `origin`: a random number. No effect when it follows
     * a set already. */
    void found(std::uint64_t origin, TimePoint now);

    void on_reachable(const NodeId& node, bool reachable, TimePoint now);
    /** Before the ring merges its claims, of which refuses_gift() then tells. */
    void on_allocation(const NodeId& node, const wire::Allocation& said);
    void on_sets(const NodeId& node, const wire::MemberSets& said);
    /** Call at next_deadline(), and after any input. */
    void tick(TimePoint now, const Ring& ring);

    [[nodiscard]] TimePoint next_deadline() const { return ticked_ + kTick; }

    [[nodiscard]] TimePoint ticked() const { return ticked_; }

    /** Whether it belongs to a mesh yet. */
    [[nodiscard]] bool follows() const { return !list_.empty(); }

    /** Whether all that this node may still get is fenced off, until a newer set comes: what it had
     * in the eras before it forgot is not known. */
    [[nodiscard]] bool awaits_set() const {
        return follows() && knows_not(settings_.self, list_[0].ref.seq);
    }

    /** Whether anybody does who can be reached. */
    [[nodiscard]] bool sees_followers() const;

    struct Changed {
        bool state = false;
        bool record = false; ///< membership()
        bool sets = false;
        /** Let the ring hear every kind 3 record again: what refuses_gift() refused may be good. */
        bool gifts = false;
    };

    Changed changed();
    /** For this node's kind 3 record. */
    [[nodiscard]] wire::Membership membership() const;
    /** For its kind 4 record. */
    [[nodiscard]] wire::MemberSets sets() const;

    [[nodiscard]] bool may_allocate(TimePoint now) const;

    /** Own claims of an era below this one are void: neither to be handed out from nor given. */
    [[nodiscard]] std::uint32_t fence() const { return fence_; }

    /** What is given away gets at least this era. */
    [[nodiscard]] std::uint32_t gift_era() const;
    /** What `from` says in its newest record to have given away to anybody is void: it left, and
     * this may be news from before that. */
    [[nodiscard]] bool refuses_gift(const NodeId& from, std::uint32_t era) const;
    /** Who has left, by the set that this node follows. */
    [[nodiscard]] const std::vector<wire::Removal>& removed() const;
    /** To be taken over for this node now; the same again while it holds. */
    [[nodiscard]] Reclaim reclaims(TimePoint now) const;

    /** The operator says that the node is gone for good: it counts nowhere from now on, until it is
     * reachable again. Returns the era to take its space over with. Local: others still count it.
     */
    std::uint32_t overrule(const NodeId& node);

    [[nodiscard]] MembersReport report(TimePoint now) const;

  private:
    static constexpr Duration kTick = std::chrono::seconds(1);
    static constexpr Duration kScan = std::chrono::seconds(2);

    using SetPtr = std::shared_ptr<const wire::MemberSet>;

    struct Held {
        wire::SetRef ref;
        SetPtr set;
        bool attested = false;
    };

    struct Count {
        std::size_t hit = 0;
        std::size_t total = 0;

        [[nodiscard]] bool half() const { return 2 * hit >= total; }

        [[nodiscard]] bool most() const { return total == 0 || 2 * hit > total; }
    };

    struct Eras {
        std::uint32_t least = 0;
        std::uint32_t greatest = 0;
    };

    /** What a new set would be. */
    struct Plan {
        std::set<NodeId> members;
        std::set<NodeId> removed;            ///< they left
        std::map<NodeId, std::uint32_t> old; ///< claims of an era below this one are left over
        std::vector<Held> after;
        std::set<wire::SetRef> pending;
        std::uint32_t lease_seconds = 0;
        std::vector<NodeId> waits_for;
        bool wanted = false;

        [[nodiscard]] bool same(const Plan& other) const;
    };

    // members.cpp
    void scan(const Ring& ring, TimePoint now);
    void confirm(TimePoint now);
    [[nodiscard]] bool is_heir(TimePoint now) const;
    [[nodiscard]] Lease judge_lease(TimePoint now) const;
    template <class In>
    Lease judge_accepted(const NodeId& by, const wire::SetRef& ref, In in) const;
    [[nodiscard]] Duration lease_in_use() const;
    void cap_lease(TimePoint now);
    [[nodiscard]] Duration reclaim_after() const;
    void note(const wire::SetRef& ref);
    void touch(bool record);
    [[nodiscard]] bool is_member_somewhere(const NodeId& node) const;
    [[nodiscard]] std::uint32_t fence_of(const NodeId& node) const;

    /** Whether a node does not know what it had in a set's era. */
    [[nodiscard]] bool knows_not(const NodeId& node, std::uint32_t seq) const {
        return fence_of(node) > seq;
    }

    // members_sets.cpp: following, accepting, completing
    const Held* held(const wire::SetRef& ref) const;
    SetPtr resolve(const wire::SetRef& ref) const;
    bool present(const NodeId& node) const;
    const wire::Membership::Accepted* accepted_by(const NodeId& node,
                                                  const wire::SetRef& ref) const;
    template <class In> Count count(const wire::MemberSet& set, In in) const;
    [[nodiscard]] bool related(const wire::MemberSet& set) const;
    [[nodiscard]] bool is_related(const NodeId& node) const;
    [[nodiscard]] std::optional<bool> belongs(const NodeId& node) const;
    [[nodiscard]] bool may_leave(TimePoint now) const;
    [[nodiscard]] bool complete(const Held& held) const;
    [[nodiscard]] bool attested_by_most(const Held& held) const;
    [[nodiscard]] bool dead(const Held& held) const;
    [[nodiscard]] std::optional<Held> successor(const Held& held) const;
    [[nodiscard]] std::optional<Held> to_adopt() const;
    [[nodiscard]] std::optional<Held> to_join(TimePoint now) const;
    void adopt(const Held& next, TimePoint now);
    void follow(TimePoint now);
    void accept(TimePoint now);
    void attest(TimePoint now);
    [[nodiscard]] std::optional<bool> judge(const wire::MemberSet& set, TimePoint now) const;
    [[nodiscard]] bool accounts_for_all(const wire::MemberSet& set) const;
    std::optional<bool> judge_removals(const wire::MemberSet& set, TimePoint now) const;
    [[nodiscard]] bool left_over(const NodeId& node, std::uint32_t below) const;
    void refresh_sets();
    // members_propose.cpp
    [[nodiscard]] std::optional<NodeId> sponsor(const Held& held) const;
    [[nodiscard]] bool turned_away(const NodeId& node, const wire::MemberSet& set) const;
    [[nodiscard]] std::optional<NodeId> lowest_follower(const Held& held) const;
    [[nodiscard]] std::vector<Held> foreign() const;
    [[nodiscard]] bool leads(const std::vector<Held>& others) const;
    [[nodiscard]] Plan plan(std::vector<Held> others, TimePoint now) const;
    void place(Plan& plan, const NodeId& node, TimePoint now) const;
    void add_old(Plan& plan) const;
    [[nodiscard]] std::set<wire::SetRef> pending_of_all() const;
    [[nodiscard]] bool wanted(const Plan& plan) const;
    [[nodiscard]] bool underway(const Plan& plan) const;
    [[nodiscard]] wire::MemberSet set_of(const Plan& plan) const;
    void propose(TimePoint now);

    MembersSettings settings_;
    Presence presence_;
    TimePoint ticked_;
    TimePoint next_scan_ = TimePoint::min();
    /** The followed set first, then those accepted after it, by seq. */
    std::vector<Held> list_;
    std::map<NodeId, wire::Membership> heard_;
    std::map<NodeId, std::vector<Held>> shelves_;
    std::map<NodeId, Eras> owners_; ///< of the ring
    std::map<NodeId, std::uint64_t> lineages_;
    std::set<NodeId> overruled_;
    bool forgot_ = false;
    std::uint32_t fence_ = 0;
    std::uint32_t highest_ = 0; ///< of all seqs and eras ever seen
    std::optional<TimePoint> lease_until_;
    TimePoint lease_saved_ = TimePoint::min();
    Lease lease_;
    bool fresh_ = true; ///< it has had no lease, so nothing of it can have been taken back
    std::optional<Plan> plan_;
    TimePoint plan_since_;
    std::optional<TimePoint> wanted_since_;
    std::optional<TimePoint> heir_since_;
    std::vector<wire::SetRef> published_;
    bool too_many_ = false;
    std::size_t ignored_ = 0;
    Changed changed_;
};

template <class In> Members::Count Members::count(const wire::MemberSet& set, In in) const {
    Count out;
    for (const NodeId& node : set.members) {
        if (!overruled_.contains(node)) {
            ++out.total;
            out.hit += in(node) ? std::size_t{1} : 0;
        }
    }
    return out;
}

} // namespace weave::ipam
