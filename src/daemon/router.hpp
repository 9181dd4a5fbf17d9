// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/http.hpp"
#include "api/server.hpp"
#include "api/status.hpp"
#include "attach/firewall.hpp"
#include "attach/host.hpp"
#include "daemon/allocations.hpp"
#include "daemon/lanes.hpp"
#include "daemon/learned_macs.hpp"
#include "daemon/log.hpp"
#include "daemon/mesh_plane.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "daemon/owners.hpp"
#include "daemon/peers.hpp"
#include "daemon/underlay.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::daemon {

/**
 * The composition: makes every part, lets facts flow up from the machines and down as a snapshot,
 * and answers the control API. Everything but the lanes runs on the io_context's thread.
 */
class Router {
  public:
    /** Throws std::system_error or ConfigError with a sentence; nothing is left running then. */
    Router(boost::asio::io_context& io, Options options);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    [[nodiscard]] api::NodeReport report();

    /** Why it stopped the io_context; empty while it did not. */
    [[nodiscard]] const std::string& failure() const { return failure_; }

  private:
    // router.cpp: composition and the flows
    void start();
    void make_mesh();
    void make_allocations();
    void make_lanes();
    void open_http();
    void serve();
    void serve_http(const Endpoint& endpoint, bool metrics_only);
    void keep_pods_off_http();
    bool is_pods(const IpAddress& address);
    void take_over_pods();
    void schedule_tick();
    void check_name(TimePoint now);
    void publish_topology();
    void on_record(const wire::RecordPtr& record);
    void on_node_gone(const NodeId& node);
    void publish_soon();
    void publish_snapshot();
    void announce_moves();
    void answer_too_big(const dataplane::Punt& punt);
    // pod_addresses.cpp: what this node announces, and what it refuses to
    using Attachments = std::vector<attach::Attachment>;
    Attachments attachments();
    void keep_given(attach::Attachment& pod);
    void remember_given(const attach::Attachment& pod, const std::vector<Prefix>& addresses);
    void adopt_given();
    std::vector<Prefix> node_addresses();
    void converge_routes(const Attachments& pods);
    wire::Addresses own_addresses(const Attachments& pods);
    void add_learned(wire::Addresses& own);
    bool is_on_bridge(const MacAddress& mac);
    void publish_addresses();
    std::optional<api::Reply> refuse_addresses(const std::vector<Prefix>& addresses,
                                               const std::string& interface);
    std::string used_by_a_host(const std::vector<Prefix>& addresses);
    std::string used_elsewhere(const std::vector<Prefix>& addresses);
    std::string used_here(const std::vector<Prefix>& addresses,
                          const std::string& interface,
                          const Attachments& pods);
    std::set<std::string> live_holders();
    void claim_what_runs();
    void release_what_is_gone();
    // control_api.cpp
    api::Reply answer(api::Request& request);
    api::Reply handle(api::Request& request);
    api::Reply logged(const std::string& method, const std::function<api::Reply()>& call);
    api::Reply handle_connect(const api::Request& request);
    api::Reply handle_forget(const api::Request& request);
    // port_rules.cpp: what pods may send, and what leaves for elsewhere
    void make_firewall();
    void watch_firewall();
    void check_firewall(bool readable);
    void converge_ports(const Attachments& pods);
    void forward_for(const std::vector<Prefix>& addresses);
    // pod_requests.cpp
    using UseGrant = std::function<api::Reply(const Grant&)>;
    void with_addresses(const std::string& method,
                        const std::string& holder,
                        const std::vector<ipam::Request>& requests,
                        Duration patience,
                        const UseGrant& use,
                        const api::Reply::Send& send);
    void with_host_address(bool routed,
                           const ipam::Request& near,
                           Duration patience,
                           const api::Reply::Send& then);
    api::Reply handle_attach(api::Request& request);
    api::Reply attach_pod(api::Descriptor netns, const attach::PodSpec& spec);
    api::Reply handle_detach(api::Request& request);
    void detach_holder(const std::string& holder);
    void settle_deleted();
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
    NodeState state_;
    Cluster cluster_;
    attach::Host host_;
    std::unique_ptr<attach::Firewall> firewall_;
    boost::asio::posix::stream_descriptor firewall_watch_;
    TimePoint next_firewall_check_{};
    std::map<std::string, attach::PortRules> ports_;
    std::unique_ptr<Lanes> lanes_;
    std::unique_ptr<Peers> peers_;
    std::unique_ptr<MeshPlane> mesh_;
    std::unique_ptr<Allocations> allocations_;
    /** Whose addresses are on their way: they have no interface yet. */
    std::multiset<std::string> obtaining_;
    std::unique_ptr<Underlay> underlay_;
    std::unique_ptr<api::Server> control_;
    std::vector<std::unique_ptr<api::HttpServer>> http_;
    boost::asio::steady_timer tick_;
    std::string failure_;
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
    /** It is not announced yet. */
    bool learned_changed_ = false;
    dataplane::Snapshot snapshot_;
    /** A publication is on its way. */
    bool publishing_ = false;
};

} // namespace weave::daemon
