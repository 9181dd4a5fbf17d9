// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/mesh_plane.hpp"

#include "crypto/init.hpp"
#include "mesh/transit.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace weave::daemon {
namespace {

mesh::Ports make_ports(const crypto::Identity& identity) {
    mesh::Ports ports;
    ports.sign = [&identity](ByteView message) { return identity.sign(message); };
    ports.verify = [](const wire::Record& record) {
        return wire::verify_record(record, crypto::verify);
    };
    ports.decode = [](ByteView raw) { return wire::decode_shared(raw, crypto::node_id); };
    ports.identify = crypto::node_id;
    ports.random = [](ByteSpan out) { crypto::random_bytes(out); };
    return ports;
}

} // namespace

std::string CopiedIdentity::places() const {
    std::vector<std::string> texts;
    for (const IpAddress& address : seen_at) {
        texts.push_back(address.text());
    }
    return fmt::format("{}", fmt::join(texts, ", "));
}

MeshPlane::MeshPlane(boost::asio::io_context& io,
                     MeshPlaneSettings settings,
                     NodeState& state,
                     const Cluster& cluster,
                     MeshPlaneEvents events)
    : settings_(std::move(settings))
    , state_(state)
    , cluster_(cluster)
    , events_(std::move(events))
    , mesh_(state.identity().sign_public(),
            state.boot_epoch(),
            make_ports(state.identity()),
            Clock::now())
    , connector_(state.identity().id(), [](ByteSpan out) { crypto::random_bytes(out); })
    , links_(
          io, {}, [this](std::uint64_t nonce) { return control_local(nonce); }, link_events())
    , targets_(io, settings_.port, state, connector_, [this] { run_connector(Clock::now()); })
    , flush_(io) {
    connector_.set_directory(mesh_.directory());
}

void MeshPlane::note_copy(const NodeId& node, const std::vector<Endpoint>& at, TimePoint now) {
    static constexpr std::size_t kMaxCopied = 16;
    static constexpr std::size_t kMaxPlaces = 8;
    ++counted_["mesh_identity_twice"];
    std::ignore = copied_identities(now); // makes room
    if (!copied_.contains(node) && copied_.size() >= kMaxCopied) {
        return;
    }
    CopiedIdentity& copy = copied_[node];
    copy.last_seen = now;
    for (const Endpoint& endpoint : at) {
        if (copy.seen_at.size() < kMaxPlaces) {
            copy.seen_at.insert(endpoint.address);
        }
    }
    if (rate_.allow("copy " + node.fingerprint(), now)) {
        log::error("event=identity_used_twice node={} addresses={}",
                   node.fingerprint(),
                   log::quoted(copy.places()));
    }
}

const std::map<NodeId, CopiedIdentity>& MeshPlane::copied_identities(TimePoint now) {
    static constexpr auto kShown = std::chrono::minutes(2);
    std::erase_if(copied_, [&](const auto& it) { return now - it.second.last_seen > kShown; });
    return copied_;
}

void MeshPlane::on_node_changed(const NodeId& node, TimePoint now) {
    const auto info = mesh_.node(node);
    if (!info || info->self) {
        return;
    }
    connector_.on_discovered(node, info->endpoints, now);
    connector_.on_names_us(node, info->names_us);
    events_.on_node(*info);
}

void MeshPlane::run_mesh(TimePoint now) {
    if (running_) {
        return; // an action's effect came back: the outer call takes what it added
    }
    settle_mesh(now);
    if (const auto routes = mesh_.routes(); routes != routes_) {
        routes_ = routes;
        events_.on_routes(*routes);
    }
    run_connector(now);
}

/** Carries out what the machine asks for until it asks for nothing more. */
void MeshPlane::settle_mesh(TimePoint now) {
    struct Running { // ends on a throw too
        bool& flag;

        explicit Running(bool& running)
            : flag(running) {
            flag = true;
        }

        ~Running() { flag = false; }
    };

    const Running running{running_};
    mesh_.tick(now);
    for (auto actions = mesh_.take_actions(); !actions.empty(); actions = mesh_.take_actions()) {
        for (const mesh::MeshAction& action : actions) {
            carry_out(action, now);
        }
        mesh_.tick(now);
    }
}

