// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/world.hpp"

#include "crypto/init.hpp"
#include "support/fake_ports.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

/** Three times as long as a dead node is remembered, as the mesh has it. */
constexpr Duration kTombstone = 3 * 5min;
/** How often it is looked whether all nodes agree. */
constexpr Duration kLook = 250ms;

std::uint64_t chosen_seed(std::uint64_t otherwise) {
    const char* text = std::getenv("WEAVE_SIM_SEED");
    const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
    std::printf("WEAVE_SIM_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout); // whatever happens to the run, it can be repeated
    return seed;
}

std::pair<std::size_t, std::size_t> sorted(std::size_t a, std::size_t b) {
    return {std::min(a, b), std::max(a, b)};
}

} // namespace

mesh::ActiveViewSettings watching_all() {
    mesh::ActiveViewSettings out;
    out.watch_all = out.full_mesh;
    return out;
}

World::World(std::uint64_t seed, std::size_t nodes, const mesh::ActiveViewSettings& view)
    : seed_(chosen_seed(seed))
    , random_(seed_)
    , view_(view)
    , nodes_(nodes)
    , stride_(nodes <= kAllLookedAt ? 1 : (nodes + kSample - 1) / kSample)
    , node_limit_(nodes + 20) {
    crypto::init();
    for (std::size_t i = 0; i < nodes; ++i) {
        Node& node = nodes_[i];
        node.key = test::fake_key(random_());
        node.identity = std::make_unique<crypto::Identity>(
            crypto::Identity::from_seed(crypto::Key32(node.key)));
        node.id = test::fake_identify(node.key);
        node.name = "node-" + std::to_string(i);
        const auto high = static_cast<std::uint8_t>(i >> 8);
        const auto low = static_cast<std::uint8_t>(i & 0xff);
        node.endpoint = {IpAddress::v4({10, 0, high, low}), 6783};
        node.offset = std::chrono::seconds(random_() % 1000000);
        by_endpoint_[node.endpoint] = i;
        by_id_[node.id] = i;
        by_relay_[relay_address(node.id)] = node.id;
    }
}

Duration World::latency() {
    const auto span = static_cast<std::uint64_t>((weather_.delay_max - weather_.delay_min).count());
    return weather_.delay_min + Duration(static_cast<Duration::rep>(random_() % (span + 1)));
}

double World::chance() {
    return static_cast<double>(random_() >> 11) / 9007199254740992.0;
}

bool World::tcp_works(std::size_t a, std::size_t b) const {
    return nodes_[a].up && nodes_[b].up && cut_.contains(a) == cut_.contains(b) &&
           !tcp_blocked_.contains(sorted(a, b));
}

bool World::udp_works(std::size_t a, std::size_t b) const {
    return udp_passes(a, b) && udp_passes(b, a);
}

bool World::udp_passes(std::size_t from, std::size_t to) const {
    return nodes_[from].up && nodes_[to].up && cut_.contains(from) == cut_.contains(to) &&
           !udp_blocked_.contains(sorted(from, to)) && !udp_muted_.contains({from, to});
}

mesh::Ports World::mesh_ports(const wire::RecordKey& key) {
    mesh::Ports ports = test::fake_ports(key, random_);
    ports.decode = [this](ByteView raw) { return archive_.decode(raw); };
    ports.verify = [this](const wire::Record& record) { return archive_.verify(record); };
    return ports;
}

void World::start(std::size_t index, bool forgot_epoch) {
    Node& node = nodes_[index];
    stable_ = false;
    node.up = true;
    ++node.life;
    node.instance = static_cast<std::uint32_t>(random_());
    node.epoch = forgot_epoch ? 1 : node.epoch + 1;
    const TimePoint now = local_time(index);
    const auto ports = mesh_ports(node.key);
    mesh::MeshSettings settings;
    settings.limits.nodes = node_limit_;
    settings.watch_all = view_.watch_all;
    node.mesh = std::make_unique<mesh::Mesh>(node.key, node.epoch, ports, now, settings);
    mesh::ConnectorSettings connecting;
    connecting.max_nodes = node_limit_;
    connecting.view = view_;
    node.connector = std::make_unique<mesh::Connector>(node.id, ports.random, connecting);
    node.connector->set_directory(node.mesh->directory());
    node.mesh_due = node.connector_due = TimePoint::min();
    node.accepted.clear();
    node.forgotten.clear();
    node.answered.clear();
    node.checked_routes.reset();
    node.plane_routes.reset();
    const auto lanes = static_cast<std::uint8_t>(1 + index % 3);
    const PlaneSelf self{node.identity.get(), node.id, node.epoch, lanes};
    node.plane = std::make_unique<Plane>(self, plane_ports(index));
    wire::Topology topology;
    topology.name = node.name;
    topology.endpoints = {node.endpoint};
    topology.static_key = node.identity->static_public();
    topology.lanes = lanes;
    topology.software = "sim";
    node.mesh_input().set_own_topology(topology, now);
    for (const Endpoint& target : node.targets) {
        node.connector_input().add_target(target, now);
    }
    wake(index);
}

