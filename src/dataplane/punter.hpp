// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/counters.hpp"
#include "dataplane/punt.hpp"
#include "os/event_fd.hpp"

namespace weave::dataplane {

/** A lane's end of its punt ring: fills a slot and wakes the control thread, or counts punt_full.
 */
class Punter {
  public:
    Punter(std::size_t slots, os::EventFd* control, LaneCounters& counters)
        : ring_(slots)
        , control_(control)
        , counters_(counters) {}

    [[nodiscard]] PuntRing& ring() { return ring_; }

    /** False (and counted) when the ring is full or `bytes` do not fit a slot and `cut` does not
     * allow it. */
    template <class Fill>
    bool punt(Punt::Kind kind, ByteView bytes, const Fill& fill, bool cut = false) {
        const bool fits = bytes.size() <= kMessageBytes || cut;
        Punt* slot = fits && has_room(kind) ? ring_.claim() : nullptr;
        if (slot == nullptr) {
            counters_.drop(Drop::punt_full);
            return false;
        }
        slot->kind = kind;
        slot->peer = kNoPeer;
        slot->local_index = 0;
        slot->id = 0;
        slot->origin = {};
        slot->size = slot->mtu = 0;
        slot->is_tx = false;
        slot->length = static_cast<std::uint16_t>(std::min(bytes.size(), kMessageBytes));
        std::copy_n(bytes.begin(), slot->length, slot->bytes.begin());
        fill(*slot);
        if (ring_.publish() && control_ != nullptr) {
            control_->signal();
        }
        return true;
    }

  private:
    /** Strangers and pods cause these at will: half of the ring is kept for what peers cause. */
    [[nodiscard]] bool has_room(Punt::Kind kind) const {
        const bool at_will = kind == Punt::Kind::handshake || kind == Punt::Kind::too_big ||
                             kind == Punt::Kind::new_source;
        return !at_will || ring_.free_slots() > ring_.capacity() / 2;
    }

    PuntRing ring_;
    os::EventFd* control_;
    LaneCounters& counters_;
};

} // namespace weave::dataplane
