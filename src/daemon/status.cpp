// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the Router tells about itself.
#include "base/version.hpp"
#include "daemon/attachment_row.hpp"
#include "daemon/fast_path.hpp"
#include "daemon/refusals.hpp"
#include "daemon/router.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

namespace weave::daemon {
namespace {

double milliseconds(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

const char* state_text(mesh::ConnectionStatus::State state) {
    using State = mesh::ConnectionStatus::State;
    switch (state) {
    case State::established:
        return "established";
    case State::connecting:
        return "connecting";
    case State::retrying:
        return "retrying";
    case State::failed:
        return "failed";
    case State::waiting:
        return "waiting";
    case State::self:
        return "self";
    case State::spare:
        return "spare";
    }
    return "unknown";
}

/** Of a name's addresses the one that got farthest speaks for it: the smallest. */
int rank(mesh::ConnectionStatus::State state) {
    using State = mesh::ConnectionStatus::State;
    constexpr std::array order{State::established,
                               State::spare,
                               State::connecting,
                               State::retrying,
                               State::waiting,
                               State::failed,
                               State::self};
    return static_cast<int>(std::find(order.begin(), order.end(), state) - order.begin());
}

} // namespace

std::string Router::path_text(const session::Use& use) {
    switch (use.kind) {
    case session::Use::Kind::none:
        return "unreachable";
    case session::Use::Kind::direct:
        return "direct";
    case session::Use::Kind::relay:
        return "relay via " + mesh_->name_of(use.relay);
    }
    return "unknown";
}

void Router::fill_status(api::NodeReport& report, TimePoint now) {
    NodeStatus& status = report.status;
    status.version = WEAVE_VERSION;
    status.name = name_;
    status.node_id = state_.identity().id().text();
    status.cluster_id = to_hex(cluster_.id);
    for (const Endpoint& endpoint : underlay_->endpoints()) {
        status.addresses.push_back(endpoint.text());
    }
    status.port = options_.port;
    status.encryption = !options_.clear;
    status.uptime_seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now - started_).count());
    status.sparse_lanes = lanes_->sparse_count();
    status.lanes = lanes_->pair_count();
    for (const PeerRow& peer : report.peers) {
        status.peers_direct += peer.path == "direct" ? 1U : 0U;
        status.peers_unreachable += peer.path == "unreachable" ? 1U : 0U;
    }
    status.peers_relayed = static_cast<std::uint32_t>(report.peers.size()) - status.peers_direct -
                           status.peers_unreachable;
    for (const ConnectionRow& row : report.connections) {
        status.connections_established += row.state == "established" ? 1U : 0U;
        status.connections_failed += row.state == "failed" ? 1U : 0U;
        status.connections_pending +=
            row.state == "connecting" || row.state == "retrying" || row.state == "waiting" ? 1U
                                                                                           : 0U;
    }
    status.targets = static_cast<std::uint32_t>(report.targets.size());
    status.attachments = static_cast<std::uint32_t>(report.attachments.size());
    for (const DropRow& drop : report.drops) {
        status.drops_total += drop.count;
    }
    status.handshakes_total = peers_->handshakes();
    status.rekeys_total = peers_->rekeys();
    status.udp_socket_drops_total = lanes_->socket_drops();
    for (const Prefix& prefix : state_.exposed()) {
        status.exposed.push_back(prefix.text());
    }
    status.fast_path = options_.fast_path;
    if (fast_path_) {
        status.fast_paths = fast_path_->rows();
    }
    fill_warnings(status, now);
}

