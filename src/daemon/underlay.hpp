// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/options.hpp"
#include "os/netlink.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <set>
#include <vector>

namespace weave::daemon {

/**
 * What peers may dial: the addresses that the user advertises, else every global address of the
 * host that is neither a pod's nor the bridge's, nor that of another bridge, where containers or
 * virtual machines have private networks, unless a default route leaves by it. Sorted, at most
 * wire::kMaxEndpoints.
 */
std::vector<Endpoint> underlay_endpoints(const Options& options,
                                         const std::vector<os::Link>& links,
                                         const std::vector<os::LinkAddress>& addresses,
                                         const std::vector<os::Route>& routes);

/**
 * The MTU of pods when none is given: less where an IPv6 underlay is in sight, of this host or of a
 * peer that is named by an IPv6 address. A bridge that is there and has either keeps what it has,
 * so that pods' interfaces do not change under them. Throws std::system_error.
 */
std::uint16_t automatic_mtu(const Options& options, std::vector<std::string> targets);
/** The same of what was found. */
std::uint16_t automatic_mtu(const std::vector<Endpoint>& own,
                            const std::vector<std::string>& targets,
                            unsigned bridge_mtu);

/** Follows the addresses of the host. Control thread only. */
class Underlay {
  public:
    /** `on_change` is called, later and never at once, when endpoints or MTUs changed;
     * `on_any_change` when any link or address did, of the host or of a namespace that a veth of
     * the host leads to. */
    Underlay(boost::asio::io_context& io,
             const Options& options,
             std::function<void()> on_change,
             std::function<void()> on_any_change);

    [[nodiscard]] const std::vector<Endpoint>& endpoints() const { return now_.endpoints; }

    /** All addresses of the host. */
    [[nodiscard]] std::set<IpAddress> own() const;

    /** MTU of the interface that packets to the endpoint leave by; 0 when there is no telling. */
    [[nodiscard]] std::uint16_t mtu_towards(const Endpoint& to) const;

  private:
    struct Seen {
        std::vector<Endpoint> endpoints;
        std::map<IpAddress, unsigned> mtus; ///< of the interface that bears the address

        bool operator==(const Seen&) const = default;
    };

    void wait();
    void look_after(std::chrono::milliseconds pause);
    void look_again();
    [[nodiscard]] bool concerns(const os::LinkChanges& changes) const;
    Seen look();

    const Options& options_;
    std::function<void()> on_change_;
    std::function<void()> on_any_change_;
    os::LinkMonitor monitor_;
    boost::asio::posix::stream_descriptor readable_;
    boost::asio::steady_timer settle_;
    bool changed_ = false;       ///< something of the host, since it was looked at
    std::set<unsigned> bearing_; ///< the links that had an address then
    Seen now_;
};

} // namespace weave::daemon