void World::stop(std::size_t index, bool goodbye) {
    Node& node = nodes_[index];
    stable_ = false;
    for (const LinkId link : node.ends) {
        const auto& [connection, side] = ends_.at(link);
        if (goodbye && connection->ends[side].open) {
            tell_other_end(connection, side, mesh::Failure::unreachable, "the peer stopped");
        }
    }
    node.up = false;
    call_off(node.wake);
    call_off(node.plane_wake);
    node.connector.reset();
    node.mesh.reset();
    node.plane.reset();
    watch_links(index);
}

void World::copy_identity(std::size_t index, std::size_t of) {
    Node& node = nodes_[index];
    by_id_.erase(node.id);
    node.key = nodes_[of].key;
    node.id = nodes_[of].id;
    node.identity =
        std::make_unique<crypto::Identity>(crypto::Identity::from_seed(crypto::Key32(node.key)));
    copied_.insert(node.id);
}

void World::set_weather(const Weather& weather) {
    weather_ = weather;
}

void World::add_target(std::size_t index, std::size_t other) {
    Node& node = nodes_[index];
    node.targets.push_back(nodes_[other].endpoint);
    if (node.up) {
        node.connector_input().add_target(nodes_[other].endpoint, local_time(index));
        wake(index);
    }
}

void World::cut(const std::set<std::size_t>& side) {
    cut_ = side;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        watch_links(index);
    }
}

void World::heal() {
    cut_.clear();
    stable_ = false;
}

void World::block_udp(std::size_t a, std::size_t b, bool blocked) {
    if (blocked) {
        udp_blocked_.insert(sorted(a, b));
    } else {
        udp_blocked_.erase(sorted(a, b));
    }
}

void World::mute_udp(std::size_t from, std::size_t to, bool muted) {
    if (muted) {
        udp_muted_.insert({from, to});
    } else {
        udp_muted_.erase({from, to});
    }
}

void World::set_mtu(std::size_t a, std::size_t b, std::size_t mtu) {
    mtus_[sorted(a, b)] = mtu;
}

void World::block_tcp(std::size_t a, std::size_t b) {
    tcp_blocked_.insert(sorted(a, b));
    watch_links(a);
}

void World::step_clock(std::size_t index, Duration by) {
    nodes_[index].offset += by;
    wake(index);
    later(Duration::zero(), [this, index] { step_plane(index); });
}

void World::change_addresses(std::size_t index, Bytes tlvs) {
    nodes_[index].mesh_input().set_own(wire::kAddressesKind, std::move(tlvs), local_time(index));
    wake(index);
}

void World::inject(std::size_t to, const Bytes& message) {
    const auto links = nodes_[to].mesh->links();
    if (!links.empty()) {
        nodes_[to].mesh_input().on_message(links.front().first, message, local_time(to));
        step(to);
    }
}

void World::replay(std::size_t to, const wire::RecordPtr& record) {
    wire::RecordBatch batch;
    batch.add(*record);
    inject(to, batch.take());
}

void World::flood(std::size_t to, unsigned phantoms) {
    constexpr std::uint16_t kNobodysKind = 77;
    for (unsigned i = 0; i < phantoms; ++i) {
        const auto key = test::fake_key(random_());
        const auto sign = [&](ByteView message) { return test::fake_sign(key, message); };
        const auto record =
            wire::sign_record(test::fake_identify(key), key, {1, 1}, kNobodysKind, {}, sign);
        replay(to, std::make_shared<wire::Record>(*record));
    }
}

void World::block_links(std::size_t node) {
    for (const auto& [link, peer] : nodes_[node].mesh->links()) {
        nodes_[node].mesh_input().set_link_blocked(link, true);
    }
    wake(node);
}

void World::run_for(Duration span) {
    const TimePoint end = now_ + span;
    while (!stopped_ && agenda_.next() <= end) {
        now_ = agenda_.next();
        if (now_ >= next_look_) {
            next_look_ = now_ + kLook;
            look();
        }
        agenda_.run_next();
    }
    now_ = end;
}

bool World::run_until_converged(Duration span) {
    const TimePoint end = now_ + span;
    while (now_ < end && !stopped_) {
        run_for(kLook);
        if (converged()) {
            check_paths(true);
            return true;
        }
    }
    return false;
}

/** A step soon, one for all that happens to the node meanwhile. */
void World::wake(std::size_t index) {
    plan(index, now_ + 3ms);
}

void World::plan(std::size_t index, TimePoint at) {
    Node& node = nodes_[index];
    if (node.wake == Agenda::kNone) {
        node.wake = agenda_.add(at, [this, index] {
            nodes_[index].wake = Agenda::kNone;
            step(index);
        });
    } else if (at < agenda_.due(node.wake)) {
        agenda_.move(node.wake, at);
    }
}

