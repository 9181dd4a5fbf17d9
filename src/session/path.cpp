// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/path.hpp"

#include "wire/datagram.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace weave::session {

namespace {

/** A way is not left for one that is faster by less than this. */
constexpr Duration kWorthSwitching = std::chrono::milliseconds(1);
/** A peer heard from elsewhere does not count as heard on the way in use for this long. */
constexpr Duration kMoveDoubt = std::chrono::seconds(1);

} // namespace

PathMonitor::PathMonitor(PathSettings settings, RandomSource random)
    : settings_(settings)
    , random_(std::move(random)) {
    mtu_.current = settings_.interface_mtu;
}

Duration PathMonitor::jittered(Duration duration) {
    std::array<std::uint8_t, 4> raw{};
    random_(raw);
    const double factor = 0.85 + 0.3 * (wire::load_u32(raw.data()) / 4294967296.0);
    return std::chrono::duration_cast<Duration>(duration * factor);
}

std::uint64_t PathMonitor::fresh_id() {
    std::array<std::uint8_t, 8> raw{};
    random_(raw);
    return wire::load_u64(raw.data());
}

PathMonitor::Way* PathMonitor::find(const std::optional<Endpoint>& endpoint) {
    const auto found = std::find_if(
        ways_.begin(), ways_.end(), [&](const Way& way) { return way.endpoint == endpoint; });
    return found == ways_.end() ? nullptr : &*found;
}

bool PathMonitor::in_use(const Way& way) const {
    switch (use_.kind) {
    case Use::Kind::direct:
        return way.endpoint == use_.direct;
    case Use::Kind::relay:
        return !way.endpoint;
    case Use::Kind::none:
        break;
    }
    return false;
}

PathMonitor::Way* PathMonitor::active() {
    const auto found =
        std::find_if(ways_.begin(), ways_.end(), [&](const Way& way) { return in_use(way); });
    return found == ways_.end() ? nullptr : &*found;
}

std::optional<Duration> PathMonitor::rtt() {
    const Way* way = active();
    return way == nullptr ? std::nullopt : way->rtt;
}

PathMonitor::Way*
PathMonitor::add_way(const std::optional<Endpoint>& endpoint, bool announced, TimePoint now) {
    if (endpoint && ways_.size() >= settings_.max_candidates) {
        const auto spare = std::find_if(ways_.begin(), ways_.end(), [](const Way& way) {
            return way.endpoint && !way.announced && !way.up;
        });
        if (spare == ways_.end()) {
            return nullptr;
        }
        ways_.erase(spare);
    }
    Way way;
    way.endpoint = endpoint;
    way.announced = announced;
    way.interval = settings_.eager_probe;
    way.next_probe = now;
    ways_.push_back(std::move(way));
    return &ways_.back();
}

void PathMonitor::set_candidates(const std::vector<Endpoint>& candidates, TimePoint now) {
    for (Way& way : ways_) {
        way.announced =
            way.endpoint &&
            std::find(candidates.begin(), candidates.end(), *way.endpoint) != candidates.end();
    }
    // A way that works stays, announced or not: a peer behind NAT announces what nobody can reach.
    std::erase_if(ways_, [](const Way& way) { return way.endpoint && !way.announced && !way.up; });
    for (const Endpoint& candidate : candidates) {
        if (find(candidate) == nullptr) {
            add_way(candidate, true, now);
        }
    }
}

void PathMonitor::set_relay(std::optional<NodeId> relay, TimePoint now) {
    if (relay == relay_) {
        return;
    }
    relay_ = relay;
    Way* way = find(std::nullopt);
    const bool in_use = use_.kind == Use::Kind::relay;
    if (way == nullptr && relay) {
        add_way(std::nullopt, true, now);
        on_relayed(now); // the other end says that it cannot be reached directly
    } else if (way != nullptr && !relay) {
        way->up = false;
        choose(now);
        std::erase_if(ways_, [](const Way& gone) { return !gone.endpoint; });
    } else if (way != nullptr) {
        // The mesh knows of a better next hop: trust it while it is being proved.
        *way = Way{};
        way->interval = settings_.eager_probe;
        way->next_probe = now;
        way->up = in_use;
        if (in_use) {
            use(way, now);
        }
    }
}

void PathMonitor::on_received(const Endpoint& from, TimePoint now) {
    Way* way = find(from);
    if (way == nullptr) {
        way = add_way(from, false, now);
    }
    Way* used = active();
    if (used != nullptr && used->endpoint && used->endpoint != from) {
        ask(*used, now); // it may have moved
    }
    if (way == nullptr || way->up) {
        return;
    }
    if (!up() && !way->failed) {
        // Nothing else is known to work: do not make the first packets wait for a probe.
        way->up = true;
        way->next_probe = now;
        choose(now);
    } else if (way->next_probe > now + settings_.eager_probe) {
        way->interval = settings_.eager_probe;
        way->next_probe = now;
    }
}

