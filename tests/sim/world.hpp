// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/archive.hpp"
#include "sim/parts.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weave::sim {

/**
 * Whole nodes on virtual time and a simulated network: the real Mesh and Connector (with fake
 * signatures), the real session Manager and PathMonitors (with real keys). What happens follows
 * from the seed. After each step of a node its invariants are checked.
 */
class World {
  public:
    /** In larger worlds only kSample nodes are looked at, evenly spread. */
    static constexpr std::size_t kAllLookedAt = 60;
    static constexpr std::size_t kSample = 16;
    /** The seed is WEAVE_SIM_SEED when that is set, else `seed`; it is printed. */
    World(std::uint64_t seed, std::size_t nodes, const mesh::ActiveViewSettings& = watching_all());

    [[nodiscard]] std::uint64_t seed() const { return seed_; }

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    [[nodiscard]] bool up(std::size_t node) const { return nodes_[node].up; }

    void set_weather(const Weather& weather);

    /** Before any start: sessions only with those that frames are for or come from. */
    void watch_nobody() { watching_ = false; }

    /** Frames between random nodes, every eighth to all, this far apart; zero: none. */
    void set_traffic(Duration between);

    /** Starts a node (again, with a boot epoch one higher unless `forgot_epoch`). */
    void start(std::size_t node, bool forgot_epoch = false);
    /** Peers notice at once when it says goodbye, else by timeout. */
    void stop(std::size_t node, bool goodbye);
    void add_target(std::size_t node, std::size_t other);

    void set_name(std::size_t node, const std::string& name) { nodes_[node].name = name; }

    /** Before its start: the node is a copy of another one, keys and all, at another address. */
    void copy_identity(std::size_t node, std::size_t of);

    /** Nothing passes between the two until heal(). */
    void cut(const std::set<std::size_t>& side);
    void heal();
    /** UDP between two nodes fails; TCP does not. */
    void block_udp(std::size_t a, std::size_t b, bool blocked);
    /** Datagrams from `from` to `to` are lost, those the other way are not. */
    void mute_udp(std::size_t from, std::size_t to, bool muted);
    /** Greater packets do not pass between the two (IP size). */
    void set_mtu(std::size_t a, std::size_t b, std::size_t mtu);
    /** No TCP between two nodes: a partial mesh. */
    void block_tcp(std::size_t a, std::size_t b);
    /** The node's monotonic clock jumps forward: a suspended machine. */
    void step_clock(std::size_t node, Duration by);
    void change_addresses(std::size_t node, Bytes tlvs);
    /** Bytes that no node would send. */
    void inject(std::size_t to, const Bytes& message);
    /** A record as its owner signed it, delivered to `to` over any of its links: an old one,
     * replayed. */
    void replay(std::size_t to, const wire::RecordPtr& record);

    /** Datagrams that were seen on the underlay, any number of times and from anywhere. */
    void replay_datagrams(unsigned count);
    /** New keys between all nodes, now, although the old ones are young. */
    void use_up_keys();

    /** Records of nodes that do not exist, of a kind nobody knows, correctly signed. */
    void flood(std::size_t to, unsigned phantoms);
    /** The node's links take nothing any more. */
    void block_links(std::size_t node);

    /** run_for() returns at once from then on when this invariant was violated: for broken
     * variants. */
    void stop_at(const std::string& invariant) { stop_at_ = invariant; }

    void run_for(Duration span);
    /** Runs until converged() or the span is over. */
    bool run_until_converged(Duration span);

    /** Same records at all nodes that can hear of each other, one link per pair (some links, where
     * views are partial), and a session and a way to each that is watched. */
    [[nodiscard]] bool converged();
    /** The first of these. */
    [[nodiscard]] bool same_records();

    /** Why not converged, one sentence. */
    [[nodiscard]] std::string unconverged() const { return unconverged_; }

    /** To be called when converged: a frame from each node that is looked at to each other such one
     * and one to all nodes arrive once. Empty, or what is missing. */
    std::string exchange_frames();

    /** Frames to one node, all at once. */
    void send_frames(std::size_t from, std::size_t to, unsigned count);

