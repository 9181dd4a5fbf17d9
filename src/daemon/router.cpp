// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/router.hpp"

#include "attach/overlap.hpp"
#include "base/version.hpp"
#include "crypto/init.hpp"
#include "daemon/address_plan.hpp"
#include "daemon/fast_path.hpp"
#include "dataplane/packet.hpp"
#include "ipam/state.hpp"
#include "os/file.hpp"
#include "os/socket_interface.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <net/if.h>
#include <unistd.h>

namespace weave::daemon {
namespace {

/** The mesh's names hold letters, digits, dots, dashes and underscores; anything else becomes a
 * dash. */
std::string node_name(const std::string& wanted) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    std::string name = wanted.empty() ? std::string{host.data()} : wanted;
    for (char& c : name) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        c = plain || c == '.' || c == '_' ? c : '-';
    }
    return name.substr(0, wire::kMaxNameSize);
}

attach::HostSettings
host_settings(const Options& options, const NodeState& state, const Cluster& cluster) {
    attach::HostSettings settings;
    settings.bridge = options.bridge;
    settings.tap = options.tap;
    settings.mtu = options.mtu != 0 ? options.mtu : automatic_mtu(options, state.targets());
    settings.node = state.identity().id();
    settings.ranges = ranges_of(address_plan(options, cluster));
    return settings;
}

NodeState open_state(const Options& options, Predecessor* predecessor) {
    os::ensure_directory(options.run_dir, 0755);
    return predecessor == nullptr ? NodeState(options.state_dir)
                                  : NodeState(options.state_dir,
                                              predecessor->take_lock(),
                                              predecessor->handover().boot_epoch);
}

} // namespace

Router::Router(boost::asio::io_context& io,
               Options options,
               std::unique_ptr<Predecessor> predecessor,
               unsigned taps_lost)
    : io_(io)
    , options_(std::move(options))
    , name_(node_name(options_.name))
    , ciphers_(choose_ciphers(options_.cipher_provider))
    , predecessor_(std::move(predecessor))
    , state_(open_state(options_, predecessor_.get()))
    , cluster_(read_cluster_file(cluster_path(options_)))
    , host_(host_settings(options_, state_, cluster_))
    , descriptor_holder_(options_.run_dir, handover_fit(options_, cluster_, lane_count(options_)))
    , remembered_(options_.run_dir)
    , tick_(io)
    , taps_lost_(taps_lost) {
    notices_ = state_.take_notices();
    for (const std::string& notice : notices_) {
        log::error("event=state_file_damaged detail={}", log::quoted(notice));
    }
    if (options_.clear) {
        log::warning("event=encryption_off detail={}", log::quoted(kClearWarning));
        notices_.emplace_back(kClearWarning);
    }
    for (const Cluster::Secret& secret : cluster_.secrets) {
        if (secret.of_password) {
            log::warning("event=password_secret id={} detail=\"an attacker who meddles with one "
                         "handshake can guess the password offline: prefer a key of 'weavectl "
                         "genkey'\"",
                         secret.id);
        }
    }
    start();
}

Router::~Router() {
    control_.reset();
    http_.clear();
    mesh_.reset();
    if (peers_) {
        peers_->say_goodbye();
    }
    fast_path_.reset();
    if (lanes_) {
        lanes_->stop();
    }
    descriptor_holder_.release();
    if (lanes_) {
        remembered_.forget();
    }
}

void Router::start() {
    make_mesh();
    make_allocations();
    if (!predecessor_) {
        open_ports(); // first: when one is taken, nothing has been changed on the host yet
    }
    check_ranges();
    host_.ensure_bridge();
    keep_pods_off_http();
    make_lanes();
    make_services();
    local_->adopt();
    local_->guard(io_); // the rules of an earlier start stand until then
    underlay_ = std::make_unique<Underlay>(
        io_,
        options_,
        [this] {
            publish_topology();
            peers_->on_underlay(underlay_->own(), Clock::now());
            mesh_->on_underlay(Clock::now());
        },
        // A pod that is gone without being detached takes its link with it.
        [this] {
            local_->publish();
            fit_checksums();
        });
    if (predecessor_) {
        take_over();
    } else {
        mesh_->recall(remembered_.recall(), Clock::now());
    }
    publish_topology();
    local_->claim_what_runs();
    programs_->settle();
    allocations_->start();
    pod_requests_->settle_deleted();
    local_->publish();
    publish_snapshot();
    start_lanes();
    if (predecessor_) {
        predecessor_->await_end();
        predecessor_.reset();
        state_.sign_lock();
        open_ports();
        keep_pods_off_http();
    }
    std::vector<std::string> targets = state_.targets();
    targets.insert(targets.end(), options_.peers.begin(), options_.peers.end());
    mesh_->targets().connect(targets, false, "start");
    serve();
    open_takeover_door();
    log::info("event=started version={} name={} node={} port={} lanes={} sparse_lanes={}",
              WEAVE_VERSION,
              name_,
              state_.identity().id().fingerprint(),
              options_.port,
              lanes_->pair_count(),
              lanes_->sparse_count());
    log_ciphers(ciphers_);
    descriptor_holder_.hold(lanes_->descriptors());
    schedule_tick();
}