void MeshPlane::carry_out(const mesh::MeshAction& action, TimePoint now) {
    if (const auto* send = std::get_if<mesh::Send>(&action)) {
        links_.send(send->link, send->message);
    } else if (const auto* changed = std::get_if<mesh::NodeChanged>(&action)) {
        on_node_changed(changed->node, now);
    } else if (const auto* gone = std::get_if<mesh::NodeGone>(&action)) {
        connector_.on_gone(gone->node);
        events_.on_gone(gone->node);
    } else if (const auto* record = std::get_if<mesh::RecordChanged>(&action)) {
        events_.on_record(record->record);
    } else if (const auto* epoch = std::get_if<mesh::EpochRaised>(&action)) {
        log::warning("event=boot_epoch_raised epoch={}", epoch->epoch);
        events_.on_epoch(epoch->epoch);
    } else if (const auto* copy = std::get_if<mesh::IdentityElsewhere>(&action)) {
        note_copy(mesh_.self(), copy->endpoints, now);
    } else if (const auto* names = std::get_if<mesh::NameCollision>(&action)) {
        on_collision(*names, now);
    } else if (const auto* taken = std::get_if<mesh::NameTaken>(&action)) {
        if (rate_.allow("name_taken " + taken->holder.fingerprint(), now)) {
            log::info("event=name_taken name={} holder={} before={}",
                      log::quoted(taken->name),
                      taken->holder.fingerprint(),
                      taken->before.fingerprint());
        }
    } else if (const auto* ids = std::get_if<mesh::RelayCollision>(&action)) {
        on_collision(*ids);
    } else if (const auto* counted = std::get_if<mesh::Counted>(&action)) {
        ++counted_[counted->name];
    }
}

void MeshPlane::on_collision(const mesh::NameCollision& names, TimePoint now) {
    if (rate_.allow("names", now)) {
        log::warning("event=name_collision name={} holder={} other={}",
                     log::quoted(names.name),
                     names.holder.fingerprint(),
                     names.other.fingerprint());
    }
    const NodeId& self = mesh_.self();
    if (names.holder == self || names.other == self) {
        events_.on_same_name(names.holder == self ? names.other : names.holder);
    }
}

void MeshPlane::on_collision(const mesh::RelayCollision& ids) {
    static constexpr std::size_t kMaxCollisions = 16;
    if (rate_.allow("relay_collision", Clock::now())) {
        log::warning("event=relay_collision holder={} other={}",
                     ids.holder.fingerprint(),
                     ids.other.fingerprint());
    }
    std::erase_if(relay_collisions_, [&](const auto& it) { return it.other == ids.other; });
    relay_collisions_.push_back(ids);
    if (relay_collisions_.size() > kMaxCollisions) {
        relay_collisions_.erase(relay_collisions_.begin());
    }
}

void MeshPlane::on_underlay(TimePoint now) {
    connector_.forget_self(now);
    run_connector(now);
}

std::chrono::milliseconds
MeshPlane::until_known(TimePoint now,
                       const std::function<std::optional<Duration>(const NodeId&)>& rtt) const {
    std::vector<std::optional<Duration>> round_trips;
    for (const mesh::ConnectionStatus& each : connector_.status(now)) {
        if (each.state == mesh::ConnectionStatus::State::established) {
            round_trips.push_back(each.node ? rtt(*each.node) : std::nullopt);
        }
    }
    if (round_trips.empty()) {
        return std::chrono::milliseconds{0};
    }
    const TimePoint published = std::max(mesh_.published_by(wire::kAddressesKind), now);
    return std::chrono::ceil<std::chrono::milliseconds>(published - now) +
           mesh::transit_time(round_trips);
}

void MeshPlane::set_own_topology(const wire::Topology& topology) {
    const TimePoint now = Clock::now();
    mesh_.set_own_topology(topology, now);
    run_mesh(now);
}

bool MeshPlane::publishable(const wire::Addresses& addresses) {
    return wire::encode_addresses(addresses).size() <= wire::kMaxTlvBytes;
}

bool MeshPlane::set_own_addresses(const wire::Addresses& addresses) {
    const TimePoint now = Clock::now();
    const bool published =
        mesh_.set_own(wire::kAddressesKind, wire::encode_addresses(addresses), now);
    if (!published) {
        log::error("event=addresses_not_published count={}",
                   addresses.macs.size() + addresses.prefixes.size());
    }
    run_mesh(now); // at once: the pod's first packets are on their way
    flush_addresses();
    return published;
}

void MeshPlane::flush_addresses() {
    const TimePoint due = mesh_.published_by(wire::kAddressesKind);
    if (due <= Clock::now()) {
        return;
    }
    flush_.expires_at(due);
    flush_.async_wait([this](boost::system::error_code error) {
        if (!error) {
            run_mesh(Clock::now());
        }
    });
}

void MeshPlane::set_own(std::uint16_t kind, Bytes tlvs) {
    if (!mesh_.set_own(kind, std::move(tlvs), Clock::now())) {
        log::error("event=record_not_published kind={}", kind);
    }
    run_mesh(Clock::now());
}

void MeshPlane::mark_unreachable(const NodeId& node, bool unreachable) {
    mesh_.mark_unreachable(node, unreachable, Clock::now());
}

void MeshPlane::tick(TimePoint now) {
    targets_.tick(now);
    run_connector(now);
    run_mesh(now);
}

} // namespace weave::daemon
