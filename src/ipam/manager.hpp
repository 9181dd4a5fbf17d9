// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/allocator.hpp"
#include "ipam/members.hpp"
#include "ipam/state.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weave::ipam {

struct ManagerSettings {
    AllocatorSettings allocator;
    /** See MembersSettings. */
    Duration lease = std::chrono::hours(1);
    /** See MembersSettings. */
    bool forgot = false;
    /** This node was told of others; see Beginning. */
    bool expects_others = false;
    /** Random: names the mesh that this node begins, if it does. */
    std::uint64_t origin = 0;
    /** Names what the clock counts from: another one after a reboot. */
    std::string boot;
};

/**
 * One node's hand in the address range: the allocator, and the members by whose agreement it may
 * hand out, and takes back what nodes that left had. What one of them finds out, the other obeys.
 * The driver saves state() before it publishes or answers, when changed() says so. Sans-I/O; one
 * thread.
 */
class Manager {
  public:
    Manager(const ManagerSettings& settings, TimePoint now);

    /** Before anything else. What makes no sense is left out; agreements about another range too.
     */
    Restored restore(const ManagerState& state, TimePoint now);
    [[nodiscard]] ManagerState state() const;

    /** As the allocator's. While this node has not joined the others it waits; a node that sees too
     * few of them has no_lease. */
    Answer allocate(const std::string& holder,
                    Run within,
                    TimePoint now,
                    const std::vector<Index>& besides = {});
    Answer claim(const std::string& holder, Index index, bool in_use, TimePoint now);
    bool release(const std::string& holder, Index index, TimePoint now);
    void release_outside(const std::string& holder, const IpAddress& address);
    Released release_all(const std::string& holder, TimePoint now);

    /** Nobody comes back for what was wanted of the run. */
    void give_up(Run within) { allocator_.give_up(within); }

    void on_allocation(const NodeId& node, const wire::Allocation& said, TimePoint now);

    /** Nodes that said last that they hand out of another range, and which; not all of very many.
     */
    [[nodiscard]] const std::map<NodeId, Prefix>& other_ranges() const { return other_ranges_; }

    void on_sets(const NodeId& node, const wire::MemberSets& said);
    void on_in_use(const NodeId& node, const std::vector<Index>& used);
    void on_reachable(const NodeId& node, bool reachable, TimePoint now);

    /** The operator says that the node is gone for good, and its pods: all that it owns, by this
     * node's ring, is this node's. How many places. */
    std::size_t remove(const NodeId& node, TimePoint now);

    /** Call at next_deadline() and after any input. */
    void tick(TimePoint now);
    [[nodiscard]] TimePoint next_deadline() const;

    struct Changed {
        /** state(): to be saved before the answer and before a record goes out. */
        bool state = false;
        /** Only what others own, in state(): to be saved some time soon. */
        bool others = false;
        bool record = false; ///< record()
        bool sets = false;   ///< sets()
    };

    Changed changed();
    /** Kinds 3 and 4. */
    [[nodiscard]] wire::Allocation record() const;

    [[nodiscard]] wire::MemberSets sets() const { return members_.sets(); }

    [[nodiscard]] const Allocator& allocator() const { return allocator_; }

    [[nodiscard]] const Members& members() const { return members_; }

  private:
    void obey(TimePoint now);
    void found(TimePoint now);
    void take_back(TimePoint now);
    void hear_refused_again(TimePoint now);
    [[nodiscard]] wire::Allocation believed(const NodeId& node, const wire::Allocation& said);
    [[nodiscard]] Answer or_wait(Answer answer) const;

    ManagerSettings settings_;
    Allocator allocator_;
    Members members_;
    /** Records with gifts that were refused, and may be good when members agree on something new.
     */
    std::map<NodeId, wire::Allocation> refused_;
    std::map<NodeId, Prefix> other_ranges_;
    /** Since when this node knows of a ring that nobody here has agreed about. */
    std::optional<TimePoint> forsaken_since_;
};

} // namespace weave::ipam
