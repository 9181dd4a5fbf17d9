// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/block_pool.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/snapshot.hpp"

#include <array>
#include <map>
#include <memory>
#include <optional>

namespace weave::dataplane {

/**
 * Frames that wait for a data session: bounded per peer, over all lanes, and in all; the oldest of
 * this lane's goes first. They are copied into memory that is there from the beginning: nothing is
 * allocated for one. One thread.
 */
class PendingFrames {
  public:
    /** For frames and what is known of them: small ones take 1 KB where they are the only one of
     * their peer. */
    static constexpr std::size_t kMemory = 16 * 1024 * 1024;
    static constexpr Duration kMaxAge = std::chrono::seconds{5};

    explicit PendingFrames(std::size_t memory = kMemory)
        : pool_(memory / BlockPool::kBlockSize) {}

    /** Returns how many frames were dropped to make room, this one included where that did not
     * help. */
    std::size_t add(PeerIndex peer,
                    const std::shared_ptr<PeerState>& state,
                    const VnetHeader& vnet,
                    ByteView frame,
                    TimePoint now);
    /** Drops a peer's frames that are older than kMaxAge; returns how many. */
    std::size_t drop_stale(PeerIndex peer, TimePoint now);
    /** Drops all frames of a peer; returns how many. */
    std::size_t drop_all(PeerIndex peer);
    /** How many wait for a peer. */
    [[nodiscard]] std::size_t count(PeerIndex peer) const;

    struct Frame {
        VnetHeader vnet;
        ByteSpan bytes;
    };

    /** Moves the oldest frame of a peer to the beginning of `into`, which has room for any. Nothing
     * when none waits. */
    std::optional<Frame> take(PeerIndex peer, ByteSpan into);

    /** How much waits, for the bounds that tests watch. */
    struct Sizes {
        std::size_t frames = 0; ///< most of any one peer
        std::size_t bytes = 0;  ///< most of any one peer
        std::size_t total = 0;
    };

    [[nodiscard]] Sizes sizes() const;

  private:
    /** Part of a frame. */
    struct Block {
        Block* next = nullptr; ///< of the same frame

        /** Of the first block of a frame only. */
        struct Head {
            Block* next_frame = nullptr;
            std::size_t size = 0;
            TimePoint since{};
            VnetHeader vnet{};
        } head;

        std::array<std::uint8_t, BlockPool::kBlockSize - sizeof(Head) - sizeof(Block*)> bytes;
    };

    static_assert(sizeof(Block) == BlockPool::kBlockSize);

    /** The frames of one peer, at least one. */
    struct Queue {
        std::shared_ptr<PeerState> state;
        Block* first = nullptr;
        Block* last = nullptr;
        std::size_t frames = 0;
        std::size_t bytes = 0;
    };

    using Queues = std::pmr::map<PeerIndex, Queue>;

    [[nodiscard]] bool has_memory(std::size_t frame) const;
    Block* store(const VnetHeader& vnet, ByteView frame, TimePoint now);
    /** The queue itself goes with its last frame: true then. */
    bool drop_oldest(Queues::iterator queue);

    BlockPool pool_;
    Queues queues_{&pool_};
};

} // namespace weave::dataplane
