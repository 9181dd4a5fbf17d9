// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "mesh/actions.hpp"
#include "mesh/link_id.hpp"
#include "mesh/routes.hpp"
#include "mesh/sizes.hpp"
#include "mesh/store.hpp"
#include "wire/link_message.hpp"
#include "wire/record.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weave::mesh {

/** What the mesh cannot do itself: it never calls a cryptographic library. */
struct Ports {
    wire::Signer sign;
    /** True when the owner's signature holds. */
    std::function<bool(const wire::Record&)> verify;
    /** wire::decode_shared(), or whatever returns what it would: equal bytes may share one object. */
    std::function<Result<wire::RecordPtr>(ByteView raw)> decode;
    wire::Identify identify;
    std::function<void(ByteSpan)> random;
};

struct MeshSettings {
    /** A record of ours is not replaced sooner than this after the last time. */
    Duration publish_interval = std::chrono::milliseconds(100);
    /** Nor sooner than it takes to send it on all links at this many bytes a second, a message
     * costing as much as `message_cost` more: while a large mesh forms the list of unreachable
     * nodes is long and changes all the time. */
    std::size_t publish_rate = std::size_t{8} << 20;
    std::size_t message_cost = 2048;
    /** The first of the two for addresses: pods wait until peers know theirs. */
    Duration addresses_interval = std::chrono::milliseconds(20);
    Duration digest_interval = std::chrono::seconds(10);
    /** A node that lost its last link and announced no grace time is forgotten after this. */
    Duration forget_after = std::chrono::minutes(5);
    /** No announcement makes it shorter or longer than these. */
    Duration least_grace = std::chrono::seconds(10);
    Duration most_grace = std::chrono::hours(1);
    /** Records handed to one link per flush; the rest follows every flush_interval. */
    std::size_t flush_bytes = 512 * 1024;
    Duration flush_interval = std::chrono::milliseconds(50);
    /** From the first link on: until then the mesh has told who has our name. */
    Duration claim_name_after = std::chrono::seconds(2);
    /** Without any link, and after another holder of our name was last reachable. */
    Duration claim_name_late = std::chrono::seconds(20);
    StoreLimits limits;
};

/** What is known of one node. */
struct NodeInfo {
    NodeId id;
    wire::RecordKey key{};
    std::string name;
    /** `name`, or name~fingerprint while another reachable node has a better claim to it. */
    std::string shown_name;
    std::vector<Endpoint> endpoints;
    std::array<std::uint8_t, 32> static_key{};
    std::vector<NodeId> unreachable;
    std::uint32_t flags = 0;
    std::uint8_t lanes = 1;
    /** How long its records are kept after its last link. */
    Duration grace{};
    std::string software;
    std::uint64_t epoch = 0;
    bool reachable = false;
    bool self = false;
};

/**
 * The gossip machine: keeps the newest signed record of each (node, kind), spreads changes over the
 * control links, and derives nodes, names and routes. Bad input is counted. Sans-I/O; one thread.
 */
class Mesh {
  public:
    Mesh(const wire::RecordKey& own_key,
         std::uint64_t boot_epoch,
         Ports ports,
         TimePoint now,
         MeshSettings settings = {});

    [[nodiscard]] const NodeId& self() const { return self_; }

    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

    void on_link_up(LinkId link, const NodeId& peer, TimePoint now);
    void on_link_down(LinkId link);
    /** A slow link: nothing but what is already out is handed to it until it is unblocked. */
    void set_link_blocked(LinkId link, bool blocked);
    /** One whole link message. Kinds notice and close are the driver's and are ignored here. */
    void on_message(LinkId link, ByteView message, TimePoint now);

    /** Replaces our topology; the mesh itself keeps the list `unreachable`, see mark_unreachable(),
     * and the flag kHoldsName. */
    void set_own_topology(const wire::Topology& topology, TimePoint now);
    /** Replaces our record of `kind`. False, and no change, when the TLVs do not parse or fit. */
    bool set_own(std::uint16_t kind, Bytes tlvs, TimePoint now);

    /** When what was last set of that kind is handed to the links, or was. */
    [[nodiscard]] TimePoint published_by(std::uint16_t kind) const;

    /**
     * Lists or unlists a node in our topology: set it when the node was tried and cannot be reached
     * directly, clear it when a direct path works. A dead node lists nobody, so it counts as
     * reachable through everyone who has not listed it.
     */
    void mark_unreachable(const NodeId& node, bool unreachable, TimePoint now);

    /** Publishes, flushes, gossips, forgets; call at next_deadline() and after any input. */
    void tick(TimePoint now);
    [[nodiscard]] TimePoint next_deadline() const;
    std::vector<MeshAction> take_actions();

    /** All known nodes, ourselves included, in order of id. Recomputed at most once per change. */
    std::vector<NodeInfo> nodes();
    std::optional<NodeInfo> node(const NodeId& id);
    /** Cached; a new object after a change. Never null. */
    RoutesPtr routes();

    [[nodiscard]] const Store& store() const { return store_; }

    /** Of this node's newest record. */
    [[nodiscard]] std::uint64_t version() const { return version_; }

