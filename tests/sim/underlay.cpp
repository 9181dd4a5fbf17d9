// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The underlay: datagrams are lost, delayed, doubled, overtaken, and replayed by whoever saw them.
#include "sim/world.hpp"
#include "support/fake_ports.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kCaptured = 128;
/** IPv4 and UDP headers. */
constexpr std::size_t kUdpOverhead = 28;
constexpr std::size_t kMtu = 1500;

} // namespace

PlanePorts World::plane_ports(std::size_t index) {
    PlanePorts ports;
    ports.send = [this, index](const Endpoint& to, Bytes bytes, const Trace& trace) {
        emit(index, to, std::move(bytes), trace);
    };
    ports.relayed = [this, index](const Trace& trace) { check_relayed(index, trace); };
    ports.deliver = [this, index](const NodeId& from, const Frame& frame) {
        check_delivered(index, from, frame);
    };
    ports.on_direct = [this, index](const NodeId& node, bool unreachable) {
        nodes_[index].mesh_input().mark_unreachable(node, unreachable, local_time(index));
        wake(index);
    };
    ports.answered = [this, index](const NodeId& from, ByteView initiation) {
        check_answered(index, from, initiation);
    };
    ports.count = [this](std::string_view name) { ++counted_[name]; };
    ports.random = test::fake_ports({}, random_).random;
    ports.known = [this, index](const NodeId& node) { return known(index, node); };
    ports.node_at = [this](const session::Origin& origin) { return node_at(origin); };
    return ports;
}

std::optional<mesh::NodeInfo> World::known(std::size_t index, const NodeId& node) {
    auto info = nodes_[index].up ? nodes_[index].mesh->node(node) : std::nullopt;
    if (info) {
        info->watched = info->watched && watching_;
    }
    return info;
}

std::optional<NodeId> World::node_at(const session::Origin& origin) const {
    if (origin.kind == session::Origin::Kind::relayed) {
        const auto found = by_relay_.find(origin.source);
        return found == by_relay_.end() ? std::nullopt : std::optional(found->second);
    }
    const auto found = by_endpoint_.find(origin.endpoint);
    return found == by_endpoint_.end() ? std::nullopt : std::optional(nodes_[found->second].id);
}

void World::emit(std::size_t from, const Endpoint& to, Bytes bytes, const Trace& trace) {
    ++datagrams_;
    nodes_[from].carried.add_datagram(bytes.size());
    Trace next = trace;
    if (trace.nodes.empty()) {
        next.calm = stable_ ? calm_ : 0;
    }
    next.nodes.push_back(from);
    if (wire::is_relay(bytes)) {
        next.ttl = wire::relay_ttl(bytes);
        check_hop_limit(from, trace, next);
    }
    if (wire::datagram_type(bytes) == wire::DatagramType::init) {
        initiations_.try_emplace(test::fake_hash(bytes),
                                 InitOrder{from, nodes_[from].epoch, datagrams_});
    }
    const auto target = by_endpoint_.find(to);
    if (target == by_endpoint_.end() || !udp_passes(from, target->second)) {
        return;
    }
    const std::size_t node = target->second;
    const auto narrow = mtus_.find(std::minmax(from, node));
    const std::size_t mtu = narrow == mtus_.end() ? kMtu : narrow->second;
    if (bytes.size() + kUdpOverhead > mtu || chance() < weather_.loss) {
        return;
    }
    capture(node, nodes_[from].endpoint, bytes, next);
    if (chance() < weather_.duplication) {
        carry(from, node, bytes, next);
    }
    carry(from, node, std::move(bytes), std::move(next));
}

void World::carry(std::size_t from, std::size_t to, Bytes bytes, Trace trace) {
    later(latency(),
          [this, from, to, bytes = std::move(bytes), trace = std::move(trace)]() mutable {
              if (udp_passes(from, to)) {
                  arrive(to, nodes_[from].endpoint, std::move(bytes), trace);
              }
          });
}

void World::arrive(std::size_t to, const Endpoint& from, Bytes bytes, const Trace& trace) {
    if (nodes_[to].up) {
        ++steps_;
        nodes_[to].carried.add_datagram(bytes.size());
        nodes_[to].plane->on_datagram(std::move(bytes), from, trace, local_time(to));
        check_plane(to);
        plan_plane(to);
    }
}

