// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "dataplane/drop.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace weave::dataplane {

/** A number that one thread raises and any thread reads: a plain add on the hot path, no bus lock.
 */
class Counter {
  public:
    void add(std::uint64_t amount = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }

    void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }

    /** To `least`, where it is not that already. */
    void raise(std::uint64_t least) {
        if (value() < least) {
            set(least);
        }
    }

    [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

/** A time as a counter keeps it: nanoseconds of Clock. */
inline std::uint64_t nanoseconds(TimePoint time) {
    return static_cast<std::uint64_t>(time.time_since_epoch() / std::chrono::nanoseconds{1});
}

/** What one lane counts. Written by the lane's thread only, readable by any. */
struct alignas(64) LaneCounters {
    std::array<Counter, kDropCount> drops;
    Counter tap_reads;           ///< frames and superframes read from the TAP
    Counter tap_writes;          ///< frames and superframes written to the TAP
    Counter records_sealed;      ///< datagrams sealed
    Counter records_opened;      ///< datagrams opened
    Counter sends;               ///< sendmsg calls that took a train or a datagram
    Counter receives;            ///< datagrams or trains received
    Counter fast_sent;           ///< datagrams that went past the kernel
    Counter fast_received;       ///< datagrams that came past the kernel
    Counter relayed;             ///< datagrams forwarded for others
    Counter congestion_marks;    ///< frames that got the underlay's congestion mark
    Counter gso_fallbacks;       ///< trains that were sent again one datagram at a time
    Counter tap_gso_fallbacks;   ///< superframes that were written one frame at a time
    Counter neighbours_answered; ///< ARP and ND questions answered from what the mesh knows
    Counter neighbours_here;     ///< those for addresses of this node, which do not travel
    Counter no_trains_until;     ///< Clock time in nanoseconds; until then some peer gets no trains
    /** Clock time in nanoseconds; until then superframes of some shape are kept from the TAP. */
    Counter no_superframes_until;
    /** Clock time in nanoseconds; until then some destination gets none, as they did not arrive. */
    Counter superframes_lost_until;

    void drop(Drop reason, std::uint64_t amount = 1) {
        drops[static_cast<std::size_t>(reason)].add(amount);
    }

    [[nodiscard]] std::uint64_t dropped(Drop reason) const {
        return drops[static_cast<std::size_t>(reason)].value();
    }
};

} // namespace weave::dataplane
