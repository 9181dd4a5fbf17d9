// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The ways to each peer: probes, which one is used, how wide it is, whether the mesh has to know.
#include "daemon/peers.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

using dataplane::Injection;
using dataplane::kNoPeer;

/** Each datagram of them is answered, and rings between threads have room for some hundred
 * answers. */
constexpr unsigned kTrainsPerTick = 12;

constexpr std::size_t kMaxLocals = 4096;

/** For the log. */
std::string path_fields(const session::Use& use) {
    switch (use.kind) {
    case session::Use::Kind::direct:
        return "use=direct endpoint=" + use.direct.text();
    case session::Use::Kind::relay:
        return "use=relay relay=" + use.relay.fingerprint();
    case session::Use::Kind::none:
        break;
    }
    return "use=none";
}

} // namespace

void Peers::send_probe(const Peer& peer, const session::SendProbe& probe) {
    if (!peer.sending) {
        return;
    }
    const Peer* hop = probe.direct || !peer.next_hop ? nullptr : find(*peer.next_hop);
    if (!probe.direct && hop == nullptr) {
        return;
    }
    lanes_.inject(0, [&](Injection& out) {
        out.kind = Injection::Kind::record;
        out.peer = peer.index;
        out.record = wire::RecordKind::probe;
        out.endpoint = probe.direct;
        out.source = probe.direct ? local_for(*probe.direct) : std::nullopt;
        out.via = hop == nullptr ? kNoPeer : hop->index;
        out.pad_to = probe.datagram_size;
        std::array<std::uint8_t, 8> id{};
        wire::store_u64(id.data(), probe.id);
        out.assign(id);
    });
}

void Peers::send_train(const Peer& peer, const session::SendTrain& train) {
    const Endpoint to = peer.path->in_use().direct;
    lanes_.inject(0, [&](Injection& out) {
        out.kind = Injection::Kind::train;
        out.peer = peer.index;
        out.record = wire::RecordKind::probe;
        out.endpoint = to;
        out.source = local_for(to);
        out.pad_to = train.size;
        out.pad_last_to = train.tail;
        out.count = static_cast<std::uint16_t>(train.count);
        std::array<std::uint8_t, 8> id{};
        wire::store_u64(id.data(), train.first_id);
        out.assign(id);
    });
}

/** A change of the way is seen here as well, where it came from another process too. */
void Peers::run_trains(Peer& peer, TimePoint now) {
    const session::Use& use = peer.path->in_use();
    peer.trains->set_way(
        use.kind == session::Use::Kind::direct ? std::optional(use.direct) : std::nullopt, now);
    if (peer.sending && peer.mtu.settled && trains_sent_ < kTrainsPerTick) {
        peer.trains->tick(peer.mtu.size, now);
        for (const session::SendTrain& train : peer.trains->take_trains()) {
            send_train(peer, train);
            ++trains_sent_;
        }
    }
    const session::Trains verdict = peer.trains->verdict();
    const auto shape = verdict == session::Trains::none ? dataplane::TrainShape::none
                       : verdict == session::Trains::no_equal_tail
                           ? dataplane::TrainShape::short_tail
                           : dataplane::TrainShape::any;
    if (peer.state->trains() == shape) {
        return;
    }
    peer.state->set_trains(shape);
    if (shape != dataplane::TrainShape::any) {
        ++counted_["trains_damaged"];
    }
    if (rate_.allow("trains " + peer.node.fingerprint(), now)) {
        log::warning("event=trains node={} endpoint={} arrive={}",
                     peer.node.fingerprint(),
                     use.direct.text(),
                     session::text(verdict));
    }
}

void Peers::on_underlay(const std::set<IpAddress>& own, TimePoint now) {
    const auto gone = [&](const auto& entry) { return !own.contains(entry.second); };
    if (std::erase_if(locals_, gone) != 0) {
        touch();
    }
    for (auto& [node, peer] : peers_) {
        fit_to_interface(peer, now);
        run_path(peer, now);
    }
    run_sessions(now);
}

/** By a relay it is the way to the next hop that leaves this host. */
void Peers::fit_to_interface(Peer& peer, TimePoint now) {
    const session::Use& use = peer.path->in_use();
    const Peer* hop = use.kind == session::Use::Kind::relay ? find(use.relay) : &peer;
    if (hop == nullptr || hop->path->in_use().kind != session::Use::Kind::direct) {
        return;
    }
    if (const std::uint16_t mtu = events_.interface_mtu(hop->path->in_use().direct); mtu != 0) {
        peer.path->set_interface_mtu(mtu, now);
    }
}

void Peers::run_path(Peer& peer, TimePoint now) {
    peer.look_at = {};
    auto actions = peer.path->take_actions();
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const session::PathAction action = actions[i];
        if (const auto* probe = std::get_if<session::SendProbe>(&action)) {
            send_probe(peer, *probe);
        } else if (const auto* use = std::get_if<session::Use>(&action)) {
            if (rate_.allow("path " + peer.node.fingerprint(), now)) {
                log::info("event=path node={} {}", peer.node.fingerprint(), path_fields(*use));
            }
            fit_to_interface(peer, now);
            touch();
        } else if (const auto* mtu = std::get_if<session::Mtu>(&action)) {
            peer.mtu = *mtu;
            touch();
        } else if (std::holds_alternative<session::PathDown>(action)) {
            peer.heard.reset();
            touch();
        }
        // What an action brought about comes behind it.
        for (session::PathAction& more : peer.path->take_actions()) {
            actions.push_back(std::move(more));
        }
    }
    watch_direct(peer, now);
}

/** Tells the mesh when the direct path is lost for good, or is back. */
void Peers::watch_direct(Peer& peer, TimePoint now) {
    if (!peer.wanted(now)) {
        return; // it is not being tried
    }
    const bool direct = peer.path->in_use().kind == session::Use::Kind::direct;
    const bool had_direct = !peer.undirected_since;
    if (direct) {
        peer.undirected_since.reset();
    } else if (had_direct) {
        peer.undirected_since = now;
    }
    const bool sure = direct || had_direct || now - *peer.undirected_since >= kTellAfter;
    if (sure && peer.told_unreachable != !direct) {
        peer.told_unreachable = !direct;
        events_.on_direct(peer.node, !direct);
    }
}

void Peers::remember_local(const dataplane::Origin& origin) {
    if (origin.kind != dataplane::Origin::Kind::direct || origin.local.is_unspecified()) {
        return;
    }
    if (locals_.size() >= kMaxLocals && !locals_.contains(origin.endpoint)) {
        locals_.clear(); // a cache: what is in use is learned again with the next datagram
    }
    IpAddress& local = locals_[origin.endpoint];
    if (local != origin.local) {
        local = origin.local;
        touch();
    }
}

std::optional<IpAddress> Peers::local_for(const Endpoint& to) const {
    if (answering_ && answering_->endpoint == to && !answering_->local.is_unspecified()) {
        return answering_->local;
    }
    const auto entry = locals_.find(to);
    return entry == locals_.end() ? std::nullopt : std::optional(entry->second);
}
} // namespace weave::daemon
