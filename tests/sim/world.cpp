// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/world.hpp"

#include "support/fake_ports.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

std::uint64_t chosen_seed(std::uint64_t otherwise) {
    const char* text = std::getenv("WEAVE_SIM_SEED");
    const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
    std::printf("WEAVE_SIM_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

std::pair<std::size_t, std::size_t> sorted(std::size_t a, std::size_t b) {
    return {std::min(a, b), std::max(a, b)};
}

} // namespace

World::World(std::uint64_t seed, std::size_t nodes)
    : random_(chosen_seed(seed))
    , nodes_(nodes)
    , node_limit_(nodes + 20) {
    for (std::size_t i = 0; i < nodes; ++i) {
        Node& node = nodes_[i];
        node.key = test::fake_key(random_());
        node.id = test::fake_identify(node.key);
        node.name = "node-" + std::to_string(i);
        const auto high = static_cast<std::uint8_t>(i >> 8);
        const auto low = static_cast<std::uint8_t>(i & 0xff);
        node.endpoint = {IpAddress::v4({10, 0, high, low}), 6783};
        node.offset = std::chrono::seconds(random_() % 1000000);
        by_endpoint_[node.endpoint] = i;
        by_id_[node.id] = i;
    }
}

void World::later(Duration delay, std::function<void()> run) {
    events_.push({now_ + delay, order_++, std::move(run)});
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
    return nodes_[a].up && nodes_[b].up && cut_.contains(a) == cut_.contains(b) &&
           !udp_blocked_.contains(sorted(a, b));
}

void World::start(std::size_t index, bool forgot_epoch) {
    Node& node = nodes_[index];
    node.up = true;
    ++node.life;
    node.epoch = forgot_epoch ? 1 : node.epoch + 1;
    const TimePoint now = local_time(index);
    const auto ports = test::fake_ports(node.key, random_);
    mesh::MeshSettings settings;
    settings.limits.nodes = node_limit_;
    node.mesh = std::make_unique<mesh::Mesh>(node.key, node.epoch, ports, now, settings);
    node.connector = std::make_unique<mesh::Connector>(node.id, ports.random);
    node.accepted.clear();
    node.checked_routes.reset();
    wire::Topology topology;
    topology.name = node.name;
    topology.endpoints = {node.endpoint};
    topology.software = "sim";
    node.mesh->set_own_topology(topology, now);
    for (const Endpoint& target : node.targets) {
        node.connector->add_target(target, now);
    }
    later(Duration::zero(), [this, index, life = node.life] { probe(index, life); });
}

void World::stop(std::size_t index, bool goodbye) {
    Node& node = nodes_[index];
    for (const auto& [link, end] : ends_) {
        const auto& [connection, side] = end;
        if (goodbye && connection->ends[side].node == index && connection->ends[side].open) {
            tell_other_end(connection, side, mesh::Failure::unreachable, "the peer stopped");
        }
    }
    node.up = false;
    node.mesh.reset();
    node.connector.reset();
    watch_links();
}

void World::add_target(std::size_t index, std::size_t other) {
    Node& node = nodes_[index];
    node.targets.push_back(nodes_[other].endpoint);
    if (node.up) {
        node.connector->add_target(nodes_[other].endpoint, local_time(index));
        wake(index);
    }
}

void World::cut(const std::set<std::size_t>& side) {
    cut_ = side;
    watch_links();
}

void World::heal() {
    cut_.clear();
}

void World::block_udp(std::size_t a, std::size_t b, bool blocked) {
    if (blocked) {
        udp_blocked_.insert(sorted(a, b));
    } else {
        udp_blocked_.erase(sorted(a, b));
    }
}

void World::block_tcp(std::size_t a, std::size_t b) {
    tcp_blocked_.insert(sorted(a, b));
    watch_links();
}

void World::step_clock(std::size_t index, Duration by) {
    nodes_[index].offset += by;
    wake(index);
}

void World::change_addresses(std::size_t index, Bytes tlvs) {
    nodes_[index].mesh->set_own(wire::kAddressesKind, std::move(tlvs), local_time(index));
    wake(index);
}

void World::inject(std::size_t to, const Bytes& message) {
    const auto links = nodes_[to].mesh->links();
    if (!links.empty()) {
        nodes_[to].mesh->on_message(links.front().first, message, local_time(to));
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
        nodes_[node].mesh->set_link_blocked(link, true);
    }
}

void World::run_for(Duration span) {
    const TimePoint end = now_ + span;
    while (!stopped_ && !events_.empty() && events_.top().at <= end) {
        const Event event = events_.top();
        events_.pop();
        now_ = event.at;
        event.run();
    }
    now_ = end;
}

bool World::run_until_converged(Duration span) {
    const TimePoint end = now_ + span;
    while (now_ < end && !stopped_) {
        run_for(250ms);
        if (converged()) {
            return true;
        }
    }
    return false;
}

void World::dial(std::size_t from, const mesh::Dial& wanted) {
    const std::uint64_t life = nodes_[from].life;
    const auto target = by_endpoint_.find(wanted.endpoint);
    const bool refused = target == by_endpoint_.end() || !nodes_[target->second].up;
    if (refused || (target->second != from && !tcp_works(from, target->second))) {
        const Duration delay = refused ? latency() : Duration(3s);
        later(delay, [this, from, life, dial = wanted.dial] {
            if (nodes_[from].up && nodes_[from].life == life) {
                nodes_[from].connector->on_failed(
                    dial, mesh::Failure::unreachable, "no answer", local_time(from));
                step(from);
            }
        });
        return;
    }
    auto connection = std::make_shared<Connection>();
    connection->dial = wanted.dial;
    const std::size_t nodes[2] = {from, target->second};
    for (std::size_t side = 0; side < 2; ++side) {
        connection->nonces[side] = random_();
        connection->ends[side] = {
            nodes[side], nodes_[nodes[side]].life, next_link_++, false, false};
        ends_[connection->ends[side].link] = {connection, side};
    }
    const Duration there = latency();
    const Duration back = there + latency();
    connection->opens[1] = now_ + there;
    connection->opens[0] = now_ + back;
    later(there, [this, connection] { open_end(connection, 1); });
    later(back, [this, connection] { open_end(connection, 0); });
}

void World::open_end(const std::shared_ptr<Connection>& connection, std::size_t side) {
    End& end = connection->ends[side];
    const End& other = connection->ends[1 - side];
    if (!alive(end) || end.closed) {
        tell_other_end(connection, side, mesh::Failure::unreachable, "connection reset");
        return;
    }
    if (!alive(other)) {
        if (side == 0) {
            nodes_[end.node].connector->on_failed(connection->dial,
                                                  mesh::Failure::unreachable,
                                                  "closed while connecting",
                                                  local_time(end.node));
            step(end.node);
        }
        return;
    }
    end.open = true;
    Node& node = nodes_[end.node];
    mesh::Connected connected;
    connected.link = end.link;
    if (side == 0) {
        connected.dial = connection->dial;
    }
    connected.node = nodes_[other.node].id;
    connected.remote = nodes_[other.node].endpoint;
    connected.local_nonce = connection->nonces[side];
    connected.remote_nonce = connection->nonces[1 - side];
    connected.boot_epoch = nodes_[other.node].epoch;
    node.connector->on_connected(connected, local_time(end.node));
    if (end.node != other.node) {
        node.mesh->on_link_up(end.link, connected.node, local_time(end.node));
    }
    step(end.node);
    watch_links();
}

void World::close_end(const std::shared_ptr<Connection>& connection,
                      std::size_t side,
                      mesh::Failure failure,
                      const std::string& reason) {
    End& end = connection->ends[side];
    if (end.closed) {
        return;
    }
    const bool was_open = end.open;
    end.closed = true;
    end.open = false;
    ends_.erase(end.link);
    if (was_open && alive(end)) {
        Node& node = nodes_[end.node];
        node.mesh->on_link_down(end.link);
        node.connector->on_closed(end.link, failure, reason, local_time(end.node));
        wake(end.node);
    }
}

void World::tell_other_end(const std::shared_ptr<Connection>& connection,
                           std::size_t side,
                           mesh::Failure failure,
                           const std::string& reason) {
    const Duration delay = std::max(latency(), connection->opens[1 - side] - now_);
    later(delay, [this, connection, side, failure, reason] {
        const std::size_t a = connection->ends[side].node;
        const std::size_t b = connection->ends[1 - side].node;
        if (cut_.contains(a) == cut_.contains(b)) {
            close_end(connection, 1 - side, failure, reason);
        }
    });
}

/** Ends whose other end is gone or behind a cut notice by heartbeat: 5 to 10 s later, if it lasts.
 */
void World::watch_links() {
    for (const auto& [link, held] : ends_) {
        const auto& [connection, side] = held;
        if (tcp_works(connection->ends[0].node, connection->ends[1].node) &&
            alive(connection->ends[0]) && alive(connection->ends[1])) {
            continue;
        }
        const Duration patience = 5s + Duration(1ms) * static_cast<int>(random_() % 5000);
        later(patience, [this, connection = connection, side = side] {
            const bool works = tcp_works(connection->ends[0].node, connection->ends[1].node) &&
                               alive(connection->ends[0]) && alive(connection->ends[1]) &&
                               !connection->ends[1 - side].closed;
            if (!works) {
                close_end(connection, side, mesh::Failure::unreachable, "nothing heard in time");
            }
        });
    }
}

void World::transmit(std::size_t from, const mesh::Send& send) {
    const auto found = ends_.find(send.link);
    if (found == ends_.end()) {
        return;
    }
    const auto& [connection, side] = found->second;
    ++messages_;
    message_bytes_ += send.message.size();
    if (chance() < weather_.loss) {
        return;
    }
    const unsigned copies = chance() < weather_.duplication ? 2 : 1;
    for (unsigned i = 0; i < copies; ++i) {
        later(latency(), [this, from, connection = connection, side = side, bytes = send.message] {
            const End& to = connection->ends[1 - side];
            if (to.open && alive(to) && tcp_works(from, to.node)) {
                nodes_[to.node].mesh->on_message(to.link, bytes, local_time(to.node));
                step(to.node);
            }
        });
    }
}

void World::wake(std::size_t index) {
    later(Duration::zero(), [this, index] { step(index); });
}

void World::step(std::size_t index) {
    Node& node = nodes_[index];
    if (!node.up) {
        return;
    }
    ++steps_;
    const TimePoint now = local_time(index);
    node.connector->tick(now);
    node.mesh->tick(now);
    for (bool busy = true; busy;) {
        busy = false;
        for (const auto& action : node.mesh->take_actions()) {
            carry_out(index, action);
            busy = true;
        }
        for (const auto& action : node.connector->take_actions()) {
            carry_out(index, action);
            busy = true;
        }
    }
    check_step(index);
    const TimePoint due = std::min(node.mesh->next_deadline(), node.connector->next_deadline());
    if (due == TimePoint::max()) {
        return;
    }
    const TimePoint at = std::max(due - node.offset, now_ + 1ms);
    if (at < node.wake || node.wake <= now_) {
        node.wake = at;
        later(at - now_, [this, index] { step(index); });
    }
}

void World::carry_out(std::size_t index, const mesh::MeshAction& action) {
    Node& node = nodes_[index];
    if (const auto* send = std::get_if<mesh::Send>(&action)) {
        transmit(index, *send);
    } else if (const auto* changed = std::get_if<mesh::RecordChanged>(&action)) {
        check_accepted(index, *changed->record);
    } else if (const auto* told = std::get_if<mesh::NodeChanged>(&action)) {
        const auto info = node.mesh->node(told->node);
        if (info && !info->self) {
            node.connector->on_discovered(info->id, info->endpoints, local_time(index));
        }
    } else if (const auto* gone = std::get_if<mesh::NodeGone>(&action)) {
        node.connector->on_gone(gone->node);
        ++counted_["node_gone"];
    } else if (const auto* raised = std::get_if<mesh::EpochRaised>(&action)) {
        node.epoch = raised->epoch;
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
    } else if (const auto* close = std::get_if<mesh::Close>(&action)) {
        const auto found = ends_.find(close->link);
        if (found != ends_.end()) {
            const auto [connection, side] = found->second;
            connection->ends[side].duplicate = true;
            check_survivors(index, connection->ends[1 - side].node);
            tell_other_end(connection, side, mesh::Failure::duplicate, close->reason);
            close_end(connection, side, mesh::Failure::duplicate, close->reason);
        }
    }
}

/** What the path monitor of a node would find out: every second, whom UDP reaches. */
void World::probe(std::size_t index, std::uint64_t life) {
    Node& node = nodes_[index];
    if (!node.up || node.life != life) {
        return;
    }
    for (const mesh::NodeInfo& info : node.mesh->nodes()) {
        if (!info.self) {
            const bool works = udp_works(index, by_id_.at(info.id));
            node.mesh->mark_unreachable(info.id, !works, local_time(index));
        }
    }
    step(index);
    later(1s, [this, index, life] { probe(index, life); });
}

std::uint64_t World::counted(const std::string& name) const {
    const auto found = counted_.find(name);
    return found == counted_.end() ? 0 : found->second;
}

} // namespace weave::sim