/** Keeps some of all that ever passed, old and new alike. */
void World::capture(std::size_t to, const Endpoint& from, const Bytes& bytes, const Trace& trace) {
    if (captured_.size() < kCaptured) {
        captured_.push_back({to, from, bytes, trace});
    } else if (random_() % 64 == 0) {
        captured_[random_() % kCaptured] = {to, from, bytes, trace};
    }
}

void World::replay_datagrams(unsigned count) {
    for (unsigned i = 0; i < count && !captured_.empty(); ++i) {
        const auto again = std::make_shared<Captured>(captured_[random_() % captured_.size()]);
        if (random_() % 4 == 0) {
            again->from = nodes_[random_() % nodes_.size()].endpoint;
        }
        later(latency(),
              [this, again] { arrive(again->to, again->from, again->bytes, again->trace); });
    }
}

void World::use_up_keys() {
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        if (nodes_[index].up) {
            nodes_[index].plane->use_up_keys(local_time(index));
            plan_plane(index);
        }
    }
}

void World::step_plane(std::size_t index) {
    if (nodes_[index].up) {
        ++steps_;
        nodes_[index].plane->tick(local_time(index));
        check_plane(index);
        plan_plane(index);
    }
}

/** A tick of the plane when it is due, and no earlier. */
void World::plan_plane(std::size_t index) {
    Node& node = nodes_[index];
    const TimePoint due = node.plane->next_deadline();
    if (due == TimePoint::max()) {
        call_off(node.plane_wake);
        return;
    }
    const TimePoint at = std::max(due - node.offset, now_ + 1ms);
    if (node.plane_wake == Agenda::kNone) {
        node.plane_wake = agenda_.add(at, [this, index] {
            nodes_[index].plane_wake = Agenda::kNone;
            step_plane(index);
        });
    } else if (at != agenda_.due(node.plane_wake)) {
        agenda_.move(node.plane_wake, at);
    }
}

void World::send_frame(std::size_t from, std::optional<std::size_t> to) {
    const std::uint64_t id = frames_.size();
    frames_.push_back({from, to, {}});
    const auto owner = to ? std::optional(nodes_[*to].id) : std::nullopt;
    nodes_[from].plane->send_frame(owner, {id, !to}, local_time(from));
    check_plane(from);
    plan_plane(from);
}

void World::send_frames(std::size_t from, std::size_t to, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        send_frame(from, to);
    }
}

void World::set_traffic(Duration between) {
    between_frames_ = between;
    traffic(++traffic_round_);
}

void World::traffic(std::uint64_t round) {
    if (round != traffic_round_ || between_frames_ == Duration::zero()) {
        return;
    }
    const std::size_t from = random_() % nodes_.size();
    const std::size_t to = random_() % nodes_.size();
    const bool group = random_() % 8 == 0;
    if (nodes_[from].up && from != to) {
        send_frame(from, group ? std::nullopt : std::optional(to));
    }
    later(between_frames_, [this, round] { traffic(round); });
}

std::string World::exchange_frames() {
    const std::uint64_t first = frames_.size();
    for (std::size_t a = 0; a < nodes_.size(); a += stride_) {
        if (!nodes_[a].up) {
            continue;
        }
        if (watching_ && nodes_.size() <= view_.watch_all) {
            send_frame(a, std::nullopt);
        }
        for (std::size_t b = 0; b < nodes_.size(); b += stride_) {
            if (a != b && nodes_[b].up) {
                send_frame(a, b);
            }
        }
    }
    run_for(2s);
    return undelivered(first);
}

std::string World::undelivered(std::uint64_t from) const {
    for (std::uint64_t id = from; id < frames_.size(); ++id) {
        const Sent& sent = frames_[id];
        const std::size_t end = sent.to ? *sent.to + 1 : nodes_.size();
        for (std::size_t b = sent.to.value_or(0); b < end; ++b) {
            const bool wanted = sent.to || b != sent.from;
            if (wanted && nodes_[b].up && !sent.delivered.contains(b)) {
                return "a frame of " + nodes_[sent.from].name + " did not reach " + nodes_[b].name;
            }
        }
    }
    return {};
}

} // namespace weave::sim
