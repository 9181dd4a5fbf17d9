// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/ring.hpp"
#include "dataplane/punt.hpp"
#include "os/event_fd.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <new>
#include <vector>

namespace weave::dataplane {

/**
 * Rings from every lane to every other, for datagrams that came to a lane which does not own their
 * key: the kernel steers by the outer header only, so what is inside a relay datagram, or in the
 * tail of a train that the kernel coalesced over two senders, may belong elsewhere. Made before the
 * lanes, outlives them.
 */
class Handoff {
  public:
    /** The largest datagram that can change lanes: that of an underlay with jumbo frames. */
    static constexpr std::size_t kMaxDatagram = 9216;
    /** Slots of each ring: some batches of a socket, fewer where there are many rings. */
    static constexpr std::size_t kMostSlots = 512;
    static constexpr std::size_t kLeastSlots = 64;

    struct Slot {
        Origin origin;
        std::uint16_t outer_size = 0;
        /** Grows at first use and is kept: rings that carry nothing take no memory. */
        Bytes bytes;
    };

    using Ring = SpscRing<Slot>;

    explicit Handoff(unsigned lanes)
        : lanes_(lanes)
        , events_(lanes)
        , rings_(std::size_t{lanes} * lanes) {
        for (auto& ring : rings_) {
            ring = std::make_unique<Ring>(
                std::bit_floor(std::clamp(8 * kMostSlots / lanes, kLeastSlots, kMostSlots)));
        }
    }

    [[nodiscard]] unsigned lanes() const { return lanes_; }

    /** The ring that only `from` fills and only `to` empties. */
    [[nodiscard]] Ring& ring(unsigned from, unsigned to) {
        return *rings_[std::size_t{from} * lanes_ + to];
    }

    /** Called by each lane as it is made, before any of them runs. */
    void attach(unsigned lane, os::EventFd* event) { events_[lane] = event; }

    /** From lane `from`; false when the ring is full, the datagram too large or the lane not there.
     */
    bool pass(unsigned from,
              unsigned to,
              ByteView datagram,
              const Origin& origin,
              std::size_t outer_size) {
        if (to >= lanes_ || events_[to] == nullptr || datagram.size() > kMaxDatagram) {
            return false;
        }
        Slot* slot = ring(from, to).claim();
        if (slot == nullptr) {
            return false;
        }
        slot->origin = origin;
        slot->origin.lane = to;
        slot->outer_size = static_cast<std::uint16_t>(outer_size);
        try {
            slot->bytes.assign(datagram.begin(), datagram.end());
        } catch (const std::bad_alloc&) {
            return false;
        }
        if (ring(from, to).publish()) {
            events_[to]->signal();
        }
        return true;
    }

  private:
    unsigned lanes_;
    std::vector<os::EventFd*> events_;
    std::vector<std::unique_ptr<Ring>> rings_;
};

} // namespace weave::dataplane
