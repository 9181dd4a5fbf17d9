// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The flows: facts from the mesh go up to their owners, and come down to the lanes as a snapshot.
#include "attach/host.hpp"
#include "daemon/router.hpp"
#include "dataplane/icmp.hpp"
#include "dataplane/neighbour.hpp"

#include <utility>

namespace weave::daemon {
namespace {

constexpr auto kNewcomer = std::chrono::seconds(10);
constexpr auto kTick = std::chrono::milliseconds(50);

} // namespace

/** A record outlives its node for a while: only a namesake that answers has the name. Who has run
 * for longer than a newcomer had it first. */
void Router::check_name(TimePoint now) {
    if (!options_.strict_names || !namesake_ || now - started_ > kNewcomer ||
        !peers_->reaches(*namesake_)) {
        return;
    }
    failure_ = fmt::format("the name '{}' is that of node {}, which is alive: start this one with "
                           "another --name",
                           name_,
                           namesake_->fingerprint());
    io_.stop();
}

void Router::schedule_tick() {
    tick_.expires_after(kTick);
    tick_.async_wait([this](boost::system::error_code error) {
        if (error) {
            return;
        }
        const TimePoint now = Clock::now();
        peers_->tick(now);
        mesh_->tick(now);
        allocations_->tick();
        tick_fast_path(now);
        check_name(now);
        pod_requests_->tick(now);
        local_->tick(now);
        notice_programs(now);
        lanes_->cell().reclaim();
        remembered_.review(mesh_->mesh().store(), now);
        descriptor_holder_.hold(lanes_->descriptors());
        schedule_tick();
    });
}

void Router::publish_topology() {
    wire::Topology topology;
    topology.name = name_;
    topology.endpoints = underlay_->endpoints();
    topology.static_key = state_.identity().static_public();
    topology.flags = local_->has_bridge_pods() ? wire::Topology::kBridgePods : 0;
    topology.lanes = static_cast<std::uint8_t>(lanes_->count());
    topology.grace = options_.grace;
    topology.software = WEAVE_VERSION;
    mesh_->set_own_topology(topology);
}

void Router::on_record(const wire::RecordPtr& record) {
    if (record->node == state_.identity().id()) {
        return;
    }
    allocations_->on_record(*record);
    if (record->kind != wire::kAddressesKind) {
        return;
    }
    if (const auto addresses = wire::decode_addresses(record->tlvs())) {
        owners_.set(record->node, peers_->index_of(record->node), *addresses);
        publish_soon();
    }
}

void Router::on_node_gone(const NodeId& node) {
    owners_.forget(node);
    allocations_->on_reachable(node, false);
    peers_->on_node_gone(node);
    publish_soon();
}

/** Changes come in bursts, a node's records above all: one snapshot carries all of a turn. */
void Router::publish_soon() {
    if (!std::exchange(publishing_, true)) {
        boost::asio::post(io_, [this] {
            publishing_ = false;
            publish_snapshot();
        });
    }
}

void Router::publish_snapshot() {
    dataplane::Snapshot next{peers_->table(), owners_.table(), snapshot_.settings};
    if (next.peers != snapshot_.peers || next.addresses != snapshot_.addresses) {
        snapshot_ = std::move(next);
        lanes_->cell().publish(snapshot_);
    }
    peers_->on_published();
    announce_moves();
}

/** Pods here send to where an address was until they hear of it: the mesh's record may be all that
 * tells them, as an address that is added to an interface is announced by nobody. */
void Router::announce_moves() {
    for (const AddressMove& move : owners_.take_moves()) {
        lanes_->inject(0, [&](dataplane::Injection& out) {
            out.kind = dataplane::Injection::Kind::tap_frame;
            out.assign(dataplane::NeighbourFrame::announcement(move.address, move.mac).view());
        });
    }
}

void Router::answer_too_big(const dataplane::Punt& punt) {
    const auto answer = dataplane::too_big_answer(
        punt.view(), punt.mtu, attach::answer_mac(state_.identity().id()));
    if (punt.is_tx && answer) {
        lanes_->inject(0, [&](dataplane::Injection& out) {
            out.kind = dataplane::Injection::Kind::tap_frame;
            out.assign(*answer);
        });
    }
}

} // namespace weave::daemon