void Router::start_lanes() {
    lanes_->on_tap_gone([this] {
        lost_tap_ = true;
        failure_ = fmt::format("the TAP device {} was removed: start weaved again to make it anew",
                               options_.tap);
        io_.stop();
    });
    if (predecessor_) {
        relieve_predecessor();
    }
    lanes_->start([this](const dataplane::Punt& punt) {
        if (punt.kind == dataplane::Punt::Kind::too_big) {
            answer_too_big(punt);
        } else if (punt.kind == dataplane::Punt::Kind::new_source) {
            local_->on_source(dataplane::mac_at(punt.bytes.data()));
        }
        peers_->on_punt(punt, Clock::now());
    });
}

/** Pods whose addresses this host already reaches elsewhere would be lost to it. Where pods run, as
 * after a crash, it is said, but they are not cut off. */
void Router::check_ranges() {
    os::Netlink netlink = os::Netlink::open();
    std::string overlap =
        attach::find_overlap(netlink, ranges_of(allocations_->plan()), options_.bridge);
    if (overlap.empty()) {
        return;
    }
    if (host_.known().empty()) {
        throw ConfigError(overlap);
    }
    log::warning("event=range_overlaps detail={}", log::quoted(overlap));
    notices_.push_back(std::move(overlap));
}

/** What gives pods, programs and the host their addresses. */
void Router::make_services() {
    const NodeParts parts{
        options_, state_, host_, owners_, *mesh_, *peers_, *allocations_, requests_};
    LocalEvents events;
    events.on_changed = [this] { publish_soon(); };
    events.on_bridge_pods = [this] { publish_topology(); };
    local_ = std::make_unique<LocalAddresses>(parts, std::move(events));
    host_addresses_ = std::make_unique<HostAddresses>(parts, *local_);
    pod_requests_ = std::make_unique<PodRequests>(parts, *local_, *host_addresses_, *programs_);
    ipam_api_ =
        std::make_unique<IpamApi>(parts, *local_, *host_addresses_, *programs_, *pod_requests_);
}

void Router::make_mesh() {
    MeshPlaneEvents events;
    events.on_node = [this](const mesh::NodeInfo& node) {
        peers_->on_node(node, Clock::now());
        owners_.set_index(node.id, peers_->index_of(node.id));
        allocations_->on_reachable(node.id, node.reachable);
        publish_soon();
    };
    events.on_gone = [this](const NodeId& node) { on_node_gone(node); };
    events.on_record = [this](const wire::RecordPtr& record) { on_record(record); };
    events.on_routes = [this](const mesh::Routes& routes) {
        peers_->set_routes(routes, Clock::now());
    };
    events.on_epoch = [this](std::uint64_t epoch) {
        try {
            state_.raise_boot_epoch(epoch - 1);
        } catch (const std::system_error& error) {
            // The next start will hear of its records once more and raise the epoch then.
            log::error("event=boot_epoch_not_saved reason={}", log::quoted(error.what()));
        }
        peers_->set_boot_epoch(epoch);
    };
    events.on_same_name = [this](const NodeId& other) {
        namesake_ = other;
        peers_->want(other, Clock::now());
    };
    mesh_ = std::make_unique<MeshPlane>(
        io_,
        MeshPlaneSettings{name_, options_.port, listen_addresses(options_)},
        state_,
        cluster_,
        std::move(events));
}

