// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/http.hpp"
#include "api/server.hpp"
#include "api/status.hpp"
#include "attach/host.hpp"
#include "daemon/lanes.hpp"
#include "daemon/mesh_plane.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "daemon/peers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <unordered_map>

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

  private:
    // router.cpp: composition and the flows
    void start();
    void schedule_tick();
    void publish_topology();
    void publish_addresses();
    void on_record(const wire::RecordPtr& record);
    void on_node_gone(const NodeId& node);
    void
    set_owned(const NodeId& owner, dataplane::PeerIndex index, const wire::Addresses& addresses);
    void rebuild_addresses();
    void publish_snapshot();
    void answer_too_big(const dataplane::Punt& punt);
    [[nodiscard]] std::vector<Endpoint> underlay_endpoints();
    // control_api.cpp
    api::Reply handle(api::Request& request);
    api::Reply handle_connect(const api::Request& request);
    api::Reply handle_forget(const api::Request& request);
    api::Reply handle_attach(api::Request& request);
    api::Reply handle_detach(api::Request& request);
    api::Reply handle_expose(const api::Request& request, bool expose);
    api::HttpReply handle_http(std::string_view target, bool wants_json, bool metrics_only);
    // status.cpp
    void fill_status(api::NodeReport& report, TimePoint now);
    void fill_peers(api::NodeReport& report, TimePoint now);
    void fill_connections(api::NodeReport& report, TimePoint now);
    void fill_drops(api::NodeReport& report);
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
    std::unique_ptr<api::Server> control_;
    std::vector<std::unique_ptr<api::HttpServer>> http_;
    boost::asio::steady_timer tick_;
    TimePoint started_ = Clock::now();
    TimePoint next_underlay_check_{};
    std::vector<Endpoint> endpoints_;
    bool bridge_pods_ = false;
    dataplane::Snapshot snapshot_;
    std::unordered_map<NodeId, wire::Addresses> owned_;
    wire::Addresses own_;
};

} // namespace weave::daemon
