// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "mesh/actions.hpp"
#include "mesh/directory.hpp"
#include "mesh/link_id.hpp"
#include "mesh/names.hpp"
#include "mesh/node_info.hpp"
#include "mesh/routes.hpp"
#include "mesh/settings.hpp"
#include "mesh/sizes.hpp"
#include "mesh/store.hpp"
#include "wire/link_message.hpp"
#include "wire/record.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weave::mesh {

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
    /** Not everybody is linked with everybody: records go along a tree of links, and are announced
     * on the others (Plumtree: Leitao, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007). */
    void set_partial(bool partial, TimePoint now);
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

    /**
     * Whom our record names as those we watch, as they do us: nullopt in a mesh so small that all
     * watch all. At most wire::kMaxNeighbours.
     */
    void set_neighbours(const std::optional<std::set<NodeId>>& neighbours, TimePoint now);

    /** Publishes, flushes, gossips, forgets; call at next_deadline() and after any input. */
    void tick(TimePoint now);
    [[nodiscard]] TimePoint next_deadline() const;
    std::vector<MeshAction> take_actions();

    /** All known nodes, ourselves included, in order of id: made from the records, so not cheap. */
    std::vector<NodeInfo> nodes();
    std::optional<NodeInfo> node(const NodeId& id);

    /** What it knows of all nodes, for as long as it lives. */
    [[nodiscard]] Directory directory();

    /** Those whose records name us as one that they watch. */
    [[nodiscard]] const std::set<NodeId>& named_by() const { return named_by_; }

    /** Cached; a new object after a change. Never null. */
    RoutesPtr routes();

    /** In a large mesh news of edges are gathered for a moment before routes follow from them. */
    [[nodiscard]] bool routes_pending() const { return routes_dirty_; }

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
        /** Not of the tree: records are announced. */
        bool lazy = false;
        /** What the peer is to get, whole or as a line it may ask about; sets of ids never outgrow
         * the store. */
        std::set<wire::RecordId> records;
        std::set<wire::RecordId> lines;
        TimePoint records_at = TimePoint::max();
        TimePoint lines_at = TimePoint::max();
        TimePoint digest_at = TimePoint::max();
    };

    /** Announced, and not here yet: on which link to ask for it, and when. */
    struct Announced {
        LinkId link = 0;
        TimePoint ask_at;
    };

    struct Own {
        Bytes tlvs;
        bool dirty = true;
        TimePoint published = TimePoint::min();
    };

    /** What a record on a link was. */
    enum class Taken { news, repeat, neither };

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
    void
    on_line(LinkId id, const wire::DigestLine& line, bool announced, Wanted& wanted, TimePoint now);
    void offer_missing(Link& link, const wire::LineDigest& digest, TimePoint now);
    void on_records(LinkId id, Link& link, ByteView body, TimePoint now);
    void on_request(Link& link, ByteView body, TimePoint now);
    Taken ingest(LinkId id, Link& link, const wire::RecordPtr& record, TimePoint now);
    bool store_record(wire::RecordPtr record,
                      std::optional<LinkId> from,
                      bool from_owner,
                      TimePoint now);
    void compare(LinkId id, Link& link, TimePoint now);
    [[nodiscard]] std::uint64_t some_buckets(std::uint64_t mask);
    void send_lines(LinkId id, std::uint64_t mask);
    void send_requests(LinkId id, const Wanted& wanted);
    void gossip(TimePoint now);
    void flush(LinkId id, Link& link, TimePoint now);
    void flush_records(LinkId id, Link& link, TimePoint now);
    void flush_lines(LinkId id, Link& link);
    // spreading.cpp: which links a record goes over
    void want(LinkId id, const wire::RecordId& record, bool announced, Wanted& out, TimePoint now);
    void on_prune(Link& link, ByteView body);
    void prune(LinkId id, Link& link);
    void ask_for_announced(TimePoint now);
    void
    spread(const wire::Record& record, std::optional<LinkId> from, bool from_owner, TimePoint now);
    void spread_on_tree(const wire::Record& record,
                        std::optional<LinkId> from,
                        bool urgent,
                        TimePoint now);
    void announce(Link& link, const wire::RecordId& id, TimePoint now);
    static void offer_record(Link& link, const wire::RecordId& id, TimePoint at);
    // view.cpp: what follows from the records
    [[nodiscard]] const wire::Record* described(const NodeId& node) const;
    [[nodiscard]] NodeInfo info_of(const wire::Record& record) const;
    [[nodiscard]] bool is_linked(const NodeId& node) const;
    void look_at_topology(const wire::RecordPtr& record, const wire::RecordPtr& before);
    void count_in(const wire::Record& record);
    void count_out(const wire::Record& record);
    void refresh_view();
    void update_routes();
    void note_reachable(const Routes& before);
    void note_watched(const std::optional<std::vector<NodeId>>& before);
    void note_link(const NodeId& node);
    [[nodiscard]] bool has_double(const NodeId& node) const;
    [[nodiscard]] Duration grace_of(const NodeId& node) const;
    void forget_dead(TimePoint now);
    void forget(const NodeId& node, TimePoint now);
    // naming.cpp: names, and ids that look alike
    void update_names();
    void claim_name(TimePoint now);
    void report_alike();

    void count(const char* name) { actions_.emplace_back(Counted{name}); }

    void send(LinkId link, Bytes message);

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
    std::unordered_map<wire::RecordId, Announced> announced_;
    /** The same in the order in which they are to be asked for; some may have come since. */
    std::deque<wire::RecordId> to_ask_;
    bool partial_ = false;

    // What the records say, as far as it is not what a node's own record says of it.
    /** Nodes with records of which none describes them. */
    std::set<NodeId> undescribed_;
    /** Entries in all lists of unreachable nodes. */
    std::size_t listings_ = 0;
    std::set<NodeId> named_by_;
    std::map<NodeId, TimePoint> dead_since_;
    TimePoint next_forget_;
    RoutesPtr routes_ = std::make_shared<Routes>();
    TimePoint next_routes_;
    bool routes_dirty_ = true;
    bool view_dirty_ = true;
    Names names_;
    /** Shown as name~fingerprint. */
    std::set<NodeId> suffixed_;
    /** Reported and still true. */
    std::set<std::pair<NodeId, NodeId>> name_collisions_;
    std::set<std::pair<NodeId, NodeId>> relay_collisions_;
    /** Nodes that came when another one of the same relay address was there. */
    std::set<NodeId> alike_;
    std::vector<MeshAction> actions_;
    std::size_t queued_sends_ = 0;
};

} // namespace weave::mesh
