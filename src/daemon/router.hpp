// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/http.hpp"
#include "api/server.hpp"
#include "api/status.hpp"
#include "attach/host.hpp"
#include "daemon/allocations.hpp"
#include "daemon/descriptor_holder.hpp"
#include "daemon/lanes.hpp"
#include "daemon/learned_macs.hpp"
#include "daemon/log.hpp"
#include "daemon/mesh_plane.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "daemon/owners.hpp"
#include "daemon/peers.hpp"
#include "daemon/pod_ports.hpp"
#include "daemon/pods.hpp"
#include "daemon/programs.hpp"
#include "daemon/remembered_records.hpp"
#include "daemon/sealing.hpp"
#include "daemon/takeover.hpp"
#include "daemon/underlay.hpp"
#include "fastpath/bpf_links.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::daemon {

class FastPath;

/**
 * The composition: makes every part, lets facts flow up from the machines and down as a snapshot,
 * and answers the control API. Everything but the lanes runs on the io_context's thread.
 */
class Router {
  public:
    /** Throws std::system_error or ConfigError with a sentence; nothing is left running then.
     * `predecessor`: goes on where that one stops; nullptr: starts anew. `taps_lost`: how often
     * this process has lost the TAP device so far. */
    Router(boost::asio::io_context& io,
           Options options,
           std::unique_ptr<Predecessor> predecessor = nullptr,
           unsigned taps_lost = 0);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    [[nodiscard]] api::NodeReport report();

    /** Why it stopped the io_context; empty while it did not. */
    [[nodiscard]] const std::string& failure() const { return failure_; }

    /** That was because somebody removed the TAP device, which a new Router makes anew. */
    [[nodiscard]] bool lost_tap() const { return lost_tap_; }

  private:
    static constexpr const char* kTooMany =
        "this node would announce more addresses than fit one record: detach some";

    // router.cpp: composition
    void start();
    void make_mesh();
    void make_allocations();
    void make_lanes();
    void start_lanes();
    void open_ports();
    void serve();
    void serve_http(const Endpoint& endpoint, bool metrics_only);
    void keep_pods_off_http();
    bool is_pods(const IpAddress& address);
    void check_ranges();
    void take_over_pods();
    void make_ports();
    // router_flows.cpp: what goes up and comes down
    void schedule_tick();
    void check_name(TimePoint now);
    void publish_topology();
    void on_record(const wire::RecordPtr& record);
    void on_node_gone(const NodeId& node);
    void publish_soon();
    void publish_snapshot();
    [[nodiscard]] dataplane::Settings data_settings();
    void fit_checksums();
    void notice_programs(TimePoint now);
    void announce_moves();
    void answer_too_big(const dataplane::Punt& punt);
    // router_takeover.cpp
    void open_takeover_door();
    void take_over();
    void relieve_predecessor();
    Handover describe();
    std::vector<int> descriptors();
    // router_fast_path.cpp
    void make_fast_path(PeerEvents& events);
    void tick_fast_path(TimePoint now);
    // pod_addresses.cpp: what this node announces, and what it refuses to
    std::vector<Prefix> node_addresses();
    void converge_routes(const Pods::List& pods);
    wire::Addresses own_addresses(const Pods::List& pods);
    void add_learned(wire::Addresses& own);
    void add_reserved(wire::Addresses& own);
    bool is_on_bridge(const MacAddress& mac);
    [[nodiscard]] bool masquerades(const Pods::List& pods);
    bool publish_addresses();
    void look_again(TimePoint now);
    std::optional<api::Reply> refuse_addresses(const std::vector<Prefix>& addresses,
                                               const std::string& interface);
    std::string used_by_a_host(const std::vector<Prefix>& addresses);
    std::string used_elsewhere(const std::vector<Prefix>& addresses);
    std::string used_here(const std::vector<Prefix>& addresses,
                          const std::string& interface,
                          const Pods::List& pods);
    std::set<std::string> live_holders();
    void claim_what_runs();
    void release_what_is_gone();
    // control_api.cpp
    api::Reply answer(api::Request& request);
    api::Reply handle(api::Request& request);
    api::Reply logged(const std::string& method, const std::function<api::Reply()>& call);
    api::Reply handle_connect(const api::Request& request);
    api::Reply handle_forget(const api::Request& request);
    // pod_requests.cpp
    using UseGrant = std::function<api::Reply(const Grant&)>;
    void with_addresses(const std::string& method,
                        const std::string& holder,
                        const std::vector<ipam::Request>& requests,
                        Duration patience,
                        const UseGrant& use,
                        const api::Reply::Send& send);
    std::optional<api::Reply> refuse_pod(const attach::PodSpec& spec, const std::string& own);
    api::Reply handle_attach(api::Request& request);
    std::optional<std::string> known_as(const std::string& host_ifname);
    api::Reply attach_pod(api::Descriptor netns,
                          const attach::PodSpec& spec,
                          bool gateway,
                          const std::function<void()>& give_back);
    api::Reply handle_detach(api::Request& request);
    void cancel_waiting(const std::string& id, std::uint64_t inode, const std::string& ifname);
    void detach_holder(const std::string& holder);
    void settle_deleted();
    void review_deleted(TimePoint now);
    // host_requests.cpp
    void with_host_address(bool routed,
                           const ipam::Request& near,
                           Duration patience,
                           const api::Reply::Send& then);
    [[nodiscard]] bool has_own_address() const;
    [[nodiscard]] bool is_same(const ipam::Request& asked, const Prefix& own) const;
    api::Reply handle_expose(const api::Request& request);
    api::Reply handle_hide(const api::Request& request);
    api::Reply expose_too(const std::vector<Prefix>& addresses);
    std::vector<IpAddress> gateways_of(const std::vector<Prefix>& addresses);
    api::Reply expose_exactly(const std::vector<Prefix>& wanted);
    void release_unexposed();
    // ipam_api.cpp
    api::Reply handle_ipam(const api::Request& request);
    api::Reply ipam_allocate(const nlohmann::json& params);
    api::Reply ipam_release(const nlohmann::json& params);
    void settle_programs();
    void release_program(const std::string& holder);
    void release_place(const std::string& holder, ipam::Index place);
    std::vector<Prefix> held_by(const std::string& holder);
    api::Reply ipam_check(const nlohmann::json& params);
    api::Reply ipam_claim(const nlohmann::json& params);
    api::Reply ipam_lookup(const nlohmann::json& params);
    api::Reply ipam_gc(const nlohmann::json& params);
    api::Reply ipam_status(const nlohmann::json& params);
    api::Reply ipam_conflicts(const nlohmann::json& params);
    api::Reply remove_peer(const nlohmann::json& params);
    // control_api.cpp: HTTP
    api::HttpReply handle_http(std::string_view target, bool wants_json, bool metrics_only);
    api::HttpReply page(std::string_view target, bool wants_json, bool metrics_only);
    api::HttpReply ready_reply();
    // status.cpp
    void fill_status(api::NodeReport& report, TimePoint now);
    void fill_peers(api::NodeReport& report, TimePoint now);
    void fill_connections(api::NodeReport& report, TimePoint now);
    void fill_targets(api::NodeReport& report, TimePoint now);
    void fill_warnings(NodeStatus& status, TimePoint now);
    void fill_drops(api::NodeReport& report);
    void fill_lanes(api::NodeReport& report, TimePoint now);
    std::string path_text(const session::Use& use);
    std::string name_of(const NodeId& node);

