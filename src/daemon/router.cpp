// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/router.hpp"

#include "crypto/init.hpp"
#include "dataplane/icmp.hpp"
#include "os/file.hpp"
#include "os/netlink.hpp"

#include <array>
#include <thread>

#include <unistd.h>

#ifndef WEAVE_VERSION
#define WEAVE_VERSION "unknown"
#endif

namespace weave::daemon {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr auto kUnderlayCheck = std::chrono::seconds(2);

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

unsigned lane_count(unsigned wanted) {
    const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
    return wanted != 0 ? wanted : std::clamp(processors / 2, 1U, dataplane::kMaxLanes);
}

std::vector<IpAddress> listen_addresses(const Options& options) {
    std::vector<IpAddress> out;
    for (const std::string& text : options.listen) {
        out.push_back(*IpAddress::parse(text));
    }
    return out;
}

attach::HostSettings host_settings(const Options& options, const NodeState& state) {
    attach::HostSettings settings;
    settings.bridge = options.bridge;
    settings.tap = options.tap;
    settings.mtu = options.mtu;
    settings.node = state.identity().id();
    return settings;
}

Cluster load_cluster(const Options& options) {
    return read_cluster_file(options.cluster_file.empty() ? options.state_dir + "/cluster.json"
                                                          : options.cluster_file);
}

session::Local session_local(const NodeState& state, const Cluster& cluster) {
    session::Local local;
    local.identity = &state.identity();
    local.cluster_id = cluster.id;
    for (const Cluster::Secret& secret : cluster.secrets) {
        local.secrets.push_back({secret.id, secret.key.clone()});
    }
    local.boot_epoch = state.boot_epoch();
    return local;
}

} // namespace

Router::Router(boost::asio::io_context& io, Options options)
    : io_(io)
    , options_(std::move(options))
    , name_(node_name(options_.name))
    , state_((os::ensure_directory(options_.run_dir, 0755), options_.state_dir))
    , cluster_(load_cluster(options_))
    , host_(host_settings(options_, state_))
    , tick_(io) {
    for (const std::string& notice : state_.take_notices()) {
        log::error("event=state_file_damaged detail={}", log::quoted(notice));
    }
    start();
}

Router::~Router() {
    control_.reset();
    http_.clear();
    mesh_.reset();
    if (lanes_) {
        lanes_->stop();
    }
}

