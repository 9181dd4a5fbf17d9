// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Which way an interface goes when nobody said: the faster one, by trial.
#include "daemon/fast_path.hpp"
#include "daemon/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weave::daemon {
namespace {

/** Traffic is looked at so often until there is enough of it for a trial. */
constexpr Duration kGlance = std::chrono::seconds{1};
/** So many times in a row. */
constexpr unsigned kGlances = 2;

/** What both ends of an interface do, the far end of a veth included where it can be seen. */
struct BothEnds {
    os::Offloads near;
    os::Offloads far;
};

std::string lost_text(const BothEnds& before, const BothEnds& after) {
    const bool tso = (before.near.tso && !after.near.tso) || (before.far.tso && !after.far.tso);
    const bool uso = (before.near.uso && !after.near.uso) || (before.far.uso && !after.far.uso);
    return tso && uso ? "TSO and USO" : tso ? "TSO" : uso ? "USO" : "";
}

std::string megabits(double bytes_per_second) {
    return fmt::format("{:.0f} Mbit/s", bytes_per_second * 8 / 1e6);
}

} // namespace

/** Bytes to and from the peers that are reached by each interface. */
std::map<unsigned, std::uint64_t> FastPath::traffic(const dataplane::PeerTable& peers) const {
    std::map<unsigned, std::uint64_t> out;
    for (const dataplane::PeerEntry& peer : peers.all()) {
        if (peer.vacant()) {
            continue;
        }
        const auto way = ways_.find({peer.path.endpoint.address, peer.path.source});
        if (way != ways_.end()) {
            const auto totals = peer.state->totals();
            out[way->second.index] += totals.tx_bytes + totals.rx_bytes;
        }
    }
    return out;
}

/** A way is served, or is on trial, or there was traffic lately that is worth a trial. */
bool FastPath::is_busy(const dataplane::PeerTable& peers, TimePoint now) {
    constexpr Duration kLately = std::chrono::seconds{10};
    if (now >= next_total_) {
        std::uint64_t total = 0;
        for (const dataplane::PeerEntry& peer : peers.all()) {
            const auto totals =
                peer.vacant() ? dataplane::PeerState::Totals{} : peer.state->totals();
            total += totals.tx_bytes + totals.rx_bytes;
        }
        const double seconds = std::chrono::duration<double>(now - next_total_ + kGlance).count();
        const bool much = total > seen_total_ &&
                          static_cast<double>(total - seen_total_) >= PathTrial::kWorth * seconds;
        busy_until_ = much ? now + kLately : busy_until_;
        seen_total_ = total;
        next_total_ = now + kGlance;
    }
    const auto is_open = [](const auto& entry) { return entry.second.open != nullptr; };
    return now < busy_until_ || std::ranges::any_of(served_, is_open);
}

void FastPath::weigh(const dataplane::PeerTable& peers, TimePoint now) {
    const auto is_tried = [](const auto& entry) { return entry.second.trial.has_value(); };
    const auto waits = [](const auto& entry) { return !entry.second.settled; };
    const bool trying = std::ranges::any_of(served_, is_tried);
    if (!trying && (now < next_glance_ || std::ranges::none_of(served_, waits))) {
        return;
    }
    const auto moved = traffic(peers);
    const bool glances = now >= next_glance_;
    next_glance_ = glances ? now + kGlance : next_glance_;
    for (auto& [index, served] : served_) {
        const auto bytes = moved.find(index);
        if (bytes == moved.end()) {
            continue;
        }
        if (served.trial) {
            go_on_with(served, bytes->second, now);
        } else if (glances && !served.settled && now >= served.try_again) {
            glance(served, bytes->second, now);
        }
    }
}

/** A trial tells something only while there is more to carry than either way may carry. */
void FastPath::glance(Served& served, std::uint64_t bytes, TimePoint now) {
    const double seconds = std::chrono::duration<double>(now - served.glanced).count();
    const bool enough =
        served.glanced != TimePoint{} && bytes >= served.seen_bytes &&
        static_cast<double>(bytes - served.seen_bytes) >= PathTrial::kWorth * seconds;
    served.glanced = now;
    served.seen_bytes = bytes;
    served.busy = enough ? served.busy + 1 : 0;
    if (served.busy >= kGlances) {
        served.busy = 0;
        begin_trial(served, bytes, now);
    }
}

void FastPath::begin_trial(Served& served, std::uint64_t bytes, TimePoint now) {
    const os::Link link = served.link;
    const bool veth = link.kind == "veth";
    if (veth && link.peer_netns_id != -1) {
        // Its other end is in a namespace of others, but what happens to it is known.
        settle(served, "a program here would take TSO and USO from the other end of this veth");
        return;
    }
    const auto peer = veth ? netlink_.link_at(link.peer_index) : std::nullopt;
    const auto look_at = [&] {
        return BothEnds{os::offloads(link.name), peer ? os::offloads(peer->name) : os::Offloads{}};
    };
    const BothEnds before = look_at();
    open(served, link, now);
    if (!served.open) {
        return;
    }
    if (const std::string lost = lost_text(before, look_at()); !lost.empty()) {
        close(served, "the program takes " + lost + " from the interface", now);
        served.settled = true;
        return;
    }
    served.trial.emplace(now, bytes);
    tell_addresses();
    take(served, true);
}

void FastPath::take(Served& served, bool fast) {
    served.takes = fast;
    served.open->take(fast);
    refresh_hops();
}

void FastPath::go_on_with(Served& served, std::uint64_t bytes, TimePoint now) {
    using State = PathTrial::State;
    const State state = served.trial->step(now, bytes);
    const bool fast = state == State::fast || state == State::gained;
    if (fast != served.takes) {
        take(served, fast);
    }
    if (state == State::fast || state == State::sockets) {
        return;
    }
    const std::string rates = megabits(served.trial->fast_rate()) + " where sockets carry " +
                              megabits(served.trial->sockets_rate());
    served.trial.reset();
    if (state == State::gained) {
        settle(served, "carries " + rates);
    } else {
        close(served, state == State::idle ? kWaits : "carried " + rates, now);
        served.settled = state == State::no_gain;
        refresh_hops();
    }
}

void FastPath::settle(Served& served, const std::string& reason) {
    served.settled = true;
    served.reason = reason;
    log::info("event=fast_path_settled interface={} path={} reason={}",
              served.name,
              log::quoted(served.open ? served.open->text() : "sockets"),
              log::quoted(reason));
}

} // namespace weave::daemon
