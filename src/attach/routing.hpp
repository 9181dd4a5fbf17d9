// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/pod.hpp"
#include "os/netlink.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace weave::attach {

/** A routed pod's next hop, the same for all: its host, at the other end of the pod's link. */
IpAddress pod_gateway(bool v6);

/**
 * What the host's kernel knows of the ways to pods: a route and a permanent neighbour for each pod
 * here, one next hop with the router's MAC for all that is elsewhere, and which pods' addresses the
 * host answers for on the bridge. Nothing of it depends on ARP, and no entry is kept for a pod
 * elsewhere. All is marked as ours in the kernel. Throws std::system_error with a sentence.
 */
class Routing {
  public:
    /** All three outlive it. */
    Routing(os::Netlink& netlink, int netns_fd, const HostSettings& settings);

    /** `there`: what all links of the host have now. */
    void set_node_addresses(const os::Link& bridge,
                            const std::vector<os::LinkAddress>& there,
                            const std::vector<Prefix>& addresses);
    /** Whether an address on the bridge is one of those, and is not exposed as well. */
    [[nodiscard]] bool is_node_address(const os::LinkAddress& entry) const;

    /** The ways to a routed pod, beside all others. Throws when a route leads elsewhere already. */
    void add(const os::Link& bridge, const os::Link& port, const Attachment& pod);
    /** The ways to some addresses of a routed pod go. */
    void remove(const os::Link& bridge, const os::Link& port, const std::vector<Prefix>& addresses);
    /** To what addresses a routed pod's link leads. */
    std::vector<Prefix> addresses_at(const os::Link& port);
    /** All is as it should be with these pods, whose host ends are among `ports`. */
    void converge(const os::Link& bridge,
                  const std::vector<os::Link>& ports,
                  const std::vector<Attachment>& pods);

    [[nodiscard]] bool active() const { return active_; }

    /** Whether the host has to speak IPv6 on the bridge for its routes. */
    bool needs_v6(const os::Link& bridge);

  private:
    struct Ways {
        std::vector<os::Route> routes;
        std::vector<os::Neighbour> neighbours;
    };

    struct Families {
        bool v4 = false;
        bool v6 = false;

        void add(const IpAddress& address) { (address.is_v4() ? v4 : v6) = true; }

        [[nodiscard]] bool has(const IpAddress& address) const { return address.is_v4() ? v4 : v6; }
    };

    [[nodiscard]] std::optional<IpAddress> source_for(const IpAddress& destination) const;
    [[nodiscard]] bool in_range(const IpAddress& address) const;
    void put_pod(Ways& ways,
                 const os::Link& bridge,
                 const os::Link& port,
                 const Attachment& pod,
                 Families active) const;
    void put_mesh(Ways& ways, const os::Link& bridge, Families active) const;
    void enable(const os::Link& bridge, Families wanted);
    std::vector<os::Route> add_ways(const Ways& ways);
    void converge_ways(const os::Link& bridge, const std::set<unsigned>& ours, const Ways& wanted);
    void converge_neighbours(const os::Link& bridge, const std::vector<os::Neighbour>& wanted);

    os::Netlink& netlink_;
    int netns_fd_;
    const HostSettings& settings_;
    /** Which MAC the pod at each port has, as the kernel was told by this object. */
    std::map<unsigned, MacAddress> told_;
    std::vector<IpAddress> node_addresses_;
    std::set<IpAddress> only_ours_; ///< those of them that are not exposed as well
    Families enabled_;
    bool active_ = false;
};

} // namespace weave::attach
