// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/inventory.hpp"
#include "attach/pod.hpp"
#include "attach/routing.hpp"
#include "os/fd.hpp"
#include "os/netlink.hpp"
#include "os/tap.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::attach {

/** What prepare_pod() did, to be undone. */
struct PreparedPod {
    Attachment pod;
    bool made = false;         ///< there was no such link before
    std::vector<Prefix> added; ///< those the interface did not have before
};

/**
 * The node's bridge, tap and pod links in the network namespace where it was made. All state is the
 * kernel's: each call converges on what is wanted over whatever is left from before. What is read
 * of it again and again is kept in the Inventory. Blocking; one
 * thread at a time. Throws std::system_error with a sentence.
 */
class Host {
  public:
    explicit Host(HostSettings settings);
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /** Creates or repairs the bridge and sets it up. */
    void ensure_bridge();
    /** Opens the tap (removing one that nobody holds), makes it a port of the bridge and sets it
     * up. */
    os::Tap ensure_tap(unsigned queues);
    /** Makes the already opened tap a port of the bridge again. */
    void adopt_tap();

    /**
     * Takes what an earlier start with other settings left: pods' links come to the bridge, and
     * both their ends have the MTU. Returns the host ends of those that could not be changed. What
     * another router of this host uses is left alone.
     */
    std::vector<std::string> adopt_pods();
    /** Bridges of our making that no router works on: those without ports are removed, others lose
     * the host's addresses. */
    void leave_old_bridges(const std::vector<Prefix>& exposed);

    /**
     * Gives the namespace an interface on the pod network. The same namespace and interface again:
     * what is missing is added, nothing is taken away; all of it or nothing. Everything is there
     * then, and the interface, if it is new, is down.
     */
    PreparedPod prepare_pod(int netns_fd, const PodSpec& spec);
    /** As if prepare_pod() had not been called. */
    void undo(int netns_fd, const PreparedPod& prepared);
    /** After prepare_pod(): the interface is up, has its routes, and the pod announces itself. */
    void start_pod(int netns_fd, const PodSpec& spec);
    /** False when there was no such attachment. */
    bool detach_pod(std::uint64_t netns_inode, const std::string& ifname);
    /** A program of the kernel (XDP) reads what comes to some pod's interface or some port of the
     * bridge, at either end: before the kernel has completed a checksum. */
    bool read_raw();

    /** Something changed of which the kernel does not tell, such as a program attached by a BPF
     * link: what follows reads all interfaces again. */
    void look_anew() { inventory_.forget(); }

    /** The host ends of pods' interfaces. */
    std::vector<os::Link> ports();
    /** All attachments, as the kernel has them now; those are left out whose namespace cannot be
     * looked into now. */
    std::vector<Attachment> list();
    /** All attachments, as their host ends tell: without MAC, addresses and gateways of the pod. */
    std::vector<Attachment> known();
    /** The one made with that id and interface name, also when its namespace cannot be got at: what
     * detach_pod() wants. An empty id finds nothing. */
    std::optional<Attachment> find(const std::string& id, const std::string& ifname);

    /** The addresses that the host has for itself on the pod network and sends from; their lengths
     * do not matter. Those of earlier calls, and of earlier processes, go. One that is exposed may
     * be among them. */
    void set_node_addresses(const std::vector<Prefix>& addresses);
    /**
     * The host's routes to these pods, and to the mesh where it needs them, are what they should
     * be, and nothing is left of pods that are gone. `pods` is list() less what pods gave
     * themselves: no way leads to such addresses.
     */
    void converge_routes(const std::vector<Attachment>& pods);

    /** Frames to the router's MAC are understood here: there are routed pods, or the host has an
     * address for itself. As of the last converge_routes(). */
    [[nodiscard]] bool routes() const { return routing_.active(); }

    /** Gives the host an address on the network; false when it has it. */
    bool expose(const Prefix& prefix);
    /** False when the host had no such address. */
    bool hide(const Prefix& prefix);
    std::vector<Prefix> exposed();
    /** What the host has on its other interfaces. */
    std::set<IpAddress> addresses_elsewhere();

  private:
    os::Link bridge();
    void converge_bridge(const os::Link& link);
    void let_bridge_speak_v6(bool speak);
    bool needs_v6();
    void remove_idle_tap(os::Link tap);
    // bridged.cpp: a pod on the bridge
    void quiet_port(const os::Link& link);
    void join_bridge(const os::Link& port);
    void start_bridged(os::Netlink& pod, const os::Link& inside, const PodSpec& spec);
    // routed.cpp: a pod on a link of its own
    void join_host(const os::Link& port, bool v6);
    void start_routed(os::Netlink& pod, const os::Link& inside, const MacAddress& host_mac);
    void refuse_foreign(const std::vector<Prefix>& addresses);
    // pods.cpp
    [[nodiscard]] std::vector<os::Link> own_ports(const std::vector<os::Link>& links) const;
    [[nodiscard]] unsigned mtu_of(const os::Link& port) const;
    void check_request(int netns_fd, const PodSpec& spec);
    os::Link ensure_pod_link(int netns_fd, os::Netlink& pod, const PodSpec& spec);
    void converge_label(const os::Link& port, const PodSpec& spec, std::uint64_t netns_inode);
    void connect_port(const os::Link& port, const PodSpec& spec);
    PreparedPod
    configure_pod(int netns_fd, os::Netlink& pod, const PodSpec& spec, const os::Link& port);
    os::Link await_port(const std::string& name);
    void delete_port(const os::Link& port);
    // takeover.cpp
    [[nodiscard]] std::set<unsigned> bridges_of_others(const std::vector<os::Link>& links) const;
    bool converge_mtu(const os::Link& port);
    void take_port(const os::Link& port, const os::Link& own);

    HostSettings settings_;
    os::UniqueFd netns_;
    os::Netlink netlink_;
    Inventory inventory_;
    Routing routing_;
    bool made_bridge_ = false; ///< by this process, which has no TAP on it yet
};

} // namespace weave::attach
