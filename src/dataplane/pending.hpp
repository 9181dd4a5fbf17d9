// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/snapshot.hpp"

#include <deque>
#include <memory>
#include <unordered_map>

namespace weave::dataplane {

/** Frames that wait for a data session: bounded per peer, over all lanes, and in all; the oldest of
 * this lane's goes first. */
class PendingFrames {
  public:
    static constexpr std::size_t kMaxTotalBytes = 16 * 1024 * 1024;
    static constexpr Duration kMaxAge = std::chrono::seconds{5};

    struct Frame {
        VnetHeader vnet;
        Bytes bytes;
        TimePoint since;
    };

    struct Added {
        std::size_t dropped = 0; ///< frames that made room, this one included when nothing helps
        bool ask = false;        ///< the control thread should hear of it (at most once a second)
    };

    /** A frame for which there is no memory is dropped and counted like one for which there is no
     * room. */
    Added add(PeerIndex peer,
              const std::shared_ptr<PeerState>& state,
              const VnetHeader& vnet,
              ByteView frame,
              TimePoint now);
    /** Drops a peer's frames that are older than kMaxAge; returns how many. */
    std::size_t drop_stale(PeerIndex peer, TimePoint now);
    /** Takes all frames of a peer, oldest first. */
    std::deque<Frame> take(PeerIndex peer);

    /** How much waits, for the bounds that tests watch. */
    struct Sizes {
        std::size_t frames = 0; ///< most of any one peer
        std::size_t bytes = 0;  ///< most of any one peer
        std::size_t total = 0;
    };

    [[nodiscard]] Sizes sizes() const;

  private:
    struct Queue {
        std::shared_ptr<PeerState> state;
        std::deque<Frame> frames;
        TimePoint asked{};
    };

    void drop_oldest(Queue& queue);

    std::unordered_map<PeerIndex, Queue> queues_;
    std::size_t total_ = 0;
};

} // namespace weave::dataplane
