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
 * to cut (TSO of forwarded superframes): TCP then sends again what was handed on already. What was
 * lost on its way here does not count, as it was never handed on.
 *
 * It judges each destination MAC address by itself: a pod that sends, or makes others send, the
 * same again and again costs nobody but itself. Of one lane and its thread; allocates nothing.
 */
class SuperframeWatch {
  public:
    /** In each window, the bytes handed on in superframes are set beside those that came again. */
    static constexpr Duration kWindow = std::chrono::seconds{10};
    /** Fewer superframes in a window say nothing. */
    static constexpr std::uint32_t kLeast = 8;
    /** Further back than any window of TCP that is worth a superframe; older bytes were not sent
     * again, but are another connection's. */
    static constexpr std::uint32_t kReach = 16 * 1024 * 1024;

    /** The destination of this frame gets single frames for now. */
    [[nodiscard]] bool holds(ByteView frame, TimePoint now) const;

    /**
     * To be called for what was handed on: `frames` as they would have been without joining.
     * Returns how long there will be no superframes to that destination, when that begins now.
     */
    std::optional<TimePoint>
    wrote(const VnetHeader& vnet, std::span<const ByteView> frames, TimePoint now);

  private:
    /** The newest bytes of a TCP flow that were handed on without a gap. */
    struct Flow {
        std::uint64_t key = 0;
        std::uint32_t from = 0;
        std::uint32_t to = 0;
    };

    struct Destination {
        MacAddress mac;
        Abstinence abstinence;
        TimePoint since{};
        std::uint32_t superframes = 0;
        std::uint64_t joined = 0; ///< bytes, in superframes
        std::uint64_t again = 0;  ///< bytes that had been handed on before
    };

    static std::size_t place_of(const MacAddress& mac);
    Destination* destination_of(const MacAddress& mac, TimePoint now);
    std::uint32_t handed_on_before(std::uint64_t key, std::uint32_t sequence, std::uint32_t size);

    std::array<Flow, 512> flows_{};
    std::array<Destination, 64> destinations_{};
};

} // namespace weave::dataplane
