// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/log.hpp"
#include "ipam/manager.hpp"
#include "ipam/plan.hpp"
#include "os/boot_time.hpp"
#include "wire/record.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace weave::daemon {

struct AllocationSettings {
    AllocationSettings(const NodeId& node, ipam::Plan addresses)
        : self(node)
        , plan(std::move(addresses)) {}

    NodeId self;
    ipam::Plan plan;
    Duration lease = std::chrono::hours(1);
    Duration rest = std::chrono::seconds(60);
    /** This node was told of others: it waits for them before it begins a range of its own. */
    bool expects_others = false;
    /** Where the state is kept. */
    std::string file;
    /** A missing file was lost: this node ran before. */
    bool ran_before = false;
    /** What promises to others are measured by, and what names its beginning. */
    std::function<TimePoint()> clock = os::boot_time;
    std::string boot = os::boot_id();
};

struct AllocationEvents {
    /** Replaces this node's record of the kind. */
    std::function<void(std::uint16_t kind, Bytes tlvs)> publish;
    /** For sentences. */
    std::function<std::string(const NodeId&)> name_of;
};

/** Addresses for a holder, and which of them it did not have before: to be given back when what
 * they were for fails. */
struct Grant {
    std::vector<Prefix> addresses;
    std::vector<ipam::Index> fresh;
};

/** `code` is one of the control API's. */
struct NoAddress {
    std::string code;
    std::string sentence;
};

/**
 * Runs this node's hand in the address range: feeds it the mesh's records and reachability, keeps
 * its state on disk before anything of it is published or answered, and holds requests until their
 * space has come.
 * Control thread only.
 */
class Allocations {
  public:
    using Obtained = std::variant<Grant, NoAddress>;
    using Done = std::function<void(Obtained)>;

    /** Reads the state file; a damaged one is kept aside and told by take_notices(). */
    Allocations(AllocationSettings settings, AllocationEvents events);

    /** What a pod of this host has since before the start, whatever the ring says. */
    void claim_in_use(const std::string& holder, const std::vector<Prefix>& addresses);
    /** Nothing is told to the mesh before this. */
    void start();

    /** `done` is called once, perhaps at once; after `patience` with a refusal. */
    void obtain(const std::string& holder,
                std::vector<ipam::Request> requests,
                Duration patience,
                Done done);
    /** All that the holder has, and what it still waits for, which is refused; what it had. */
    std::vector<IpAddress> release(const std::string& holder);
    /** The holder waits no longer: it is refused. */
    void cancel(const std::string& holder);
    /** Of what the holder has, these. */
    void give_back(const std::string& holder, const std::vector<ipam::Index>& places);
    /** Of an address that an earlier range had. */
    void release_outside(const std::string& holder, const IpAddress& address);
    [[nodiscard]] std::vector<std::string> holders() const;
    /** In order; empty when it holds none. */
    [[nodiscard]] std::vector<Prefix> held_by(const std::string& holder) const;

    /** nullptr when nobody on this node has it. */
    [[nodiscard]] const std::string* holder_of(const IpAddress& address) const;
    /** For 'weavectl ipam status'. */
    [[nodiscard]] nlohmann::json status() const;

    [[nodiscard]] bool reaches(const NodeId& node) const { return reachable_.contains(node); }

    /** Takes over all that the node owns: it is gone for good. How many places. */
    std::size_t remove(const NodeId& node);

    void on_record(const wire::Record& record);
    void on_reachable(const NodeId& node, bool reachable);
    void tick();

    /** A sentence why no address can be had now; empty when one can, as far as this node knows. */
    [[nodiscard]] std::string not_ready() const;
    /** A sentence when what was released is not on disk yet: it could come back after a crash. */
    [[nodiscard]] std::string not_saved() const;

    /** A sentence for each node in reach that hands out of another range. */
    [[nodiscard]] std::vector<std::string> other_ranges() const;

    [[nodiscard]] const ipam::Plan& plan() const { return settings_.plan; }

    [[nodiscard]] const ipam::Allocator& allocator() const { return manager_.allocator(); }

    /** Sentences about the state file, to be logged and shown. */
    std::vector<std::string> take_notices() { return std::exchange(notices_, {}); }

  private:
    struct Pending {
        std::string holder;
        std::vector<ipam::Request> requests;
        std::vector<ipam::Index> before;
        TimePoint told_by; ///< not after `until`
        TimePoint until;
        Done done;
        /** Whom it waits for. */
        std::optional<NodeId> asked;
        bool cancelled = false;
    };

    // allocations.cpp
    void load();
    void restore(const ipam::ManagerState& state);
    void settle();
    void settle_once(TimePoint now);
    bool save(TimePoint now);
    void publish();
    void share(const std::string& holder, const std::vector<ipam::Index>& fresh);
    [[nodiscard]] std::vector<ipam::Index> places_of(const wire::Addresses& said) const;
    [[nodiscard]] static bool
    may_come(const Pending& pending, const ipam::Answer& answer, TimePoint now);
    [[nodiscard]] std::optional<Obtained> attempt(Pending& pending, TimePoint now);
    void give_up(const ipam::Request& request);
    [[nodiscard]] ipam::Answer ask(const Pending& pending,
                                   const ipam::Request& request,
                                   const std::vector<ipam::Index>& besides,
                                   TimePoint now);
    [[nodiscard]] std::optional<ipam::Run> run_of(const ipam::Request& request) const;
    [[nodiscard]] std::vector<std::size_t>
    in_turn(const std::vector<ipam::Request>& requests) const;
    [[nodiscard]] std::vector<Prefix> granted(const ipam::Request& request,
                                              ipam::Index place) const;
    [[nodiscard]] std::vector<ipam::Index> fresh(const Pending& pending) const;
    // allocations_status.cpp
    [[nodiscard]] NoAddress refusal(const ipam::Answer& answer, const ipam::Request& request) const;
    [[nodiscard]] NoAddress late(const Pending& pending) const;
    [[nodiscard]] std::string lease_text() const;
    [[nodiscard]] nlohmann::json members_status() const;

    AllocationSettings settings_;
    AllocationEvents events_;
    std::vector<std::string> notices_;
    ipam::Manager manager_;
    std::list<Pending> pending_;
    std::set<NodeId> reachable_;
    bool started_ = false;
    bool unsaved_ = false;
    /** By when what only others own is to be saved. */
    std::optional<TimePoint> save_by_;
    std::string save_error_; ///< of the last time that it was not saved
    /** What is not told yet. */
    bool record_ = true;
    bool sets_ = false;
    bool settling_ = false;
    bool again_ = false;
    log::RateLimit rate_;
};

} // namespace weave::daemon