void Router::start() {
    const std::vector<IpAddress> listen = listen_addresses(options_);
    const unsigned lanes = lane_count(options_.lanes);
    mesh_ = std::make_unique<MeshPlane>(
        io_,
        MeshPlaneSettings{name_, options_.port, listen},
        state_,
        cluster_,
        MeshPlaneEvents{
            [this](const mesh::NodeInfo& node) {
                peers_->on_node(node, Clock::now());
                rebuild_addresses();
            },
            [this](const NodeId& node) { on_node_gone(node); },
            [this](const wire::RecordPtr& record) { on_record(record); },
            [this](const mesh::Routes& routes) { peers_->set_routes(routes, Clock::now()); },
            [this](std::uint64_t epoch) {
                state_.raise_boot_epoch(epoch - 1);
                peers_->set_boot_epoch(epoch);
            }});
    // Ports first: when one is taken, nothing has been changed on the host yet.
    mesh_->listen();
    host_.ensure_bridge();
    lanes_ = std::make_unique<Lanes>(
        io_, LanesSettings{lanes, options_.port, listen}, host_.ensure_tap(lanes));

    session::Settings settings;
    settings.lanes = static_cast<std::uint8_t>(lanes);
    peers_ = std::make_unique<Peers>(*lanes_,
                                     settings,
                                     session_local(state_, cluster_),
                                     session::PathSettings{},
                                     PeerEvents{[this](const NodeId& node, bool unreachable) {
                                                    mesh_->mark_unreachable(node, unreachable);
                                                },
                                                [this] { publish_snapshot(); }});

    dataplane::Settings data;
    data.own_relay = relay_address(state_.identity().id());
    data.bridge_mac = attach::bridge_mac(state_.identity().id());
    snapshot_.settings = std::make_shared<dataplane::Settings>(data);

    for (const Prefix& prefix : state_.exposed()) {
        host_.expose(prefix);
    }
    publish_addresses();
    endpoints_ = underlay_endpoints();
    publish_topology();
    lanes_->start([this](const dataplane::Punt& punt) {
        if (punt.kind == dataplane::Punt::Kind::too_big) {
            answer_too_big(punt);
        }
        peers_->on_punt(punt, Clock::now());
    });
    std::vector<std::string> targets = state_.targets();
    targets.insert(targets.end(), options_.peers.begin(), options_.peers.end());
    mesh_->connect(targets, false, "start");

    control_ =
        std::make_unique<api::Server>(io_,
                                      options_.run_dir + "/weave.sock",
                                      [this](api::Request& request) { return handle(request); });
    if (options_.http_port != 0) {
        http_.push_back(std::make_unique<api::HttpServer>(
            io_,
            Endpoint{*IpAddress::parse("127.0.0.1"), options_.http_port},
            [this](std::string_view target, bool json) {
                return handle_http(target, json, false);
            }));
    }
    if (!options_.metrics_listen.empty()) {
        const auto endpoint = Endpoint::parse(options_.metrics_listen, 6782);
        if (!endpoint) {
            throw ConfigError(
                fmt::format("--metrics-listen '{}' is not ADDRESS:PORT", options_.metrics_listen));
        }
        http_.push_back(std::make_unique<api::HttpServer>(
            io_, *endpoint, [this](std::string_view target, bool json) {
                return handle_http(target, json, true);
            }));
    }
    log::info("event=started version={} name={} node={} port={} lanes={}",
              WEAVE_VERSION,
              name_,
              state_.identity().id().fingerprint(),
              options_.port,
              lanes);
    schedule_tick();
}

void Router::schedule_tick() {
    tick_.expires_after(kTick);
    tick_.async_wait([this](boost::system::error_code error) {
        if (error) {
            return;
        }
        const TimePoint now = Clock::now();
        if (now >= next_underlay_check_) {
            next_underlay_check_ = now + kUnderlayCheck;
            if (auto endpoints = underlay_endpoints(); endpoints != endpoints_) {
                endpoints_ = std::move(endpoints);
                publish_topology();
            }
        }
        peers_->tick(now);
        mesh_->tick(now);
        lanes_->cell().reclaim();
        schedule_tick();
    });
}

