// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
//
// Many nodes in one process, which speak the real protocols with one router: what it costs a router
// to know a large mesh. Each node has an identity, signed records, a TCP link, a data session and a
// watched path of its own. Only what the nodes would say to each other is left out.
#include "bench/tools/crowd_node.hpp"
#include "crypto/init.hpp"
#include "daemon/cluster_file.hpp"
#include "mesh/mesh.hpp"
#include "net/control_links.hpp"

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/core.h>

#include <cstdio>
#include <exception>
#include <set>

namespace {

using namespace weave;
using namespace weave::bench;

constexpr auto kTick = std::chrono::milliseconds(50);

struct Arguments {
    std::string cluster_file;
    std::string address;
    std::string router;
    std::uint16_t first_port = 20'000;
    unsigned nodes = 1000;
};

/**
 * The nodes and what they say on their links. They share one gossip machine, as they all know the
 * same; the router sees that many links, each with another node.
 */
class Crowd {
  public:
    Crowd(boost::asio::io_context& io, CrowdSettings settings, unsigned count)
        : settings_(std::move(settings))
        , tick_(io) {
        for (unsigned i = 0; i < count; ++i) {
            nodes_.push_back(std::make_unique<CrowdNode>(io, settings_, i));
            ours_.insert(nodes_.back()->identity().id());
        }
        make_mesh();
        for (const auto& node : nodes_) {
            listen(io, *node);
        }
        schedule();
    }

  private:
    struct Link {
        net::ControlLinks* owner;
        net::LinkId id;
    };

    void make_mesh() {
        const crypto::Identity& first = nodes_.front()->identity();
        mesh::Ports ports;
        ports.sign = [&first](ByteView message) { return first.sign(message); };
        ports.verify = [](const wire::Record& record) {
            return wire::verify_record(record, crypto::verify);
        };
        ports.decode = [](ByteView raw) { return wire::decode_shared(raw, crypto::node_id); };
        ports.identify = crypto::node_id;
        ports.random = [](ByteSpan out) { crypto::random_bytes(out); };
        const TimePoint now = Clock::now();
        mesh_.emplace(first.sign_public(), kCrowdEpoch, std::move(ports), now);
        std::vector<wire::RecordPtr> records;
        for (const auto& node : nodes_) {
            for (wire::RecordPtr& record : node->records()) {
                records.push_back(std::move(record));
            }
        }
        mesh_->take_over(records.size(), records, now);
        run_mesh(now);
    }

    session::ControlLocal local(const CrowdNode& node, std::uint64_t nonce) const {
        session::ControlLocal out;
        out.identity = &node.identity();
        out.cluster_id = settings_.cluster;
        out.secrets = settings_.secrets;
        out.name = "crowd";
        out.boot_epoch = kCrowdEpoch;
        out.nonce = nonce;
        out.udp_port = node.endpoint().port;
        return out;
    }

    void listen(boost::asio::io_context& io, CrowdNode& node) {
        const std::size_t place = links_.size();
        net::LinkEvents events;
        events.on_up = [this, place](const net::LinkUp& up) { on_up(place, up); };
        events.on_message = [this, place](net::LinkId link, ByteView message) {
            on_message({place, link}, message);
        };
        events.on_down = [this, place](net::LinkId link, const std::string&) {
            on_down({place, link});
        };
        events.on_pressure = [this, place](net::LinkId link, bool pressed) {
            if (const auto known = known_.find({place, link}); known != known_.end()) {
                mesh_->set_link_blocked(known->second, pressed);
            }
        };
        events.on_failed = [](auto&&...) {};
        events.on_refused = [](const Endpoint& from, auto&&, const std::string& reason) {
            fmt::print(stderr, "crowd: refused {}: {}\n", from.text(), reason);
        };
        links_.push_back(std::make_unique<net::ControlLinks>(
            io,
            net::LinkSettings{},
            [this, &node](std::uint64_t nonce) { return local(node, nonce); },
            std::move(events)));
        links_.back()->listen(node.endpoint());
    }

    void on_up(std::size_t place, const net::LinkUp& up) {
        const TimePoint now = Clock::now();
        const mesh::LinkId id = ++last_link_;
        known_[{place, up.link}] = id;
        open_[id] = {links_[place].get(), up.link};
        mesh_->on_link_up(id, up.peer.id, now);
        run_mesh(now);
    }