    /** How many frames were sent so far. */
    [[nodiscard]] std::uint64_t frames() const { return frames_.size(); }

    /** The first frame after `from` that was not delivered everywhere, or nothing. */
    [[nodiscard]] std::string undelivered(std::uint64_t from) const;

    [[nodiscard]] mesh::Mesh& mesh(std::size_t node) { return *nodes_[node].mesh; }

    [[nodiscard]] mesh::Connector& connector(std::size_t node) { return *nodes_[node].connector; }

    [[nodiscard]] Plane& plane(std::size_t node) { return *nodes_[node].plane; }

    [[nodiscard]] NodeId id(std::size_t node) const { return nodes_[node].id; }

    [[nodiscard]] TimePoint local_time(std::size_t node) const {
        return now_ + nodes_[node].offset;
    }

    [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }

    [[nodiscard]] std::uint64_t counted(const std::string& name) const;

    [[nodiscard]] std::uint64_t events() const { return steps_; }

    /** Sent and received by the node in all its lives; what it sent counts when it is lost, too. */
    [[nodiscard]] const Traffic& carried(std::size_t node) const { return nodes_[node].carried; }

    /** Sent by all nodes. */
    [[nodiscard]] std::uint64_t messages() const { return messages_; }

    [[nodiscard]] std::uint64_t message_bytes() const { return message_bytes_; }

    [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }

    /** Datagrams that relays passed on while all nodes were of one mind. */
    [[nodiscard]] std::uint64_t calm_relays() const { return calm_relays_; }

    [[nodiscard]] std::mt19937_64& random() { return random_; }

  private:
    template <class Action> void later(Duration delay, Action&& action) {
        agenda_.add(now_ + delay, std::forward<Action>(action));
    }

    Duration latency();
    double chance();
    [[nodiscard]] bool tcp_works(std::size_t a, std::size_t b) const;
    /** In both directions. */
    [[nodiscard]] bool udp_works(std::size_t a, std::size_t b) const;
    [[nodiscard]] bool udp_passes(std::size_t from, std::size_t to) const;

    [[nodiscard]] bool alive(const End& end) const {
        return nodes_[end.node].up && nodes_[end.node].life == end.life;
    }

    // links.cpp: control links
    void dial(std::size_t from, const mesh::Dial& wanted);
    void open_end(const std::shared_ptr<Connection>& connection, std::size_t side);
    void close_end(const std::shared_ptr<Connection>& connection,
                   std::size_t side,
                   mesh::Failure failure,
                   const std::string& reason);
    void tell_other_end(const std::shared_ptr<Connection>& connection,
                        std::size_t side,
                        mesh::Failure failure,
                        const std::string& reason);
    [[nodiscard]] bool link_works(const Connection& connection) const;
    void watch_link(const std::shared_ptr<Connection>& connection);
    void watch_links(std::size_t node);
    void transmit(std::size_t from, mesh::Send send);
    void
    carry_message(const std::shared_ptr<Connection>& connection, std::size_t side, Bytes bytes);

    // underlay.cpp: datagrams
    PlanePorts plane_ports(std::size_t node);
    [[nodiscard]] std::optional<NodeId> node_at(const session::Origin& origin) const;

    /** What it knows of another one; that one is watched if anybody is. */
    [[nodiscard]] std::optional<mesh::NodeInfo> known(std::size_t index, const NodeId& node);

    /** The first keeps up a session with the second. */
    [[nodiscard]] bool watched(std::size_t a, std::size_t b) {
        const auto info = known(a, nodes_[b].id);
        return info && info->watched;
    }

    void emit(std::size_t from, const Endpoint& to, Bytes bytes, const Trace& trace);
    void carry(std::size_t from, std::size_t to, Bytes bytes, Trace trace);
    void arrive(std::size_t to, const Endpoint& from, Bytes bytes, const Trace& trace);
    void capture(std::size_t to, const Endpoint& from, const Bytes& bytes, const Trace& trace);
    void step_plane(std::size_t node);
    void plan_plane(std::size_t node);
    void send_frame(std::size_t from, std::optional<std::size_t> to);
    void traffic(std::uint64_t round);