void PathMonitor::on_relayed(TimePoint now) {
    Way* used = active();
    if (used != nullptr && used->endpoint) {
        ask(*used, now);
    }
}

/** The peer is heard, but not by the way in use: find out at once whether that still leads to it.
 */
void PathMonitor::ask(Way& used, TimePoint now) {
    if (now >= moved_until_) {
        moved_until_ = now + kMoveDoubt;
        used.next_probe = std::min(used.next_probe, now);
    }
}

void PathMonitor::on_session(TimePoint now) {
    for (Way& way : ways_) {
        if (!way.up) {
            way.interval = settings_.eager_probe;
            way.next_probe = std::min(way.next_probe, now);
        }
    }
}

void PathMonitor::on_probe_ack(std::uint64_t id,
                               const std::optional<Endpoint>&,
                               std::uint16_t,
                               TimePoint now) {
    if (mtu_.probing != 0 && id == mtu_.probe_id) {
        mtu_answered(now);
        return;
    }
    for (Way& way : ways_) {
        const auto probe = std::find_if(
            way.flying.begin(), way.flying.end(), [&](const Probe& sent) { return sent.id == id; });
        if (probe != way.flying.end()) {
            const TimePoint sent = probe->sent;
            way.flying.erase(probe);
            if (mtu_.probing != 0 && id == mtu_.small_id) {
                mtu_.small_through = true;
            }
            answered(way, sent, now);
            return;
        }
    }
}

void PathMonitor::answered(Way& way, TimePoint sent, TimePoint now) {
    const Duration sample = std::max(now - sent, Duration::zero());
    way.rtt = way.rtt ? (*way.rtt * 7 + sample) / 8 : sample;
    way.unanswered = 0;
    way.interval = settings_.eager_probe;
    if (!way.up) {
        way.up = true;
        schedule(way, now);
    }
    choose(now);
}

void PathMonitor::tick(TimePoint now) {
    for (Way& way : ways_) {
        tick_way(way, now);
    }
    choose(now);
    std::erase_if(ways_, [](const Way& way) {
        return way.endpoint && !way.announced && way.failed && !way.up;
    });
    tick_mtu(now);
}

void PathMonitor::choose(TimePoint now) {
    Way* best = active();
    if (best != nullptr && (!best->up || !best->endpoint)) {
        best = nullptr;
    }
    const bool keep = best != nullptr;
    for (Way& way : ways_) {
        if (!way.up || !way.endpoint || &way == best) {
            continue;
        }
        if (best == nullptr) {
            best = &way;
        } else if (way.rtt && best->rtt) {
            const auto limit = keep ? *best->rtt * settings_.switch_ratio : *best->rtt * 1.0;
            if (*way.rtt < limit && (!keep || *best->rtt - *way.rtt > kWorthSwitching)) {
                best = &way;
            }
        }
    }
    if (best == nullptr) {
        best = find(std::nullopt);
        if (best != nullptr && !best->up) {
            best = nullptr;
        }
    }
    use(best, now);
}

void PathMonitor::use(Way* way, TimePoint now) {
    Use next;
    if (way != nullptr && way->endpoint) {
        next.kind = Use::Kind::direct;
        next.direct = *way->endpoint;
    } else if (way != nullptr && relay_) {
        next.kind = Use::Kind::relay;
        next.relay = *relay_;
    }
    if (next == use_) {
        return;
    }
    const bool was_up = up();
    Way* left = active();
    use_ = next;
    if (left != nullptr && left->up && left != way) {
        schedule(*left, now);
    }
    actions_.emplace_back(use_);
    if (was_up != up()) {
        actions_.emplace_back(was_up ? PathAction{PathDown{}} : PathAction{PathUp{}});
    }
    if (way != nullptr) {
        way->next_probe = std::min(way->next_probe, now + settings_.fast_probe);
        restart_mtu(*way, now);
    } else {
        mtu_.probing = 0;
        mtu_.next = TimePoint::max();
    }
}

PathMonitor::Sizes PathMonitor::sizes() const {
    Sizes out;
    out.ways = ways_.size();
    for (const Way& way : ways_) {
        out.flying = std::max(out.flying, way.flying.size());
    }
    return out;
}

PathState PathMonitor::state() {
    return {use_, mtu_.announced, rtt(), settings_.interface_mtu};
}

void PathMonitor::take_over(const PathState& state, TimePoint now) {
    settings_.interface_mtu = state.interface_mtu;
    mtu_.current = state.interface_mtu;
    if (state.use.kind == Use::Kind::none) {
        return;
    }
    const bool direct = state.use.kind == Use::Kind::direct;
    if (!direct) {
        relay_ = state.use.relay;
    }
    Way& way = *add_way(direct ? std::optional(state.use.direct) : std::nullopt, !direct, now);
    way.up = true;
    way.rtt = state.rtt;
    way.mtu = state.mtu.size;
    use_ = state.use;
    take_over_mtu(way, state.mtu, now);
}

std::vector<PathAction> PathMonitor::take_actions() {
    return std::exchange(actions_, {});
}

} // namespace weave::session
