// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/** What is asked for and what there is, of a host and of the pods on it. */
namespace weave::attach {

/** What pods may send, so that it fits plain Ethernet when sealed: over IPv4, and over IPv6. */
inline constexpr unsigned kMtu4 = 1376;
inline constexpr unsigned kMtu6 = 1356;

/** The one next hop of routed mode, the same on every node: frames to it go by address. */
inline constexpr MacAddress kRouterMac{{0x02, 0x77, 0x76, 0, 0, 1}};

struct HostSettings {
    std::string bridge = "weave";
    std::string tap = "weave-tap";
    /** Of the bridge, the tap and both ends of each pod's link, in bytes. */
    unsigned mtu = kMtu4;
    /** The bridge's MAC address is derived from it, so that it survives a restart. */
    NodeId node;
    /** All that pods of the mesh can have: routed pods' addresses are from there, and this is what
     * hosts send to the mesh. */
    std::vector<Prefix> ranges;
};

/** How a pod hangs on the node. */
enum class Mode : std::uint8_t {
    /** A port of the bridge: one flat network with all bridged pods of the mesh. */
    bridge,
    /** A link of its own to the host, which routes: every packet passes the host's forwarding. */
    routed,
};

struct PodRoute {
    Prefix destination;
    /** Without one: through the pod's gateway of that family or, where it has none, on the link. */
    std::optional<IpAddress> gateway;
};

struct PodSpec {
    std::string ifname = "eth0";
    std::vector<Prefix> addresses;
    /** Random and locally administered when not given. */
    std::optional<MacAddress> mac;
    /** The caller's own name for the pod; at most 200 characters, printable, no '|'. */
    std::string id;
    /** A link that is there keeps its mode: asked for another, it is refused. */
    Mode mode = Mode::bridge;
    /** In bytes; 0: the node's. */
    unsigned mtu = 0;
    /** Bridged: where the default route of its family leads. Routed pods have the host for one. */
    std::vector<IpAddress> gateways;
    std::vector<PodRoute> routes;
};

struct Attachment {
    std::string id;
    /** "wv" and ten hexadecimal digits. */
    std::string host_ifname;
    /** Random for each link that is made: names this one over restarts, while names and namespace
     * numbers are used again. */
    MacAddress host_mac;
    /** As it was made; a pod may have renamed it since. */
    std::string ifname;
    /** Of the pod's interface. */
    MacAddress mac;
    /** All that the interface has, the pod's own additions too. */
    std::vector<Prefix> addresses;
    std::uint64_t netns_inode = 0;
    Mode mode = Mode::bridge;
    /** Of the pod's interface, in bytes. */
    unsigned mtu = 0;
    /** Of a routed pod: where its default routes lead, one for each family it has. */
    std::vector<IpAddress> gateways;
};

/** "bridge" and "routed". */
const char* name_of(Mode mode);
std::optional<Mode> mode_of(std::string_view name);

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

} // namespace weave::attach
