// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "session/types.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace weave::session {

/** Which trains of datagrams (UDP segmentation offload) get to a peer whole. */
enum class Trains : std::uint8_t {
    untested,      ///< nothing is known: all are sent
    whole,         ///< all
    no_equal_tail, ///< those whose last datagram is shorter than the others
    none,          ///< not even those
};
/** As status shows it. */
const char* text(Trains trains);

struct TrainProbeSettings {
    /** How long answers may take. */
    Duration patience = std::chrono::seconds(1);
    /** Attempts in which a datagram of a train does not arrive, while one alone does, that fail the
     * train. */
    unsigned attempts = 3;
    /** After an attempt in which not even that one arrived. */
    Duration pause = std::chrono::seconds(10);
    /** After a verdict. */
    Duration again = std::chrono::hours(1);
};

/** Send `count` probe records with the ids from `first_id` on, by one call. The last makes an IP
 * packet of `tail` bytes, the others of `size`; 0: as small as it gets. */
struct SendTrain {
    std::uint64_t first_id = 0;
    unsigned count = 0;
    std::uint16_t size = 0;
    std::uint16_t tail = 0;
};

/**
 * Finds out whether the hosts and networks on the way to one peer mangle trains, as some drivers
 * and hypervisors do without an error: sends authenticated probes in trains with
 * an equal, a short and the least possible tail, and one alone to compare with, and looks which are
 * answered. Each new way is tested, and each way again once an hour. Sans-I/O, one thread, bounded.
 */
class TrainProbe {
  public:
    TrainProbe(TrainProbeSettings settings, RandomSource random);

    /** Where datagrams to the peer go; nullopt: they do not go there directly. What was found of
     * another way is forgotten. */
    void set_way(const std::optional<Endpoint>& way, TimePoint now);
    /** True when the id is of a probe of these. */
    bool on_probe_ack(std::uint64_t id);
    /** `mtu`: what the way carries, in bytes of IP packets. Nothing is sent before it was called.
     */
    void tick(std::uint16_t mtu, TimePoint now);
    std::vector<SendTrain> take_trains();

    /** When tick() has something to do; max() while there is no way. */
    [[nodiscard]] TimePoint next_deadline() const { return way_ ? next_ : TimePoint::max(); }

    [[nodiscard]] Trains verdict() const { return verdict_; }

  private:
    static constexpr unsigned kLength = 4; ///< datagrams of a train

    /** Of one shape of train, over the attempts of a test. */
    struct Shape {
        std::uint64_t first_id = 0;
        unsigned arrived = 0; ///< one bit each

        [[nodiscard]] bool whole() const { return arrived == (1U << kLength) - 1; }
    };

    enum : std::size_t { kEqual, kShort, kLeast, kShapes };

    void begin(std::uint16_t mtu, TimePoint now);
    void attempt(TimePoint now);
    void judge(TimePoint now);
    void conclude(TimePoint now);
    std::uint64_t fresh_id();

    TrainProbeSettings settings_;
    RandomSource random_;
    std::optional<Endpoint> way_;
    Trains verdict_ = Trains::untested;
    TimePoint next_{}; ///< when to begin, or to judge
    bool testing_ = false;
    std::uint16_t size_ = 0;
    unsigned attempts_ = 0;
    std::uint64_t alone_id_ = 0;
    bool alone_arrived_ = false;
    std::array<Shape, kShapes> shapes_{};
    std::vector<SendTrain> trains_;
};

} // namespace weave::session