    boost::asio::io_context& io_;
    Options options_;
    std::string name_;
    crypto::Ciphers ciphers_;
    std::unique_ptr<Predecessor> predecessor_;
    NodeState state_;
    Cluster cluster_;
    attach::Host host_;
    Pods pods_;
    std::unique_ptr<PodPorts> ports_;
    /** What is announced may no longer be what is here. */
    bool publish_due_ = false;
    TimePoint next_look_{};
    DescriptorHolder descriptor_holder_;
    fastpath::BpfLinks bpf_links_;
    TimePoint next_notice_{};
    bool programs_due_ = false; ///< those that read checksums may be others than last time
    TimePoint programs_seen_{};
    std::unique_ptr<Lanes> lanes_;
    std::unique_ptr<FastPath> fast_path_; ///< nullptr: it is off
    std::unique_ptr<Peers> peers_;
    std::unique_ptr<MeshPlane> mesh_;
    RememberedRecords remembered_;
    std::unique_ptr<Allocations> allocations_;
    std::unique_ptr<Programs> programs_;
    /** Whose addresses are on their way: they have no interface yet. */
    std::multiset<std::string> obtaining_;
    /** Of those, who waits for the host's address first, and who of them is no longer wanted. */
    std::multiset<std::string> preparing_;
    std::set<std::string> unwanted_;
    TimePoint next_tombstones_{};
    std::unique_ptr<Underlay> underlay_;
    std::unique_ptr<api::Server> control_;
    std::unique_ptr<TakeoverDoor> takeover_door_;
    std::vector<std::unique_ptr<api::HttpServer>> http_;
    boost::asio::steady_timer tick_;
    std::string failure_;
    bool lost_tap_ = false;
    unsigned taps_lost_;
    /** Sentences about state files that were found damaged at start. */
    std::vector<std::string> notices_;
    /** Another node of this node's name. */
    std::optional<NodeId> namesake_;
    log::RateLimit rate_;
    TimePoint started_ = Clock::now();
    bool bridge_pods_ = false;
    /** As the kernel had them when last looked at. */
    std::vector<Prefix> exposed_;
    Owners owners_;
    os::Netlink netlink_ = os::Netlink::open();
    LearnedMacs learned_;
    dataplane::Snapshot snapshot_;
    /** A publication is on its way. */
    bool publishing_ = false;
};

} // namespace weave::daemon
