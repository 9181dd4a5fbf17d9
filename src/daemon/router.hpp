// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/http.hpp"
#include "api/server.hpp"
#include "api/status.hpp"
#include "attach/host.hpp"
#include "daemon/lanes.hpp"
#include "daemon/log.hpp"
#include "daemon/mesh_plane.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "daemon/owners.hpp"
#include "daemon/peers.hpp"
#include "daemon/underlay.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>

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
    void answer_too_big(const dataplane::Punt& punt);
    // pod_addresses.cpp: what this node announces, and what it refuses to
    std::vector<attach::Attachment> attachments();
    void keep_given(attach::Attachment& pod);
    void remember_given(const attach::Attachment& pod, const std::vector<Prefix>& addresses);
    void adopt_given();
    wire::Addresses own_addresses();
    void publish_addresses();
    std::optional<api::Reply> refuse_addresses(const std::vector<Prefix>& addresses,
                                               const std::string& interface);
    std::string used_by_a_host(const std::vector<Prefix>& addresses);
    std::string used_elsewhere(const std::vector<Prefix>& addresses);
    std::string used_here(const std::vector<Prefix>& addresses, const std::string& interface);
    // control_api.cpp
    api::Reply answer(api::Request& request);
    api::Reply handle(api::Request& request);
    api::Reply handle_connect(const api::Request& request);
    api::Reply handle_forget(const api::Request& request);
    api::Reply handle_attach(api::Request& request);
    api::Reply handle_detach(api::Request& request);
    api::Reply handle_expose(const api::Request& request, bool expose);
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
    std::unique_ptr<Lanes> lanes_;
    std::unique_ptr<Peers> peers_;
    std::unique_ptr<MeshPlane> mesh_;
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
    dataplane::Snapshot snapshot_;
    /** A publication is on its way. */
    bool publishing_ = false;
};

} // namespace weave::daemon
