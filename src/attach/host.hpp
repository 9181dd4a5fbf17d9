// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "os/fd.hpp"
#include "os/netlink.hpp"
#include "os/tap.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::attach {

/** What pods may send, so that it fits plain Ethernet when sealed: over IPv4, and over IPv6. */
inline constexpr unsigned kMtu4 = 1376;
inline constexpr unsigned kMtu6 = 1356;

struct HostSettings {
    std::string bridge = "weave";
    std::string tap = "weave-tap";
    /** Of the bridge, the tap and both ends of each pod's link, in bytes. */
    unsigned mtu = kMtu4;
    /** The bridge's MAC address is derived from it, so that it survives a restart. */
    NodeId node;
};

struct PodSpec {
    std::string ifname = "eth0";
    std::vector<Prefix> addresses;
    /** Random and locally administered when not given. */
    std::optional<MacAddress> mac;
    /** The caller's own name for the pod; at most 128 characters, printable, no '|'. */
    std::string id;
};

struct Attachment {
    std::string id;
    /** "wv" and ten hexadecimal digits. */
    std::string host_ifname;
    /** Random for each link that is made: names this one over restarts, while names and namespace
     * numbers are used again. */
    MacAddress host_mac;
    std::string ifname;
    /** Of the pod's interface. */
    MacAddress mac;
    /** All that the interface has, the pod's own additions too. */
    std::vector<Prefix> addresses;
    std::uint64_t netns_inode = 0;
};

/** What prepare_pod() did, to be undone. */
struct PreparedPod {
    Attachment pod;
    bool made = false;         ///< there was no such link before
    std::vector<Prefix> added; ///< those the interface did not have before
};

/** 02 and five bytes of a hash of the node id. */
MacAddress bridge_mac(const NodeId& node);

/** Whom ICMP answers come from: another one, as the bridge would take its own for a loop. */
MacAddress answer_mac(const NodeId& node);

/** The host end's name for an interface of a network namespace: "wv" and ten hexadecimal digits. */
std::string host_ifname(std::uint64_t netns_inode, const std::string& ifname);

/** A sentence why no interface can have that name; empty when one can. */
std::string check_ifname(const std::string& name);

/** A sentence why no interface on the network can have that address; empty when one can. */
std::string check_address(const Prefix& prefix);

/** A sentence why `spec` cannot be used; empty when it can. */
std::string check_pod(const PodSpec& spec);

/**
 * The node's bridge, tap and pod links in the network namespace where it was made. All state is the
 * kernel's: each call converges on what is wanted over whatever is left from before. Blocking; one
 * thread at a time. Throws std::system_error with a sentence.
 */
class Host {
  public:
    explicit Host(HostSettings settings);

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
     * Gives the namespace an interface on the bridge. The same namespace and interface again: what
     * is missing is added, nothing is taken away; all of it or nothing. Everything is there then,
     * and the interface, if it is new, is down.
     */
    PreparedPod prepare_pod(int netns_fd, const PodSpec& spec);
    /** As if prepare_pod() had not been called. */
    void undo(int netns_fd, const PreparedPod& prepared);
    /** After prepare_pod(): the interface is up, and the pod announces itself. */
    void start_pod(int netns_fd, const std::string& ifname);
    /** False when there was no such attachment. */
    bool detach_pod(std::uint64_t netns_inode, const std::string& ifname);
    /** Detaches whatever we put into the namespace; returns the names the interfaces were given. */
    std::vector<std::string> detach_all(std::uint64_t netns_inode);
    /** The host ends of pods' interfaces. */
    std::vector<os::Link> ports();
    /** All attachments, read from the kernel. */
    std::vector<Attachment> list();

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
    bool exposes_v6();
    void quiet_port(const os::Link& link);
    os::Link ensure_pod_link(int netns_fd, os::Netlink& pod, const PodSpec& spec);
    PreparedPod configure_pod(int netns_fd, os::Netlink& pod, const PodSpec& spec);
    [[nodiscard]] std::set<unsigned> bridges_of_others(const std::vector<os::Link>& links) const;
    bool converge_mtu(const os::Link& port);

    HostSettings settings_;
    os::UniqueFd netns_;
    os::Netlink netlink_;
    bool made_bridge_ = false; ///< by this process, which has no TAP on it yet
};

} // namespace weave::attach