void World::call_off(Agenda::Handle& wake) {
    if (wake != Agenda::kNone) {
        agenda_.cancel(std::exchange(wake, Agenda::kNone));
    }
}

void World::step(std::size_t index) {
    Node& node = nodes_[index];
    if (!node.up) {
        return;
    }
    ++steps_;
    call_off(node.wake); // what was to be done then is done now
    const TimePoint now = local_time(index);
    tick_machines(node, now);
    check_mesh(index);
    for (bool busy = true; busy;) {
        busy = false;
        for (auto& action : node.mesh->take_actions()) {
            carry_out(index, action);
            busy = true;
        }
        for (const auto& action : node.connector->take_actions()) {
            carry_out(index, action);
            busy = true;
        }
    }
    if (const auto routes = node.mesh->routes(); routes != node.plane_routes) {
        node.plane_routes = routes;
        node.plane->set_routes(routes, now);
        plan_plane(index);
    }
    check_plane(index);
    check_routes(index);
    const TimePoint due = next_tick(node);
    if (due != TimePoint::max()) {
        plan(index, std::max(due - node.offset, now_ + 1ms));
    }
}

void World::tick_machines(Node& node, TimePoint now) {
    if (std::exchange(node.connector_stirred, false) || node.connector_due <= now) {
        node.connector->tick(now);
        node.connector_due = TimePoint::min();
        node.mesh_input().set_partial(node.connector->partial(), now);
        node.mesh_input().set_neighbours(node.connector->neighbours(), now);
    }
    if (std::exchange(node.mesh_stirred, false) || node.mesh_due <= now) {
        node.mesh->tick(now);
        node.mesh_due = TimePoint::min();
    }
}

TimePoint World::next_tick(Node& node) {
    if (node.connector_stirred || node.connector_due == TimePoint::min()) {
        node.connector_due = node.connector->next_deadline();
    }
    if (node.mesh_stirred || node.mesh_due == TimePoint::min()) {
        node.mesh_due = node.mesh->next_deadline();
    }
    return std::min(node.connector_due, node.mesh_due);
}

void World::carry_out(std::size_t index, mesh::MeshAction& action) {
    Node& node = nodes_[index];
    if (auto* send = std::get_if<mesh::Send>(&action)) {
        transmit(index, std::move(*send));
    } else if (const auto* changed = std::get_if<mesh::RecordChanged>(&action)) {
        check_accepted(index, *changed->record);
        node.view_changed = true;
        stable_ = stable_ && changed->record->kind != wire::kTopologyKind;
    } else if (const auto* told = std::get_if<mesh::NodeChanged>(&action)) {
        const auto info = known(index, told->node);
        if (info && !info->self) {
            node.connector_input().on_discovered(info->id, info->endpoints, local_time(index));
            node.connector_input().on_names_us(info->id, info->names_us);
            node.plane->on_node(*info, local_time(index));
            plan_plane(index);
        }
    } else if (const auto* gone = std::get_if<mesh::NodeGone>(&action)) {
        node.connector_input().on_gone(gone->node);
        node.plane->on_gone(gone->node, local_time(index));
        if (looked_at(index)) {
            node.forgotten[gone->node] = local_time(index) + kTombstone;
        }
        node.view_changed = true;
        stable_ = false;
        ++counted_["node_gone"];
    } else if (const auto* raised = std::get_if<mesh::EpochRaised>(&action)) {
        node.epoch = raised->epoch;
        node.plane->set_boot_epoch(raised->epoch);
        ++counted_["epoch_raised"];
    } else if (std::get_if<mesh::NameCollision>(&action) != nullptr) {
        ++counted_["name_collision"];
    } else if (const auto* counted = std::get_if<mesh::Counted>(&action)) {
        ++counted_[counted->name];
    }
}

void World::carry_out(std::size_t index, const mesh::ConnectorAction& action) {
    if (const auto* wanted = std::get_if<mesh::Dial>(&action)) {
        dial(index, *wanted);
    } else if (const auto* twice = std::get_if<mesh::IdentityTwice>(&action)) {
        check_identity(index, twice->node);
    } else if (const auto* close = std::get_if<mesh::Close>(&action)) {
        const auto found = ends_.find(close->link);
        if (found != ends_.end()) {
            const auto [connection, side] = found->second;
            const bool crowded = close->code == wire::NoticeCode::crowded;
            const auto failure = crowded ? mesh::Failure::crowded : mesh::Failure::duplicate;
            connection->ends[side].duplicate = !crowded;
            check_survivors(index, connection->ends[1 - side].node);
            tell_other_end(connection, side, failure, close->reason);
            close_end(connection, side, failure, close->reason);
        }
    }
}

std::uint64_t World::counted(const std::string& name) const {
    const auto found = counted_.find(name);
    return found == counted_.end() ? 0 : found->second;
}

} // namespace weave::sim
