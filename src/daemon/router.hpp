// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/http.hpp"
#include "api/server.hpp"
#include "api/status.hpp"
#include "attach/host.hpp"
#include "daemon/allocations.hpp"
#include "daemon/descriptor_holder.hpp"
#include "daemon/ipam_api.hpp"
#include "daemon/lanes.hpp"
#include "daemon/log.hpp"
#include "daemon/mesh_plane.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "daemon/owners.hpp"
#include "daemon/peers.hpp"
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
    void make_services();
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
    // control_api.cpp
    api::Reply answer(api::Request& request);
    api::Reply handle(api::Request& request);
    api::Reply handle_connect(const api::Request& request);
    api::Reply handle_forget(const api::Request& request);
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

    boost::asio::io_context& io_;
    Options options_;
    std::string name_;
    crypto::Ciphers ciphers_;
    std::unique_ptr<Predecessor> predecessor_;
    NodeState state_;
    Cluster cluster_;
    attach::Host host_;
    Owners owners_;
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
    std::unique_ptr<ProgramLeases> programs_;
    RequestLog requests_;
    std::unique_ptr<LocalAddresses> local_;
    std::unique_ptr<HostAddresses> host_addresses_;
    std::unique_ptr<PodRequests> pod_requests_;
    std::unique_ptr<IpamApi> ipam_api_;
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
    dataplane::Snapshot snapshot_;
    /** A publication is on its way. */
    bool publishing_ = false;
};

} // namespace weave::daemon