void Router::fill_warnings(NodeStatus& status, TimePoint now) {
    status.warnings = notices_;
    show_ciphers(ciphers_, status);
    for (const std::string& problem : local_->ports().problems()) {
        status.warnings.push_back(problem);
    }
    if (const std::string why = allocations_->not_ready(); !why.empty()) {
        status.warnings.push_back(why);
    }
    for (std::string& sentence : allocations_->other_ranges()) {
        status.warnings.push_back(std::move(sentence));
    }
    if (const auto conflicts = allocations_->allocator().conflicts(); !conflicts.empty()) {
        status.warnings.push_back(fmt::format(
            "{} addresses of this node's pods are in use on another node as well: see 'weavectl "
            "ipam conflicts'",
            conflicts.size()));
    }
    for (const mesh::NodeInfo& node : mesh_->mesh().nodes()) {
        if (node.shown_name != node.name && (node.self || node.reachable)) {
            status.warnings.push_back(fmt::format(
                "two nodes are named '{}'; {}, {}, is shown as {}: start one with another --name",
                node.name,
                node.self ? "this one" : "that of id " + node.id.fingerprint(),
                node.endpoints.empty() ? "of no known address"
                                       : "at " + node.endpoints.front().text(),
                node.shown_name));
        }
    }
    for (const auto& [node, copy] : mesh_->copied_identities(now)) {
        status.warnings.push_back(fmt::format(
            "the identity of {} is used twice ({}): on the copy, stop weaved, remove identity.key "
            "from "
            "its state folder and start it again",
            node == state_.identity().id() ? "this node" : "node " + mesh_->name_of(node),
            copy.places().empty() ? "at an unknown address" : "seen at " + copy.places()));
    }
    for (const auto& [holder, other] : mesh_->relay_collisions()) {
        status.warnings.push_back(fmt::format(
            "the ids of {} and {} start alike, so that relays cannot tell them apart: on one of "
            "them, stop weaved, remove identity.key from its state folder and start it again",
            mesh_->name_of(holder),
            mesh_->name_of(other)));
    }
    for (const Owners::Contest& contest : owners_.contests()) {
        const auto who = [this](const NodeId& node) {
            return node == NodeId{} ? std::string{"this node"} : mesh_->name_of(node);
        };
        status.warnings.push_back(fmt::format(
            "{} is in use on {} and on {}: packets go to the first of them; detach one of the pods",
            contest.address,
            who(contest.owner),
            who(contest.other)));
    }
    for (const auto& [from, reason] : mesh_->refused()) {
        status.warnings.push_back(
            fmt::format("refused a connection from {}: {}", from.text(), reason));
    }
}

void Router::fill_peers(api::NodeReport& report, TimePoint now) {
    for (const PeerView& view : peers_->view(now)) {
        PeerRow row;
        row.name = mesh_->name_of(view.node);
        row.id = view.node.text();
        const auto info = mesh_->mesh().node(view.node);
        if (info) {
            for (const Endpoint& endpoint : info->endpoints) {
                row.addresses.push_back(endpoint.text());
            }
        }
        // Of those that this node does not try it knows what others say.
        const bool alive = !info || info->reachable;
        row.path = view.idle ? (alive ? "idle" : "unreachable") : path_text(view.use);
        row.rtt_ms = view.rtt ? milliseconds(*view.rtt) : 0;
        row.mtu = view.mtu;
        row.transmit_bytes = view.totals.tx_bytes;
        row.transmit_packets = view.totals.tx_packets;
        row.receive_bytes = view.totals.rx_bytes;
        row.receive_packets = view.totals.rx_packets;
        if (view.key_age) {
            row.key_age_seconds =
                std::chrono::duration_cast<std::chrono::seconds>(*view.key_age).count();
        }
        row.cipher = view.suite ? crypto::name(*view.suite) : "none";
        row.trains = session::text(view.trains);
        std::vector<MacAddress> macs = owners_.macs_of(view.node);
        std::erase(macs, attach::bridge_mac(view.node)); // the host itself, where it is exposed
        row.pods = static_cast<std::uint32_t>(macs.size());
        report.peers.push_back(std::move(row));
    }
    std::sort(report.peers.begin(), report.peers.end(), [](const PeerRow& a, const PeerRow& b) {
        return a.name < b.name;
    });
}

void Router::fill_connections(api::NodeReport& report, TimePoint now) {
    std::unordered_map<std::string_view, const PeerRow*> peers;
    for (const PeerRow& peer : report.peers) {
        peers.emplace(peer.id, &peer);
    }
    for (const mesh::ConnectionStatus& status : mesh_->connections(now)) {
        ConnectionRow row;
        row.direction =
            status.direction == mesh::ConnectionStatus::Direction::inbound ? "in" : "out";
        row.endpoint = status.endpoint.text();
        row.state = state_text(status.state);
        row.reason = status.reason;
        if (status.node) {
            row.peer = mesh_->name_of(*status.node);
            if (const auto peer = peers.find(status.node->text()); peer != peers.end()) {
                row.path = peer->second->path;
                row.cipher = peer->second->cipher;
                row.mtu = peer->second->mtu;
                row.rtt_ms = peer->second->rtt_ms;
            }
        }
        report.connections.push_back(std::move(row));
    }
}

void Router::fill_targets(api::NodeReport& report, TimePoint now) {
    const std::vector<mesh::ConnectionStatus> connections = mesh_->connections(now);
    for (const auto& [text, target] : mesh_->targets().all()) {
        TargetRow row;
        row.target = text;
        row.origin = target.origin;
        row.state = "waiting";
        row.reason = target.reason;
        const mesh::ConnectionStatus* best = nullptr;
        for (const mesh::ConnectionStatus& status : connections) {
            const auto& all = target.endpoints;
            if (std::find(all.begin(), all.end(), status.endpoint) == all.end()) {
                continue;
            }
            row.attempts += status.attempts;
            if (best == nullptr || rank(status.state) < rank(best->state)) {
                best = &status;
            }
        }
        if (best != nullptr) {
            using State = mesh::ConnectionStatus::State;
            row.state = best->state == State::established ? "connected" : state_text(best->state);
            row.peer = best->node ? mesh_->name_of(*best->node) : "";
            row.reason = best->reason.empty() ? target.reason : best->reason;
            row.next_attempt_ms =
                best->next_retry_in ? static_cast<std::uint32_t>(milliseconds(*best->next_retry_in))
                                    : 0;
        }
        report.targets.push_back(std::move(row));
    }
}

