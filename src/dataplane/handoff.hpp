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
        /** Of this slot for ever; `bytes` is its beginning. */
        ByteSpan memory;
        ByteSpan bytes;
    };

    using Ring = SpscRing<Slot>;

    explicit Handoff(unsigned lanes)
        : lanes_(lanes)
        , events_(lanes)
        , memory_(std::size_t{lanes} * lanes)
        , rings_(std::size_t{lanes} * lanes) {
        const std::size_t slots =
            std::bit_floor(std::clamp(8 * kMostSlots / lanes, kLeastSlots, kMostSlots));
        for (std::size_t i = 0; i < rings_.size(); ++i) {
            // Left as it is: what no datagram was ever written to takes addresses and no memory. No
            // lane hands over to itself.
            const bool used = i / lanes != i % lanes;
            memory_[i] =
                std::make_unique_for_overwrite<std::uint8_t[]>(used ? slots * kMaxDatagram : 0);
            std::uint8_t* at = memory_[i].get();
            rings_[i] = std::make_unique<Ring>(used ? slots : 1, [&](Slot& slot) {
                slot.memory = {at, used ? kMaxDatagram : 0};
                at += slot.memory.size();
            });
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
        if (to >= lanes_ || events_[to] == nullptr) {
            return false;
        }
        Slot* slot = ring(from, to).claim();
        if (slot == nullptr || datagram.size() > slot->memory.size()) {
            return false;
        }
        slot->origin = origin;
        slot->origin.lane = to;
        slot->outer_size = static_cast<std::uint16_t>(outer_size);
        slot->bytes = slot->memory.first(datagram.size());
        std::copy(datagram.begin(), datagram.end(), slot->bytes.begin());
        if (ring(from, to).publish()) {
            events_[to]->signal();
        }
        return true;
    }

  private:
    unsigned lanes_;
    std::vector<os::EventFd*> events_;
    std::vector<std::unique_ptr<std::uint8_t[]>> memory_; ///< of the rings' slots
    std::vector<std::unique_ptr<Ring>> rings_;
};

} // namespace weave::dataplane
