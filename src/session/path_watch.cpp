// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// When ways are probed, and when missing answers make them dead.
#include "session/path.hpp"

#include <algorithm>

namespace weave::session {

namespace {

/** Bounds of the time an answer may take before its probe counts as lost. */
constexpr Duration kShortestTimeout = std::chrono::milliseconds(100);
constexpr Duration kLongestTimeout = std::chrono::seconds(3);
/** How long after a probe was asked for it may be sealed. */
constexpr Duration kSealing = std::chrono::milliseconds(10);
/** How often a driver looks while something is sent, at least. */
constexpr Duration kLook = std::chrono::milliseconds(50);

} // namespace

void PathMonitor::on_traffic(TimePoint last_received, TimePoint last_sent, TimePoint now) {
    if (last_received > last_received_) {
        last_received_ = last_received;
        waiting_since_.reset();
    }
    if (last_sent > last_sent_) {
        last_sent_ = last_sent;
        // What goes out with a probe, be it the probe, asks nothing that the probe does not ask.
        if (last_sent < probed_ || last_sent >= probed_ + kSealing) {
            last_asked_ = last_sent;
        }
    }
    if (!waiting_since_ && last_asked_ > last_received_) {
        // Of all that was sent since the last look only the latest is known, and the first counts.
        waiting_since_ = std::max({last_received_, looked_, last_asked_ - kLook});
    }
    looked_ = now;
}

std::uint64_t PathMonitor::send_small(Way& way, TimePoint now) {
    const std::uint64_t id = fresh_id();
    if (way.flying.size() >= Sizes::kMaxFlying) {
        way.flying.erase(way.flying.begin());
    }
    way.flying.push_back({id, now});
    probed_ = now;
    if (way.unanswered++ == 0) {
        way.unanswered_since = now;
    }
    actions_.emplace_back(SendProbe{id, way.endpoint, 0});
    return id;
}

Duration PathMonitor::timeout(const Way& way) const {
    const Duration fast = settings_.fast_probe * settings_.lost_limit;
    return way.rtt ? std::clamp(*way.rtt * 3, kShortestTimeout, kLongestTimeout) : fast;
}

/** When probing starts because we send and hear nothing; max(): not before something changes. */
TimePoint PathMonitor::silent_at() const {
    return waiting_since_ ? *waiting_since_ + settings_.silence : TimePoint::max();
}

/** When this end stops relying on the other's probes. One that follows of late waits for them, too.
 */
TimePoint PathMonitor::missed_at() const {
    return watch_ == Watch::follows
               ? std::max(last_received_, watched_since_) + settings_.missed_probe
               : TimePoint::max();
}

/** When the next probe is due on the way: at its slow pace, or at the fast one where there is
 * doubt. */
TimePoint PathMonitor::probe_at(const Way& way) const {
    if (!way.up) {
        return way.next_probe;
    }
    TimePoint doubt = in_use(way) ? std::min(silent_at(), missed_at()) : TimePoint::max();
    if (way.unanswered > (in_use(way) ? 0 : 1)) {
        doubt = std::min(doubt, way.unanswered_since + timeout(way));
    }
    return std::min(way.next_probe, std::max(doubt, way.paced + settings_.fast_probe));
}

/** When the missing answers make the way dead; max(): too few are missing. */
TimePoint PathMonitor::dead_at(const Way& way) const {
    if (!way.up || way.unanswered < settings_.lost_limit) {
        return TimePoint::max();
    }
    // The last of the probes has had half a pace, or what the path is known to take.
    const Duration half = settings_.fast_probe / 2;
    const Duration patience =
        std::max(settings_.fast_probe * settings_.lost_limit - half, timeout(way));
    TimePoint dead = way.unanswered_since + patience;
    if (last_received_ != TimePoint::min()) {
        const TimePoint silent_from = last_received_ + settings_.silence;
        if (dead >= std::min(moved_until_, silent_from)) {
            // The peer is heard, only our probes are not answered: a busy peer, or one direction
            // is broken.
            const TimePoint deaf = std::max(
                moved_until_, way.unanswered_since + std::max(patience * 2, settings_.idle_probe));
            // Probes of the size search were under way before the silence: they do not shorten it.
            dead = deaf < silent_from ? deaf : std::max(dead, silent_from + patience);
        }
    }
    return std::max(dead, way.asked + half);
}

Duration PathMonitor::slow_pace(const Way& way) const {
    if (watch_ == Watch::none) {
        return settings_.unwatched_probe;
    }
    const bool none_works = !up();
    return in_use(way) || none_works ? settings_.idle_probe : settings_.candidate_probe;
}

void PathMonitor::schedule(Way& way, TimePoint now) {
    if (way.up && in_use(way) && watch_ == Watch::follows) {
        way.next_probe = TimePoint::max();
    } else if (way.up) {
        way.next_probe = now + jittered(slow_pace(way));
    } else {
        way.interval = std::min(way.interval, slow_pace(way));
        way.next_probe = now + jittered(way.interval);
        way.interval = way.interval * 3 / 2;
    }
}

void PathMonitor::set_watch(Watch watch, TimePoint now) {
    if (watch == watch_) {
        return;
    }
    watch_ = watch;
    watched_since_ = now;
    for (Way& way : ways_) {
        const TimePoint planned = way.next_probe;
        schedule(way, now);
        // A pace that changes again and again must not put a probe off each time.
        const bool left_to_peer = way.next_probe == TimePoint::max();
        if (!left_to_peer || planned <= now + settings_.fast_probe) {
            way.next_probe = std::min(way.next_probe, planned);
        }
    }
    if (mtu_.probing == 0 && mtu_.announced.settled && up()) {
        rest(now);
    }
}

void PathMonitor::tick_way(Way& way, TimePoint now) {
    if (now >= dead_at(way)) {
        way.up = false;
        way.failed = true;
        way.rtt.reset();
        way.interval = settings_.eager_probe;
        way.next_probe = now + settings_.eager_probe;
        if (in_use(way)) {
            probe_others(now);
        }
    } else if (const TimePoint due = probe_at(way); now >= due) {
        // From when it was due, not from now: a coarse tick must not slow the pace down.
        way.paced = due + settings_.fast_probe > now ? due : now;
        way.asked = now;
        send_small(way, now);
        schedule(way, now);
    }
}

/** The way in use has died: find out at once which other works. */
void PathMonitor::probe_others(TimePoint now) {
    for (Way& way : ways_) {
        if (!way.up && !in_use(way)) {
            way.interval = settings_.eager_probe;
            way.next_probe = std::min(way.next_probe, now);
        }
    }
}

TimePoint PathMonitor::next_deadline() const {
    TimePoint due = mtu_deadline();
    for (const Way& way : ways_) {
        due = std::min({due, probe_at(way), dead_at(way)});
    }
    return due;
}

} // namespace weave::session
