// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/lanes.hpp"
#include "daemon/stall_watch.hpp"
#include "fastpath/filter.hpp"
#include "fastpath/socket.hpp"
#include "os/netlink.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weave::daemon {

/**
 * One interface of the underlay that the lanes serve themselves: its filter, its memory, and a
 * socket for each receive queue. The lanes stand still while it comes and goes. The filter is
 * attached for exactly as long as this lives. Control thread only.
 */
class FastInterface {
  public:
    /** Further receive queues keep to the kernel's way: each takes memory. */
    static constexpr unsigned kMaxSockets = 16;

    /** `port`: its number among those that are served. Throws std::system_error with a sentence;
     * EBUSY where a queue has somebody's socket, or had ours until just now. */
    FastInterface(Lanes& lanes, const os::Link& link, std::uint8_t port, std::uint16_t udp_port);
    ~FastInterface();
    FastInterface(const FastInterface&) = delete;
    FastInterface& operator=(const FastInterface&) = delete;

    /** The interface's own, to which datagrams are taken. */
    void set_addresses(std::span<const IpAddress> addresses) { filter_.set_addresses(addresses); }

    /** Whether the filter takes anything; it does from the beginning. */
    void take(bool takes);

    [[nodiscard]] const os::Link& link() const { return link_; }

    /** As status pages name it: "af_xdp native copy" and so on. */
    [[nodiscard]] std::string text() const;

    /** The interface vanished, or a socket failed. */
    [[nodiscard]] bool gone() const;
    [[nodiscard]] FastProgress progress() const;
    /** Frames that found no room. */
    [[nodiscard]] std::uint64_t dropped() const;

  private:
    void attach();
    void remove_ports();

    Lanes& lanes_;
    os::Link link_;
    std::uint8_t port_;
    std::uint16_t udp_port_;
    fastpath::Filter filter_;
    fastpath::Hook hook_ = fastpath::Hook::native;
    std::unique_ptr<fastpath::Umem> umem_;
    std::vector<std::unique_ptr<fastpath::Socket>> sockets_;
};

} // namespace weave::daemon
