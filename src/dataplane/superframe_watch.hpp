// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "dataplane/kernel_errors.hpp"
#include "dataplane/packet.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

namespace weave::dataplane {

/**
 * Notices that superframes do not arrive behind this host, where a network card damages what it has
 * to cut (TSO of forwarded superframes): TCP then sends again what was handed on in them. What was
 * lost on its way here does not count, as it was never handed on.
 *
 * It judges what one sender sends to one destination by itself, so that who sends the same again
 * and again costs nobody but itself. Of all lanes, as a flow that sends more or less than before
 * changes its lane. Any thread; allocates nothing and waits for nobody: what two lanes do at the
 * same moment with the same pair is noted of one.
 */
class SuperframeWatch {
  public:
    /** In each window, the bytes handed on in superframes are set beside those that came again. */
    static constexpr Duration kWindow = std::chrono::seconds{10};
    /** Fewer superframes in a window, or fewer repetitions, say nothing. */
    static constexpr std::uint32_t kLeast = 8;
    /** Further back than TCP's window is, but for few: older bytes were not sent again, but are
     * another connection's. */
    static constexpr std::uint32_t kReach = 16 * 1024 * 1024;

    /** The destination of this frame gets single frames of its sender for now. */
    [[nodiscard]] bool holds(const VnetHeader& vnet, ByteView frame, TimePoint now) const;

    /**
     * To be called for what was handed on: `frames` as they would have been without joining.
     * Returns until when there will be no superframes to that destination, when that begins now.
     */
    std::optional<TimePoint>
    wrote(const VnetHeader& vnet, std::span<const ByteView> frames, TimePoint now);

  private:
    /** The newest bytes of a TCP flow that were handed on without a gap. Sequence numbers wrap:
     * what lies before the first is further from it than the last is. */
    struct Flow {
        std::uint64_t key = 0;
        std::uint32_t from = 0;
        std::uint32_t size = 0;
        std::uint32_t joined = 0; ///< so many, and none behind them went in a superframe

        /** Begins among them, or right behind. */
        [[nodiscard]] bool follows(std::uint32_t sequence) const { return sequence - from <= size; }

        [[nodiscard]] std::uint32_t again(std::uint32_t sequence, std::uint32_t bytes) const;
        void extend(std::uint32_t sequence, std::uint32_t bytes, bool superframe);
    };

    /** A sender and a destination. */
    struct Pair {
        std::uint64_t key = 0;
        Abstinence abstinence;
        TimePoint since{};
        std::uint32_t superframes = 0;
        std::uint32_t repetitions = 0;
        std::uint64_t joined = 0; ///< bytes, in superframes
        std::uint64_t again = 0;  ///< of those, bytes that came again

        /** A window. */
        void begin(TimePoint now) {
            since = now;
            superframes = repetitions = 0;
            joined = again = 0;
        }
    };

    /** Pairs do not share one, so that lanes with different pairs seldom meet. */
    struct alignas(64) Shard {
        mutable std::atomic_flag taken;
        std::array<Flow, 32> flows{};
        std::array<Pair, 8> pairs{};
    };

    /** Takes the shard, unless somebody else has it. */
    class Turn;

    static Pair* pair_of(Shard& shard, std::uint64_t key, TimePoint now);
    /** Returns how many of these bytes had gone in superframes, or between such. */
    static std::uint32_t note(Flow& flow,
                              std::uint64_t key,
                              std::uint32_t sequence,
                              std::uint32_t bytes,
                              bool superframe);

    std::array<Shard, 16> shards_{};
};

} // namespace weave::dataplane
