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
                nodes_[from].connector_input().on_failed(
                    dial, failure, "no answer", local_time(from));
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
        nodes_[nodes[side]].ends.insert(connection->ends[side].link);
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
            nodes_[end.node].connector_input().on_failed(connection->dial,
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
    node.connector_input().on_connected(connected, local_time(end.node));
    if (end.node != other.node) {
        node.mesh_input().on_link_up(end.link, connected.node, local_time(end.node));
    }
    step(end.node);
    watch_link(connection);
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
    nodes_[end.node].ends.erase(end.link);
    if (was_open && alive(end)) {
        Node& node = nodes_[end.node];
        node.mesh_input().on_link_down(end.link);
        node.connector_input().on_closed(end.link, failure, reason, local_time(end.node));
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
 * To be called where a link may have become one of them. */
void World::watch_link(const std::shared_ptr<Connection>& connection) {
    if (link_works(*connection)) {
        return;
    }
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
        if (connection->ends[side].closed) {
            continue;
        }
        const Duration patience = 5s + Duration(1ms) * static_cast<int>(random_() % 5000);
        later(patience, [this, connection, side] {
            if (!link_works(*connection) || connection->ends[1 - side].closed) {
                close_end(connection, side, mesh::Failure::unreachable, "nothing heard in time");
            }
        });
    }
}

bool World::link_works(const Connection& connection) const {
    const End& one = connection.ends[0];
    const End& other = connection.ends[1];
    return tcp_works(one.node, other.node) && alive(one) && alive(other);
}

void World::watch_links(std::size_t node) {
    for (const LinkId link : nodes_[node].ends) {
        watch_link(ends_.at(link).first);
    }
}

void World::transmit(std::size_t from, mesh::Send send) {
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
    if (chance() < weather_.duplication) {
        carry_message(connection, side, send.message);
    }
    carry_message(connection, side, std::move(send.message));
}

void World::carry_message(const std::shared_ptr<Connection>& connection,
                          std::size_t side,
                          Bytes bytes) {
    // What comes before the other end has learned that it is connected waits for that.
    const Duration delay = std::max(latency(), connection->opens[1 - side] - now_);
    later(delay, [this, connection, side, bytes = std::move(bytes)] {
        const End& to = connection->ends[1 - side];
        if (to.open && alive(to) && tcp_works(connection->ends[side].node, to.node)) {
            nodes_[to.node].carried.add_message(bytes.size());
            nodes_[to.node].mesh_input().on_message(to.link, bytes, local_time(to.node));
            wake(to.node);
        }
    });
}

} // namespace weave::sim