    void on_message(std::pair<std::size_t, net::LinkId> link, ByteView message) {
        const auto known = known_.find(link);
        if (known == known_.end()) {
            return;
        }
        const auto kind = wire::link_message_kind(message);
        if (kind == wire::LinkMessageKind::close) {
            links_[link.first]->close(link.second);
            on_down(link);
        } else if (kind != wire::LinkMessageKind::notice) {
            const TimePoint now = Clock::now();
            mesh_->on_message(known->second, message, now);
            run_mesh(now);
        }
    }

    void on_down(std::pair<std::size_t, net::LinkId> link) {
        if (const auto known = known_.find(link); known != known_.end()) {
            mesh_->on_link_down(known->second);
            open_.erase(known->second);
            known_.erase(known);
        }
    }

    void run_mesh(TimePoint now) {
        mesh_->tick(now);
        for (const mesh::MeshAction& action : mesh_->take_actions()) {
            if (const auto* send = std::get_if<mesh::Send>(&action)) {
                if (const auto link = open_.find(send->link); link != open_.end()) {
                    link->second.owner->send(link->second.id, send->message);
                }
            } else if (const auto* changed = std::get_if<mesh::NodeChanged>(&action)) {
                meet(changed->node, now);
            }
        }
    }

    /** All nodes know of the router what any was told, as in a mesh. */
    void meet(const NodeId& node, TimePoint now) {
        const auto info = mesh_->node(node);
        if (!info || ours_.contains(node)) {
            return;
        }
        for (const auto& each : nodes_) {
            each->meet(node, info->static_key, info->epoch, now);
        }
    }

    void schedule() {
        tick_.expires_after(kTick);
        tick_.async_wait([this](const boost::system::error_code& error) {
            if (error) {
                return;
            }
            const TimePoint now = Clock::now();
            for (const auto& node : nodes_) {
                node->tick(now);
            }
            run_mesh(now);
            schedule();
        });
    }

    CrowdSettings settings_;
    std::vector<std::unique_ptr<CrowdNode>> nodes_;
    std::set<NodeId> ours_;                                 ///< their ids
    std::vector<std::unique_ptr<net::ControlLinks>> links_; ///< one a node
    std::optional<mesh::Mesh> mesh_;
    std::map<std::pair<std::size_t, net::LinkId>, mesh::LinkId> known_;
    std::map<mesh::LinkId, Link> open_;
    mesh::LinkId last_link_ = 0;
    boost::asio::steady_timer tick_;
};

CrowdSettings settings_of(const Arguments& arguments) {
    CrowdSettings settings;
    const daemon::Cluster cluster = daemon::read_cluster_file(arguments.cluster_file);
    settings.cluster = cluster.id;
    for (const daemon::Cluster::Secret& secret : cluster.secrets) {
        settings.secrets.push_back({secret.id, secret.key});
    }
    const auto address = IpAddress::parse(arguments.address);
    const auto router = Endpoint::parse(arguments.router, 6783);
    if (!address || !address->is_v4() || !router || !router->address.is_v4()) {
        throw std::runtime_error("the addresses have to be IPv4");
    }
    settings.address = *address;
    settings.router = *router;
    settings.first_port = arguments.first_port;
    return settings;
}

void run(const Arguments& arguments) {
    boost::asio::io_context io;
    const Crowd crowd(io, settings_of(arguments), arguments.nodes);
    boost::asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](auto&&...) { io.stop(); });
    fmt::print("ready\n");
    std::fflush(stdout);
    io.run();
}

} // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    CLI::App app{"Plays many nodes of a mesh towards one router"};
    app.add_option("cluster_file", arguments.cluster_file)->required();
    app.add_option("address", arguments.address, "of this host, where the nodes are")->required();
    app.add_option("router", arguments.router, "the router they show themselves to")->required();
    app.add_option("--first-port", arguments.first_port, "of the first node, TCP and UDP");
    app.add_option("--nodes", arguments.nodes)->check(CLI::Range(1, 4000));
    CLI11_PARSE(app, argc, argv);
    try {
        crypto::init();
        run(arguments);
    } catch (const std::exception& error) {
        fmt::print(stderr, "crowd: {}\n", error.what());
        return 1;
    }
    return 0;
}
