// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/fast_path.hpp"

#include "daemon/log.hpp"

#include <algorithm>
#include <cerrno>

namespace weave::daemon {
namespace {

/** Everything is looked at once in a while, as neighbours must be asked whether they are there
 * still: nobody else sends to them. */
constexpr Duration kRound = std::chrono::seconds{5};
/** And otherwise at most so often, and no more than a twentieth of the time. */
constexpr Duration kSettle = std::chrono::milliseconds{100};
constexpr int kShare = 20;
/** The same as long as there is no traffic that a fast path could be better for. */
constexpr Duration kIdleRound = std::chrono::seconds{60};
constexpr int kIdleShare = 200;
constexpr Duration kWatch = std::chrono::milliseconds{250};
/** After the queue of a socket was busy: the kernel frees it a moment after it was closed. */
constexpr Duration kBusy = std::chrono::milliseconds{500};
constexpr Duration kAfterFailure = std::chrono::seconds{30};
constexpr Duration kAfterStall = std::chrono::minutes{5};
/** An interface by which no peer is reached any more. */
constexpr Duration kUnused = std::chrono::seconds{60};

bool is_ethernet(const os::Link& link) {
    return link.mac != MacAddress{};
}

/** What sockets were made for, or could not be, is not what the link is now. */
bool differs(const os::Link& before, const os::Link& now) {
    return before.name != now.name || before.mac != now.mac || before.mtu != now.mtu ||
           before.up != now.up;
}

} // namespace

FastPath::FastPath(Lanes& lanes, FastPathSettings settings, std::function<void()> on_change)
    : lanes_(lanes)
    , settings_(std::move(settings))
    , on_change_(std::move(on_change)) {}

dataplane::FastHop FastPath::hop(const Endpoint& to, const IpAddress& source) const {
    const auto found = hops_.find({to.address, source});
    return found == hops_.end() ? dataplane::FastHop{} : found->second;
}

void FastPath::tick(const dataplane::PeerTable& peers, TimePoint now) {
    const bool idle = settings_.by_trial && !is_busy(peers, now);
    // New keys of a thousand peers are no reason to look as long as nothing depends on it.
    const bool new_peers = &peers != seen_ && (!idle || served_.empty());
    changed_ = monitor_.drain() || changed_ || new_peers;
    seen_ = &peers;
    if (now >= next_watch_) {
        next_watch_ = now + kWatch;
        watch(now);
    }
    if (now >= next_round_ || (changed_ && now >= next_look_)) {
        look(peers, now);
        const TimePoint done = Clock::now();
        next_look_ = done + std::max(kSettle, (idle ? kIdleShare : kShare) * (done - now));
        next_round_ = now + (idle ? kIdleRound : kRound);
        for (const auto& [index, served] : served_) {
            next_round_ = served.open || settings_.by_trial
                              ? next_round_
                              : std::min(next_round_, served.try_again);
        }
        next_round_ = std::max(next_round_, next_look_);
        changed_ = false;
    }
    if (settings_.by_trial) {
        weigh(peers, now);
    }
}

std::map<FastPath::Way, os::NextHop> FastPath::find_ways(const dataplane::PeerTable& peers) {
    std::map<Way, os::NextHop> out;
    for (const dataplane::PeerEntry& peer : peers.all()) {
        if (peer.vacant() || peer.path.kind != dataplane::Path::Kind::direct) {
            continue;
        }
        const Way way{peer.path.endpoint.address, peer.path.source};
        if (out.contains(way)) {
            continue;
        }
        const auto source = way.second.is_unspecified() ? std::nullopt : std::optional{way.second};
        if (const auto hop = netlink_.next_hop(way.first, source)) {
            out.emplace(way, *hop);
        }
    }
    return out;
}

void FastPath::look(const dataplane::PeerTable& peers, TimePoint now) {
    ways_ = find_ways(peers);
    const std::vector<os::Link> links = netlink_.links();
    for (const auto& [way, hop] : ways_) {
        served_[hop.index].used = now;
        if (!hop.fresh) {
            netlink_.look_for_neighbour(hop);
        }
    }
    for (auto entry = served_.begin(); entry != served_.end();) {
        serve(entry->first, links, now);
        const bool forget = !entry->second.open && now - entry->second.used >= kUnused;
        entry = forget ? served_.erase(entry) : std::next(entry);
    }
    tell_addresses();
    refresh_hops();
}

void FastPath::refresh_hops() {
    std::map<Way, dataplane::FastHop> hops;
    for (const auto& [way, hop] : ways_) {
        hops.emplace(way, hop_of(hop));
    }
    if (hops != hops_) {
        hops_ = std::move(hops);
        on_change_();
    }
}

void FastPath::serve(unsigned index, const std::vector<os::Link>& links, TimePoint now) {
    Served& served = served_[index];
    const auto link = std::ranges::find(links, index, &os::Link::index);
    if (link == links.end()) {
        close(served, "the interface is gone", now + kUnused);
        served.try_again = now + kUnused;
        return;
    }
    served.name = link->name;
    served.link = *link;
    if (settings_.by_trial) {
        review(served);
    }
    if (served.open && served.open->gone()) {
        close(served, "a socket of the interface failed", now + kBusy);
    } else if (served.open && differs(served.tried, *link)) {
        close(served, "the interface changed", now + kBusy);
    } else if (served.open && now - served.used >= kUnused) {
        close(served, "no peer is reached by it", now);
    } else if (!settings_.by_trial && !served.open && now - served.used < kUnused && link->up &&
               (now >= served.try_again || differs(served.tried, *link))) {
        open(served, *link, now);
    }
}

/** A link that is another one now may be served better another way. */
void FastPath::review(Served& served) {
    const os::Offloads offloads = os::offloads(served.name);
    const bool same = !differs(served.judged, served.link) && offloads == served.offloads;
    if (served.trial || (served.settled && same)) {
        return;
    }
    served.judged = served.link;
    served.offloads = offloads;
    served.settled = false;
    if (served.open) {
        close(served, kWaits, {});
    } else if (served.reason.empty() || !same) {
        served.reason = kWaits;
    }
}

/** In turn: what lanes still send by the number of one that was closed must not go by another. */
std::optional<std::uint8_t> FastPath::free_port() {
    for (std::size_t tried = 0; tried < dataplane::kMaxFastPorts; ++tried) {
        last_port_ = static_cast<std::uint8_t>((last_port_ + 1) % dataplane::kMaxFastPorts);
        const std::uint8_t port = last_port_;
        const auto has = [&](const auto& entry) {
            return entry.second.open && entry.second.port == port;
        };
        if (std::ranges::none_of(served_, has)) {
            return port;
        }
    }
    return std::nullopt;
}

void FastPath::open(Served& served, const os::Link& link, TimePoint now) {
    const auto port = free_port();
    served.try_again = now + kAfterFailure;
    served.tried = link;
    if (!is_ethernet(link) || !port) {
        served.reason = port ? "no Ethernet interface" : "enough other interfaces are served";
        return;
    }
    try {
        served.open = std::make_unique<FastInterface>(lanes_, link, *port, settings_.port);
        served.port = port;
        served.reason = settings_.by_trial ? "on trial" : "asked for";
        served.takes = true;
        served.watch.reset();
        log::info(
            "event=fast_path interface={} path={}", link.name, log::quoted(served.open->text()));
    } catch (const std::system_error& failed) {
        const bool soon = failed.code().value() == EBUSY;
        served.try_again = now + (soon ? kBusy : kAfterFailure);
        if (served.reason != failed.what()) {
            served.reason = failed.what();
            log::warning("event=fast_path_refused interface={} reason={}",
                         link.name,
                         log::quoted(served.reason));
        }
    }
}

void FastPath::close(Served& served, const std::string& reason, TimePoint again) {
    if (!served.open) {
        return;
    }
    served.open.reset();
    served.trial.reset();
    served.settled = false;
    served.reason = reason;
    served.try_again = again;
    log::info(
        "event=fast_path interface={} path=sockets reason={}", served.name, log::quoted(reason));
}

void FastPath::watch(TimePoint now) {
    using Verdict = StallWatch::Verdict;
    for (auto& [index, served] : served_) {
        if (!served.open) {
            continue;
        }
        changed_ = changed_ || served.open->gone();
        const Verdict verdict = served.watch.look(served.open->progress(), now);
        if (verdict == Verdict::works) {
            continue;
        }
        ++served.stalls;
        changed_ = true;
        close(served,
              verdict == Verdict::sends_stalled ? "stalled: nothing that it was given was sent"
                                                : "stalled: nothing that arrived was received",
              now + kAfterStall);
    }
}

/** Each filter takes what is for its interface's own addresses, as far as the router listens there.
 */
void FastPath::tell_addresses() {
    std::map<unsigned, std::vector<IpAddress>> own;
    for (const os::LinkAddress& entry : netlink_.addresses()) {
        const IpAddress& address = entry.prefix.address;
        const auto admits = [&](const IpAddress& listen) {
            return listen == address ||
                   (listen.is_unspecified() && listen.is_v4() == address.is_v4());
        };
        if (settings_.listen.empty() || std::ranges::any_of(settings_.listen, admits)) {
            own[entry.index].push_back(address);
        }
    }
    for (auto& [index, served] : served_) {
        if (served.open) {
            served.open->set_addresses(own[index]);
        }
    }
}

dataplane::FastHop FastPath::hop_of(const os::NextHop& way) const {
    const auto served = served_.find(way.index);
    if (served == served_.end() || !served->second.open || !served->second.takes ||
        way.mac == MacAddress{}) {
        return {};
    }
    const os::Link& link = served->second.open->link();
    dataplane::FastHop hop;
    hop.port = *served->second.port;
    hop.from = link.mac;
    hop.to = way.mac;
    hop.source = way.source;
    hop.mtu = static_cast<std::uint16_t>(way.mtu == 0 ? link.mtu : std::min(link.mtu, way.mtu));
    return hop;
}

void FastPath::release() {
    for (auto& [index, served] : served_) {
        close(served, "another process takes over", {});
    }
    changed_ = true;
}

std::vector<FastPathRow> FastPath::rows() const {
    std::vector<FastPathRow> out;
    for (const auto& [index, served] : served_) {
        FastPathRow row;
        row.interface = served.name;
        row.path = served.open ? served.open->text() : "sockets";
        row.reason = served.reason;
        row.stalls = served.stalls;
        if (served.open) {
            const FastProgress progress = served.open->progress();
            row.sent = progress.completed;
            row.received = progress.taken;
            row.dropped = served.open->dropped();
        }
        out.push_back(std::move(row));
    }
    return out;
}

} // namespace weave::daemon