void Router::make_allocations() {
    AllocationSettings settings(state_.identity().id(), address_plan(options_, cluster_));
    settings.lease = std::chrono::seconds(options_.ipalloc_lease);
    settings.rest = std::chrono::seconds(options_.ipalloc_rest);
    settings.expects_others = !state_.targets().empty() || !options_.peers.empty();
    settings.file = options_.state_dir + "/ipam";
    settings.ran_before = state_.boot_epoch() > 1;
    if (!settings.ran_before && !std::filesystem::exists(settings.file)) {
        // From now on a missing file is a lost one, however far this first start gets.
        ipam::ManagerState nothing;
        nothing.allocator.range = settings.plan.range();
        os::write_checked_file(settings.file, ipam::encode_state(nothing), 0600);
    }
    const std::string file = settings.file;
    AllocationEvents events;
    events.publish = [this](std::uint16_t kind, Bytes tlvs) {
        mesh_->set_own(kind, std::move(tlvs));
    };
    events.name_of = [this](const NodeId& node) { return mesh_->name_of(node); };
    allocations_ = std::make_unique<Allocations>(std::move(settings), std::move(events));
    programs_ = std::make_unique<ProgramLeases>(options_.state_dir + "/programs", *allocations_);
    if (!programs_->notice().empty()) {
        log::error("event=state_file_damaged detail={}", log::quoted(programs_->notice()));
        notices_.push_back(programs_->notice());
    }
    for (std::string& notice : allocations_->take_notices()) {
        // One about the file begins with its name.
        log::error("event={} detail={}",
                   notice.starts_with(file) ? "state_file_damaged" : "addresses_outside_range",
                   log::quoted(notice));
        notices_.push_back(std::move(notice));
    }
}

void Router::make_lanes() {
    const unsigned lanes = lane_count(options_);
    auto open = predecessor_ ? predecessor_->take_descriptors() : descriptor_holder_.take();
    bool paired = false;
    if (open) {
        host_.adopt_tap();
        // The kernel goes on to sort as it did.
        paired = open->tap.queues.size() == 2 * std::size_t{lanes};
    } else {
        os::Tap tap = host_.ensure_tap(may_pair_lanes(options_) ? 2 * lanes : lanes);
        paired = tap.queues.size() != lanes && sort_queues(tap);
        tap.queues.resize(paired ? 2 * lanes : lanes);
        open = open_sockets({options_.port, listen_addresses(options_)}, std::move(tap), paired);
    }
    lanes_ = std::make_unique<Lanes>(io_, std::move(*open), paired);
    session::Settings settings;
    settings.max_peers = mesh::StoreLimits{}.nodes; // whoever gossip knows may come
    settings.lanes = static_cast<std::uint8_t>(lanes_->count());
    settings.features = wire::kOwnFeatures;
    PeerEvents events;
    events.on_direct = [this](const NodeId& node, bool unreachable) {
        mesh_->mark_unreachable(node, unreachable);
    };
    events.interface_mtu = [this](const Endpoint& to) { return underlay_->mtu_towards(to); };
    make_fast_path(events);
    events.on_table_changed = [this] { publish_soon(); };
    events.publish_now = [this] { publish_snapshot(); };
    peers_ = std::make_unique<Peers>(
        *lanes_,
        settings,
        session_local(state_, cluster_, suites_offered(ciphers_, options_.clear)),
        ciphers_,
        session::PathSettings{},
        std::move(events));
    snapshot_.settings = std::make_shared<dataplane::Settings>(data_settings());
}

/** The doors for peers, people and programs: the control socket is opened in serve(). */
void Router::open_ports() {
    mesh_->listen();
    if (options_.http_port != 0) {
        serve_http({*IpAddress::parse("127.0.0.1"), options_.http_port}, false);
    }
    if (!options_.metrics_listen.empty()) {
        serve_http(*Endpoint::parse(options_.metrics_listen, 0), true);
    }
}

/** Pods may route to any address of their host, with route_localnet even to 127.0.0.1, and 0.0.0.0
 * is what many listen on. They come through the bridge, or by way of another host. */
void Router::serve_http(const Endpoint& endpoint, bool metrics_only) {
    api::HttpSettings settings;
    const bool local = endpoint.address.is_loopback();
    if (local) {
        settings.prepare = [](int fd) { os::listen_on_interface(fd, "lo"); };
    }
    settings.admits = [this, local](const IpAddress& from) {
        return from.is_loopback() || (!local && !is_pods(from));
    };
    http_.push_back(std::make_unique<api::HttpServer>(
        io_,
        endpoint,
        [this, metrics_only](std::string_view target, bool json) {
            return handle_http(target, json, metrics_only);
        },
        std::move(settings)));
}

void Router::keep_pods_off_http() {
    for (const auto& server : http_) {
        os::drop_from_interface(server->native_handle(), ::if_nametoindex(options_.bridge.c_str()));
    }
}

/** Whether a pod has it, or could give it to itself. */
bool Router::is_pods(const IpAddress& address) {
    const auto contains = [&](const Prefix& prefix) { return prefix.contains(address); };
    return contains(*Prefix::parse(options_.ipalloc_range)) ||
           owners_.table()->owner(address) != dataplane::kNoPeer ||
           std::ranges::any_of(local_->exposed(), contains);
}

void Router::serve() {
    control_ =
        std::make_unique<api::Server>(io_,
                                      options_.run_dir + "/weave.sock",
                                      [this](api::Request& request) { return handle(request); });
}

} // namespace weave::daemon