    /** Before anything else: goes on with the records of a process of the same node and boot epoch,
     * this node's own among them, whose signatures that one verified. */
    void
    take_over(std::uint64_t version, const std::vector<wire::RecordPtr>& records, TimePoint now);

    /** Before anything else: what this node knew of others in an earlier life, signatures verified
     * then. */
    void recall(const std::vector<wire::RecordPtr>& records, TimePoint now);

    [[nodiscard]] std::vector<std::pair<LinkId, NodeId>> links() const;
    /** Most records and lines waiting for any one link. */
    [[nodiscard]] std::size_t waiting() const;
    [[nodiscard]] MeshSizes sizes() const;

  private:
    struct Link {
        NodeId peer;
        bool blocked = false;
        /** What the peer is to get, whole or as a line it may ask about; sets of ids never outgrow
         * the store. */
        std::set<wire::RecordId> records;
        std::set<wire::RecordId> lines;
        TimePoint records_at = TimePoint::max();
        TimePoint lines_at = TimePoint::max();
    };

    struct Own {
        Bytes tlvs;
        bool dirty = true;
        TimePoint published = TimePoint::min();
    };

    using Wanted = std::vector<wire::RecordId>;

    // mesh.cpp: links, own records
    [[nodiscard]] TimePoint due(std::uint16_t kind, const Own& own) const;
    void schedule_publish(TimePoint now);
    void publish(TimePoint now);
    void refresh_own_topology(TimePoint now);
    void schedule_reissue(TimePoint now);
    void reissue(TimePoint now);
    void heard_own(const wire::Record& record, TimePoint now);
    void suspect_copy(const wire::Record& record, TimePoint now);
    void raise_epoch(std::uint64_t above, TimePoint now);
    // gossip.cpp: what goes over links
    void on_digest(LinkId id, Link& link, ByteView body, TimePoint now);
    void on_lines(LinkId id, Link& link, const wire::LineDigest& digest, TimePoint now);
    void on_line(
        Link& link, const wire::DigestLine& line, bool announced, Wanted& wanted, TimePoint now);
    void offer_missing(Link& link, const wire::LineDigest& digest, TimePoint now);
    void on_records(LinkId id, Link& link, ByteView body, TimePoint now);
    void on_request(Link& link, ByteView body, TimePoint now);
    void ingest(LinkId id, Link& link, const wire::RecordPtr& record, TimePoint now);
    void store_record(wire::RecordPtr record,
                      std::optional<LinkId> from,
                      bool from_owner,
                      TimePoint now);
    void
    spread(const wire::Record& record, std::optional<LinkId> from, bool from_owner, TimePoint now);
    void announce(Link& link, const wire::RecordId& id, TimePoint now);
    static void offer_record(Link& link, const wire::RecordId& id, TimePoint at);
    void send_lines(LinkId id, std::uint64_t mask);
    void send_requests(LinkId id, const Wanted& wanted);
    void gossip(TimePoint now);
    void flush(LinkId id, Link& link, TimePoint now);
    void flush_records(LinkId id, Link& link, TimePoint now);
    void flush_lines(LinkId id, Link& link);
    // view.cpp: what follows from the records
    void refresh_view();
    void decode_node(const wire::Record& record);
    void update_reachability();
    void update_names();
    void claim_name(TimePoint now);
    void report_collisions();
    [[nodiscard]] Duration grace_of(const NodeId& node) const;
    void forget_dead(TimePoint now);
    void forget(const NodeId& node, TimePoint now);

    void count(const char* name) { actions_.emplace_back(Counted{name}); }

    void send(LinkId link, Bytes message);
    std::uint64_t random_number(std::uint64_t below);

    wire::RecordKey key_;
    Ports ports_;
    NodeId self_;
    std::uint64_t epoch_;
    /** Shared by all our kinds, so that one stamp orders everything we ever said. */
    std::uint64_t version_ = 0;
    MeshSettings settings_;
    TimePoint now_;
    Store store_;
    std::map<std::uint16_t, Own> own_;
    std::optional<wire::Topology> own_topology_;
    /** Whom we list, and from when on the entry may go: max() while the node is known. */
    std::map<NodeId, TimePoint> unreachable_;
    bool holds_name_ = false;
    TimePoint claim_name_at_;
    TimePoint publish_at_ = TimePoint::max();
    TimePoint reissue_at_ = TimePoint::max();
    TimePoint last_reissue_;
    TimePoint outbid_at_ = TimePoint::min();
    TimePoint next_raise_ = TimePoint::min();
    Duration raise_pause_{};

    std::map<LinkId, Link> links_;
    LinkId last_gossiped_ = 0;
    TimePoint next_gossip_;
    /** Asked for and not yet come: until when not to ask again. */
    std::unordered_map<wire::RecordId, TimePoint> requested_;

    std::map<NodeId, NodeInfo> infos_;
    std::map<NodeId, TimePoint> dead_since_;
    TimePoint next_forget_;
    RoutesPtr routes_ = std::make_shared<Routes>();
    bool view_dirty_ = true;
    /** Reported and still true. */
    std::set<std::pair<NodeId, NodeId>> name_collisions_;
    std::set<std::pair<NodeId, NodeId>> relay_collisions_;
    std::vector<MeshAction> actions_;
    std::size_t queued_sends_ = 0;
};

} // namespace weave::mesh