/** What peers may dial: what the user said, else every global address that is not ours to hide. */
std::vector<Endpoint> Router::underlay_endpoints() {
    std::vector<Endpoint> out;
    for (const std::string& text : options_.advertise) {
        out.push_back(*Endpoint::parse(text, options_.port));
    }
    if (!out.empty()) {
        return out;
    }
    const auto range = *Prefix::parse(options_.ipalloc_range);
    os::Netlink netlink = os::Netlink::open();
    std::unordered_map<unsigned, os::Link> links;
    for (const os::Link& link : netlink.links()) {
        links.emplace(link.index, link);
    }
    const std::vector<IpAddress> listen = listen_addresses(options_);
    for (const os::LinkAddress& entry : netlink.addresses()) {
        const IpAddress& address = entry.prefix.address;
        const auto link = links.find(entry.index);
        const bool ours = link != links.end() &&
                          (link->second.name == options_.bridge ||
                           link->second.name == options_.tap || link->second.kind == "bridge");
        const bool listening =
            listen.empty() || std::find(listen.begin(), listen.end(), address) != listen.end();
        if (!ours && listening && !address.is_loopback() && !address.is_link_local() &&
            !range.contains(address) && out.size() < wire::kMaxEndpoints) {
            out.push_back({address, options_.port});
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

void Router::publish_topology() {
    wire::Topology topology;
    topology.name = name_;
    topology.endpoints = endpoints_;
    topology.static_key = state_.identity().static_public();
    topology.flags = bridge_pods_ ? wire::Topology::kBridgePods : 0;
    topology.lanes = static_cast<std::uint8_t>(lanes_->count());
    topology.software = WEAVE_VERSION;
    mesh_->set_own_topology(topology);
}

/** Reads what is attached and exposed here from the kernel and tells the mesh and the lanes. */
void Router::publish_addresses() {
    wire::Addresses own;
    for (const attach::Attachment& pod : host_.list()) {
        own.macs.push_back(pod.mac);
        for (const Prefix& prefix : pod.addresses) {
            own.prefixes.push_back(
                {prefix.address, static_cast<std::uint8_t>(prefix.address.bits())});
        }
    }
    const std::vector<Prefix> exposed = host_.exposed();
    if (!exposed.empty()) {
        own.macs.push_back(attach::bridge_mac(state_.identity().id()));
        for (const Prefix& prefix : exposed) {
            own.prefixes.push_back(
                {prefix.address, static_cast<std::uint8_t>(prefix.address.bits())});
        }
    }
    const bool pods = !own.macs.empty();
    own_ = own;
    mesh_->set_own_addresses(own_);
    rebuild_addresses();
    if (std::exchange(bridge_pods_, pods) != pods) {
        publish_topology();
    }
}

void Router::set_owned(const NodeId& owner,
                       dataplane::PeerIndex index,
                       const wire::Addresses& addresses) {
    std::ignore = owner;
    std::vector<dataplane::AddressChange> changes;
    const dataplane::AddressTable& table = *snapshot_.addresses;
    // The first owner keeps what two claim; rebuild_addresses() visits ourselves first.
    for (const MacAddress& mac : addresses.macs) {
        if (table.owner(mac) == dataplane::kNoPeer) {
            changes.push_back({mac, index});
        }
    }
    for (const Prefix& prefix : addresses.prefixes) {
        if (table.owner(prefix.address) == dataplane::kNoPeer ||
            prefix.length < prefix.address.bits()) {
            changes.push_back({prefix, index});
        }
    }
    snapshot_.addresses = std::make_shared<dataplane::AddressTable>(table.with(changes));
}

void Router::rebuild_addresses() {
    snapshot_.addresses = std::make_shared<dataplane::AddressTable>();
    set_owned(state_.identity().id(), dataplane::kLocalPeer, own_);
    for (const auto& [node, addresses] : owned_) {
        if (const auto index = peers_->index_of(node); index != dataplane::kNoPeer) {
            set_owned(node, index, addresses);
        }
    }
    publish_snapshot();
}

void Router::on_record(const wire::RecordPtr& record) {
    if (record->kind != wire::kAddressesKind || record->node == state_.identity().id()) {
        return;
    }
    auto addresses = wire::decode_addresses(record->tlvs());
    if (addresses) {
        owned_[record->node] = std::move(*addresses);
        rebuild_addresses();
    }
}

void Router::on_node_gone(const NodeId& node) {
    owned_.erase(node);
    peers_->on_node_gone(node);
    rebuild_addresses();
}

void Router::publish_snapshot() {
    snapshot_.peers = peers_->table();
    lanes_->cell().publish(snapshot_);
}

void Router::answer_too_big(const dataplane::Punt& punt) {
    const auto answer = dataplane::too_big_answer(
        punt.view(), punt.mtu, attach::bridge_mac(state_.identity().id()), std::nullopt);
    if (punt.is_tx && answer) {
        lanes_->inject(0, [&](dataplane::Injection& out) {
            out.kind = dataplane::Injection::Kind::tap_frame;
            out.assign(*answer);
        });
    }
}

} // namespace weave::daemon
