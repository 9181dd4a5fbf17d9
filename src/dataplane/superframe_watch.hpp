// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"
#include "dataplane/kernel_errors.hpp"
#include "dataplane/packet.hpp"

#include <array>
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
 * and again costs nobody but itself. Of one lane and its thread; allocates nothing.
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
    /** The newest bytes of a TCP flow that were handed on in superframes without a gap. */
    struct Flow {
        std::uint64_t key = 0;
        std::uint32_t from = 0;
        std::uint32_t to = 0;
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
    };

    Pair* pair_of(std::uint64_t key, TimePoint now);
    static std::uint32_t overlap(const Flow& flow, std::uint32_t sequence, std::uint32_t size);
    static void extend(Flow& flow, std::uint64_t key, std::uint32_t sequence, std::uint32_t size);

    std::array<Flow, 512> flows_{};
    std::array<Pair, 64> pairs_{};
};

} // namespace weave::dataplane
