// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/fast_interface.hpp"
#include "daemon/lanes.hpp"
#include "daemon/path_trial.hpp"
#include "daemon/stall_watch.hpp"
#include "dataplane/snapshot.hpp"
#include "os/ethtool.hpp"
#include "os/netlink.hpp"

#include <weave/types.hpp>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weave::daemon {

struct FastPathSettings {
    std::uint16_t port = 0;
    /** Addresses that the router listens on; empty: all. */
    std::vector<IpAddress> listen;
    /** Only where a trial shows that it is faster. */
    bool by_trial = false;
};

/**
 * The ways past the kernel: finds out by which interface, neighbour and source address each peer is
 * reached, serves those interfaces by sockets of their own, follows what changes, and goes back to
 * the kernel's sockets where anything is missing. Control thread only.
 */
class FastPath {
  public:
    /** `on_change`: what hop() answers is no longer what it was. Throws std::system_error. */
    FastPath(Lanes& lanes, FastPathSettings settings, std::function<void()> on_change);

    /** How datagrams to that endpoint leave; one without a port where they go by the kernel. An
     * unspecified source is the kernel's choice. */
    [[nodiscard]] dataplane::FastHop hop(const Endpoint& to, const IpAddress& source) const;

    /** Often; `peers` as lanes see them. */
    void tick(const dataplane::PeerTable& peers, TimePoint now);

    /** Nothing of ours is on any interface, and everything goes by the kernel, from when this
     * returns until the next tick(). */
    void release();

    [[nodiscard]] std::vector<FastPathRow> rows() const;

  private:
    static constexpr const char* kWaits = "no trial yet, for want of traffic";

    using Way = std::pair<IpAddress, IpAddress>; ///< to, and from

    /** An interface by which peers are reached. */
    struct Served {
        std::string name;
        std::unique_ptr<FastInterface> open; ///< nullptr: by the kernel
        std::string reason;                  ///< why not, or why no longer
        std::optional<std::uint8_t> port;
        os::Link link;
        os::Link tried;    ///< the link as it was when it was opened last, or could not be
        bool takes = true; ///< while it is open: that way is used, not only tried
        // By trial:
        bool settled = false; ///< nothing is tried until the link changes
        std::optional<PathTrial> trial;
        os::Link judged;       ///< the link that it is settled for
        os::Offloads offloads; ///< and what that did
        TimePoint glanced{};
        std::uint64_t seen_bytes = 0;
        unsigned busy = 0; ///< glances in a row with traffic worth a trial
        TimePoint try_again{};
        TimePoint used{};
        StallWatch watch;
        std::uint64_t stalls = 0;
    };

    void look(const dataplane::PeerTable& peers, TimePoint now);
    std::map<Way, os::NextHop> find_ways(const dataplane::PeerTable& peers);
    void serve(unsigned index, const std::vector<os::Link>& links, TimePoint now);
    void open(Served& served, const os::Link& link, TimePoint now);
    void close(Served& served, const std::string& reason, TimePoint again);
    void watch(TimePoint now);
    void refresh_hops();
    void review(Served& served);
    // fast_path_auto.cpp
    [[nodiscard]] std::map<unsigned, std::uint64_t>
    traffic(const dataplane::PeerTable& peers) const;
    bool is_busy(const dataplane::PeerTable& peers, TimePoint now);
    void weigh(const dataplane::PeerTable& peers, TimePoint now);
    void glance(Served& served, std::uint64_t bytes, TimePoint now);
    void begin_trial(Served& served, std::uint64_t bytes, TimePoint now);
    void go_on_with(Served& served, std::uint64_t bytes, TimePoint now);
    void take(Served& served, bool fast);
    void settle(Served& served, const std::string& reason);
    void tell_addresses();
    std::optional<std::uint8_t> free_port();
    [[nodiscard]] dataplane::FastHop hop_of(const os::NextHop& way) const;

    Lanes& lanes_;
    FastPathSettings settings_;
    std::function<void()> on_change_;
    os::Netlink netlink_ = os::Netlink::open();
    os::RouteMonitor monitor_;
    bool changed_ = true;
    const dataplane::PeerTable* seen_ = nullptr; ///< to be compared with, no more
    std::uint8_t last_port_ = 0;
    TimePoint next_look_{};
    TimePoint next_round_{};
    TimePoint next_watch_{};
    std::map<unsigned, Served> served_; ///< by the interface's index
    std::map<Way, os::NextHop> ways_;
    std::map<Way, dataplane::FastHop> hops_;
    TimePoint next_glance_{};
    TimePoint next_total_{};
    TimePoint busy_until_{};
    std::uint64_t seen_total_ = 0;
};

} // namespace weave::daemon