void Router::fill_drops(api::NodeReport& report) {
    for (std::size_t i = 0; i < dataplane::kDropCount; ++i) {
        const auto reason = static_cast<dataplane::Drop>(i);
        DropRow row{
            std::string{dataplane::name(reason)}, std::string{dataplane::text(reason)}, 0, {}};
        for (unsigned lane = 0; lane < lanes_->count(); ++lane) {
            row.lanes.push_back(lanes_->counters(lane).dropped(reason));
            row.count += row.lanes.back();
        }
        report.drops.push_back(std::move(row));
    }
    report.drops.push_back({"injection_full",
                            "a lane is behind; a handshake, probe or other message of the control "
                            "thread was dropped",
                            lanes_->injections_lost(),
                            {}});
    const attach::PortDrops at_ports = local_->ports().counters();
    for (std::size_t i = 0; i < attach::kPortDrops; ++i) {
        const auto reason = static_cast<attach::PortDrop>(i);
        report.drops.push_back(
            {attach::name_of(reason), attach::text_of(reason), at_ports[i].packets, {}});
    }
    report.drops.push_back({"learned_full",
                            "a MAC address that was not attached spoke here, and this node "
                            "announces no more of those",
                            local_->learned().refused(),
                            {}});
    report.drops.push_back({"tap_removed",
                            "somebody removed the TAP device; this weaved made it anew",
                            taps_lost_,
                            {}});
    for (const Refusal& refusal : refusals()) {
        std::uint64_t count = 0;
        for (const auto* counted :
             {&mesh_->counted(), &peers_->counted(), &takeover_door_->counted()}) {
            const auto entry = counted->find(refusal.name);
            count += entry == counted->end() ? 0 : entry->second;
        }
        report.drops.push_back({std::string{refusal.name}, std::string{refusal.text}, count, {}});
    }
}

void Router::fill_lanes(api::NodeReport& report, TimePoint now) {
    bool no_trains = false;
    bool no_superframes = false;
    bool superframes_lost = false;
    for (unsigned lane = 0; lane < lanes_->count(); ++lane) {
        const dataplane::LaneCounters& counted = lanes_->counters(lane);
        report.lanes.push_back({lane,
                                counted.tap_reads.value(),
                                counted.tap_writes.value(),
                                counted.records_sealed.value(),
                                counted.records_opened.value(),
                                counted.sends.value(),
                                counted.receives.value(),
                                counted.relayed.value(),
                                counted.gso_fallbacks.value(),
                                counted.tap_gso_fallbacks.value(),
                                counted.neighbours_answered.value(),
                                counted.neighbours_here.value(),
                                counted.congestion_marks.value(),
                                counted.fast_sent.value(),
                                counted.fast_received.value()});
        const auto holds = [now](const dataplane::Counter& until) {
            return now < TimePoint{std::chrono::nanoseconds{until.value()}};
        };
        no_trains = no_trains || holds(counted.no_trains_until);
        no_superframes = no_superframes || holds(counted.no_superframes_until);
        superframes_lost = superframes_lost || holds(counted.superframes_lost_until);
    }
    if (no_trains) {
        report.status.warnings.emplace_back(
            "the kernel refuses trains of datagrams (UDP GSO) to some peer, which are sent one by "
            "one: transmit checksum offload of the interface to it may be off");
    }
    if (no_superframes) {
        report.status.warnings.emplace_back(
            "the kernel refuses superframes on the TAP, which are written one frame at a time: "
            "another kernel version may take them");
    }
    if (superframes_lost) {
        report.status.warnings.emplace_back(
            "superframes for some destination do not arrive behind this host, which gets one frame "
            "at a time: a network card may damage what it has to cut (TSO); weaved "
            "--no-superframes spares it all of them");
    }
}

api::NodeReport Router::report() {
    const TimePoint now = Clock::now();
    api::NodeReport out;
    fill_peers(out, now);
    fill_connections(out, now);
    fill_targets(out, now);
    fill_drops(out);
    for (const attach::Attachment& pod : local_->pods().list()) {
        out.attachments.push_back(row_of(pod));
    }
    fill_status(out, now);
    fill_lanes(out, now);
    return out;
}

} // namespace weave::daemon
