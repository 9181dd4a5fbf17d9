// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"

#include <functional>
#include <set>

namespace weave::daemon {

/**
 * The MACs that speak on this node's bridge and were never attached: a machine behind a pod's
 * interface, a pod that gave itself another MAC. The bridge knows where it hears them and forgets
 * them when they fall silent or their port goes; this keeps those that are this node's to announce.
 * The first live owner wins: what another node has is not learned, however often it is heard here,
 * until that node's record gives it up. Control thread only.
 */
class LearnedMacs {
  public:
    /** What pods can make a node announce. */
    static constexpr std::size_t kMax = 64;
    /** How often the bridge is asked whether they are still there. */
    static constexpr Duration kReview = std::chrono::seconds{1};

    struct Ports {
        /** Whether the bridge hears the MAC on a port that is not the mesh's. */
        std::function<bool(const MacAddress&)> is_here;
        /** Whether another node goes before this one as its owner, now or once this one claims it.
         */
        std::function<bool(const MacAddress&)> is_elsewhere;
    };

    explicit LearnedMacs(Ports ports)
        : ports_(std::move(ports)) {}

    /** A frame from a MAC that nobody owns came from the bridge. True when it is learned now. */
    bool on_source(const MacAddress& mac);
    /** Forgets what is not here, or another's. True when something was forgotten. */
    bool review(TimePoint now);

    /** It was attached since: no need to learn it. */
    void forget(const MacAddress& mac) { all_.erase(mac); }

    [[nodiscard]] const std::set<MacAddress>& all() const { return all_; }

    /** How many were not learned because kMax were. */
    [[nodiscard]] std::uint64_t refused() const { return refused_; }

  private:
    Ports ports_;
    std::set<MacAddress> all_;
    TimePoint next_review_{};
    std::uint64_t refused_ = 0;
};

} // namespace weave::daemon
