// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/path.hpp"

#include <algorithm>
#include <utility>

/**
 * The search for the greatest packet, in the manner of RFC 8899: only what a probe proved is used,
 * and a size fails only while small probes of the same moment get through.
 */
namespace weave::session {

namespace {

/** A search ends when the bounds are this close. */
constexpr std::uint16_t kFineEnough = 8;
/** Tried before halving: most underlays are plain Ethernet, or a tunnel over it. */
constexpr std::uint16_t kEthernet = 1500;
/** A loopback interface claims 65536, which no UDP datagram fills. */
constexpr std::uint16_t kLargestMtu = 65000;

} // namespace

void PathMonitor::set_mtu(std::uint16_t size) {
    if (Way* way = active(); way != nullptr) {
        way->mtu = size;
    }
    mtu_.current = size;
}

void PathMonitor::announce(bool settled) {
    Mtu& told = mtu_.announced;
    if (told.size != mtu_.current || told.settled != settled) {
        told = {mtu_.current, settled};
        actions_.emplace_back(told);
    }
}

/**
 * A way whose size is not known yet is taken for as wide as its interface, and that is verified at
 * once: what a pod is told when its packet is too big it keeps for ten minutes, so nothing is
 * settled before it was measured.
 */
void PathMonitor::restart_mtu(Way& way, TimePoint now) {
    const std::uint16_t top = settings_.interface_mtu;
    const std::uint16_t known = way.mtu != 0 ? std::min(way.mtu, top) : top;
    mtu_.probing = 0;
    mtu_.lost = 0;
    mtu_.low = way.mtu != 0 ? known : std::min(settings_.base_mtu, top);
    mtu_.high = static_cast<std::uint16_t>(top + 1);
    mtu_.next = now;
    mtu_.raise_at = TimePoint::max();
    mtu_.current = known;
    mtu_.proved = way.mtu > settings_.base_mtu;
    announce(false);
}

/** A size that was settled stays it: nobody is without an answer while it is measured again. */
void PathMonitor::take_over_mtu(Way& way, const Mtu& known, TimePoint now) {
    mtu_.announced = known;
    restart_mtu(way, now);
    if (known.settled) {
        mtu_.proved = true;
        mtu_.high = static_cast<std::uint16_t>(known.size + 1);
        rest(now);
    }
    actions_.clear();
}

void PathMonitor::set_interface_mtu(std::uint16_t size, TimePoint now) {
    size = std::min(size, kLargestMtu);
    if (size == settings_.interface_mtu || size < wire::kLeastMtu) {
        return;
    }
    settings_.interface_mtu = size;
    if (Way* way = active(); way != nullptr) {
        way->mtu = 0;
        restart_mtu(*way, now);
    }
}

void PathMonitor::on_large_packets(TimePoint now) {
    // A sender that gets no answer sends less and less often: it must not fall asleep in between.
    mtu_.large_until = now + settings_.mtu_verify * 2;
    if (mtu_.probing == 0 && up() && mtu_.next > now + settings_.mtu_verify) {
        mtu_.next = now + jittered(settings_.mtu_verify);
    }
}

void PathMonitor::on_too_big(TimePoint now) {
    if (up() && mtu_.current > settings_.base_mtu) {
        fall_back(now);
    }
}

/** The current size does not get through any more: go back to what nearly every underlay carries.
 */
void PathMonitor::fall_back(TimePoint now) {
    const std::uint16_t failed = mtu_.current;
    const std::uint16_t base = failed > settings_.base_mtu ? settings_.base_mtu : wire::kLeastMtu;
    mtu_.probing = 0;
    mtu_.lost = 0;
    mtu_.low = std::min(base, failed);
    mtu_.high = failed;
    set_mtu(mtu_.low);
    mtu_.proved = mtu_.low <= wire::kLeastMtu;
    announce(false);
    mtu_.next = now;
}

void PathMonitor::send_mtu_probe(Way& way, std::uint16_t size, TimePoint now) {
    mtu_.probing = size;
    mtu_.probe_id = fresh_id();
    mtu_.probe_sent = now;
    mtu_.small_through = false;
    actions_.emplace_back(SendProbe{mtu_.probe_id, way.endpoint, size});
    mtu_.small_id = send_small(way, now);
}

void PathMonitor::tick_mtu(TimePoint now) {
    Way* way = active();
    if (way == nullptr) {
        return;
    }
    if (mtu_.probing != 0) {
        if (now - mtu_.probe_sent < timeout(*way)) {
            return;
        }
        mtu_.lost += mtu_.small_through ? 1 : 0;
        if (mtu_.lost >= settings_.mtu_lost_limit) {
            mtu_failed(now);
        } else {
            send_mtu_probe(*way, mtu_.probing, now);
        }
    } else if (now >= mtu_.next) {
        search_on(now);
    }
}

/** Sends the next probe of a running search, or of the verification, or starts a search upwards. */
void PathMonitor::search_on(TimePoint now) {
    Way& way = *active();
    mtu_.lost = 0;
    const std::uint16_t top = settings_.interface_mtu;
    if (mtu_.high > top && mtu_.low < top) {
        send_mtu_probe(way, top, now);
    } else if (mtu_.high > kEthernet && mtu_.low < kEthernet && top > kEthernet) {
        send_mtu_probe(way, kEthernet, now);
    } else if (mtu_.high - mtu_.low > kFineEnough && mtu_.low < top) {
        send_mtu_probe(way, static_cast<std::uint16_t>((mtu_.low + mtu_.high) / 2), now);
    } else if (mtu_.proved && now >= mtu_.raise_at && mtu_.low < top) {
        mtu_.raise_at = TimePoint::max();
        mtu_.high = static_cast<std::uint16_t>(top + 1);
        send_mtu_probe(way, top, now);
    } else if (!mtu_.proved || now < mtu_.large_until) {
        send_mtu_probe(way, mtu_.current, now);
    } else {
        rest(now);
    }
}

/** Nothing to search now: verify while it matters, and look upwards again after a while, as soon as
 * the path is used where nobody watches it. */
void PathMonitor::rest(TimePoint now) {
    if (!mtu_.proved) {
        mtu_.next = now;
        return;
    }
    announce(true);
    if (mtu_.low >= settings_.interface_mtu) {
        mtu_.raise_at = TimePoint::max();
    } else if (mtu_.raise_at == TimePoint::max()) {
        mtu_.raise_at = now + jittered(settings_.mtu_raise);
    }
    mtu_.next = watch_ == Watch::none ? TimePoint::max() : mtu_.raise_at;
    if (now < mtu_.large_until) {
        mtu_.next = std::min(mtu_.next, now + jittered(settings_.mtu_verify));
    }
}

void PathMonitor::mtu_answered(TimePoint now) {
    const std::uint16_t size = std::exchange(mtu_.probing, std::uint16_t{0});
    set_mtu(std::max(size, mtu_.current));
    mtu_.proved = mtu_.proved || size == mtu_.current;
    mtu_.low = std::max(mtu_.low, size);
    if (mtu_.low < settings_.interface_mtu && mtu_.high - mtu_.low > kFineEnough) {
        announce(false);
        mtu_.next = now;
    } else {
        rest(now);
    }
}

void PathMonitor::mtu_failed(TimePoint now) {
    const std::uint16_t size = std::exchange(mtu_.probing, std::uint16_t{0});
    if (size <= mtu_.current) {
        fall_back(now);
        return;
    }
    mtu_.high = std::min(mtu_.high, size);
    if (mtu_.high - mtu_.low > kFineEnough) {
        mtu_.next = now;
    } else {
        rest(now);
    }
}

TimePoint PathMonitor::mtu_deadline() const {
    if (!up()) {
        return TimePoint::max();
    }
    if (mtu_.probing == 0) {
        return mtu_.next;
    }
    const auto way = std::find_if(
        ways_.begin(), ways_.end(), [&](const Way& candidate) { return in_use(candidate); });
    return way == ways_.end() ? TimePoint::max() : mtu_.probe_sent + timeout(*way);
}

} // namespace weave::session