    /** Ticks the machines of a node that are due or were told something, carries out what they ask
     * for, checks it, plans the next tick. */
    void step(std::size_t node);
    static void tick_machines(Node& node, TimePoint now);
    static TimePoint next_tick(Node& node);
    void carry_out(std::size_t node, mesh::MeshAction& action);
    void carry_out(std::size_t node, const mesh::ConnectorAction& action);
    void wake(std::size_t node);
    /** At the latest then. */
    void plan(std::size_t node, TimePoint at);
    void call_off(Agenda::Handle& wake);

    /** Whether its steps are checked: of all nodes, in a large world of every so many. */
    [[nodiscard]] bool looked_at(std::size_t node) const { return node % stride_ == 0; }

    // invariants.cpp
    void violate(const char* name, const std::string& detail);
    void check_accepted(std::size_t node, const wire::Record& record);
    void check_mesh(std::size_t node);
    void check_plane(std::size_t node);
    void check_hop_limit(std::size_t from, const Trace& before, const Trace& after);
    void check_relayed(std::size_t node, const Trace& trace);
    void check_identity(std::size_t node, const NodeId& twice);
    void check_delivered(std::size_t node, const NodeId& from, const Frame& frame);
    void check_answered(std::size_t node, const NodeId& from, ByteView initiation);
    void check_survivors(std::size_t a, std::size_t b);
    [[nodiscard]] bool holds_what_the_other_dropped(std::size_t a, std::size_t b);
    void check_routes(std::size_t node);
    void check_paths(bool at_rest);
    // converged.cpp
    void look();
    bool agree();
    bool lacks(std::string why);
    bool same_link(std::size_t a, std::size_t b);
    bool links_converged(std::size_t node);
    bool paths_noticed(std::size_t node);
    bool records_converged();
    bool packets_converged(std::size_t a, std::size_t b);

    /** Ports of the node that holds `key`. */
    mesh::Ports mesh_ports(const wire::RecordKey& key);

    std::uint64_t seed_;
    Archive archive_;
    std::mt19937_64 random_;
    mesh::ActiveViewSettings view_;
    Weather weather_;
    TimePoint now_{std::chrono::hours(1000)};
    std::vector<Node> nodes_;
    /** From one node that is looked at to the next. */
    std::size_t stride_;
    /** What the store of each node is limited to. */
    std::size_t node_limit_;
    std::map<Endpoint, std::size_t> by_endpoint_;
    std::unordered_map<NodeId, std::size_t> by_id_;
    std::map<RelayAddress, NodeId> by_relay_;
    bool watching_ = true;
    std::unordered_map<LinkId, std::pair<std::shared_ptr<Connection>, std::size_t>> ends_;
    std::set<std::size_t> cut_;
    std::set<std::pair<std::size_t, std::size_t>> udp_blocked_;
    /** From, to. */
    std::set<std::pair<std::size_t, std::size_t>> udp_muted_;
    std::set<std::pair<std::size_t, std::size_t>> tcp_blocked_;
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> mtus_;
    Duration between_frames_{};
    std::uint64_t traffic_round_ = 0;
    std::vector<Sent> frames_;
    std::vector<Captured> captured_;
    std::unordered_map<std::uint64_t, InitOrder> initiations_;
    /** Nodes that a copy was made of. */
    std::set<NodeId> copied_;
    /** All nodes agree() since the last look(), and no routes have changed since. */
    bool stable_ = false;
    /** Counts the phases in which stable_ is true. */
    std::uint64_t calm_ = 0;
    std::uint64_t calm_relays_ = 0;
    TimePoint next_look_ = now_;
    LinkId next_link_ = 1;
    Agenda agenda_;
    std::uint64_t steps_ = 0;
    std::uint64_t messages_ = 0;
    std::uint64_t message_bytes_ = 0;
    std::uint64_t datagrams_ = 0;
    /** Names are literals. */
    std::unordered_map<std::string_view, std::uint64_t> counted_;
    std::vector<Violation> violations_;
    std::map<std::string, unsigned> violated_;
    std::string unconverged_;
    std::string stop_at_;
    bool stopped_ = false;
};

} // namespace weave::sim
