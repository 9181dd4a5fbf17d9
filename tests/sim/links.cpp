// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Control links: each dial becomes two ends that open and close in the order of a TCP connection.
#include "sim/world.hpp"
#include "wire/control.hpp"

#include <algorithm>

namespace weave::sim {

using namespace std::chrono_literals;

void World::dial(std::size_t from, const mesh::Dial& wanted) {
    const std::uint64_t life = nodes_[from].life;
    const auto target = by_endpoint_.find(wanted.endpoint);
    const bool refused = target == by_endpoint_.end() || !nodes_[target->second].up;
    const bool copy =
        !refused && target->second != from && nodes_[target->second].id == nodes_[from].id;
    if (refused || copy || (target->second != from && !tcp_works(from, target->second))) {
        const Duration delay = refused || copy ? latency() : Duration(3s);
        const auto failure = copy ? mesh::Failure::refused : mesh::Failure::unreachable;
        later(delay, [this, from, life, failure, dial = wanted.dial] {
            if (nodes_[from].up && nodes_[from].life == life) {
                nodes_[from].connector->on_failed(dial, failure, "no answer", local_time(from));
                step(from);
            }
        });
        return;
    }
    auto connection = std::make_shared<Connection>();
    connection->dial = wanted.dial;
    const std::size_t nodes[2] = {from, target->second};
    for (std::size_t side = 0; side < 2; ++side) {
        connection->nonces[side] =
            std::uint64_t{nodes_[nodes[side]].instance} << 32 | random_() >> 32;
        connection->epochs[side] = nodes_[nodes[side]].epoch;
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
    connected.remote_instance = wire::instance_of(connected.remote_nonce);
    connected.boot_epoch = connection->epochs[1 - side];
    connected.own_boot_epoch = connection->epochs[side];
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
    nodes_[from].carried.add_message(send.message.size());
    if (chance() < weather_.loss) {
        return;
    }
    const unsigned copies = chance() < weather_.duplication ? 2 : 1;
    for (unsigned i = 0; i < copies; ++i) {
        // What comes before the other end has learned that it is connected waits for that.
        const Duration delay = std::max(latency(), connection->opens[1 - side] - now_);
        later(delay, [this, from, connection = connection, side = side, bytes = send.message] {
            const End& to = connection->ends[1 - side];
            if (to.open && alive(to) && tcp_works(from, to.node)) {
                nodes_[to.node].carried.add_message(bytes.size());
                nodes_[to.node].mesh->on_message(to.link, bytes, local_time(to.node));
                wake(to.node);
            }
        });
    }
}

} // namespace weave::sim
