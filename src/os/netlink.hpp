// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "os/fd.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

struct mnl_socket;
struct nlmsghdr;

namespace weave::os {

struct Link {
    unsigned index = 0;
    std::string name;
    MacAddress mac;
    unsigned mtu = 0;
    /** Index of the bridge it is a port of; 0: none. */
    unsigned master = 0;
    /** "bridge", "veth", "tun", ...; empty for hardware and loopback. */
    std::string kind;
    std::string alias;
    bool up = false;
    bool carrier = false;
    /** What is sent on it leaves. A carrier that has just come is noticed a little later. */
    bool sends = false;
    /** A program of the kernel (XDP) reads what arrives on it. */
    bool xdp = false;
    /** A veth's peer: its index, and its namespace as the id this namespace gives it (-1: this
     * one). */
    unsigned peer_index = 0;
    int peer_netns_id = -1;
};

/** Who made an address, a route or a neighbour entry, as the kernel keeps it: 119, which nobody
 * else uses (iproute2's rt_protos), is ours. Kernels before 5.18 do not keep it for addresses. */
inline constexpr std::uint8_t kOwnProtocol = 119;

struct LinkAddress {
    unsigned index = 0;
    Prefix prefix;
    std::uint8_t protocol = 0;
};

/** RTN_... of rtnetlink(7): a route leads somewhere, or refuses. */
enum class RouteType : std::uint8_t {
    unicast = 1,
    blackhole = 6,
    unreachable = 7,
    prohibit = 8,
    none = 9, ///< RTN_THROW
};

inline constexpr unsigned kMainTable = 254;

struct Route {
    /** Length 0: the default route. */
    Prefix destination;
    std::optional<IpAddress> gateway;
    unsigned index = 0;
    unsigned table = kMainTable;
    /** Where the host itself sends from. */
    std::optional<IpAddress> source;
    /** The lowest is used; 0: the kernel's default. */
    unsigned metric = 0;
    /** The gateway is on the link although no route says so. */
    bool onlink = false;
    std::uint8_t protocol = 4; ///< RTPROT_STATIC
    unsigned mtu = 0;          ///< of paths this way, in bytes; 0: the link's
    unsigned advmss = 0;       ///< TCP segments asked for, in bytes; 0: what the MTU allows
    /** How far the destination is, as in rtm_scope; nothing: by whether there is a gateway. Of
     * IPv4. */
    std::optional<std::uint8_t> scope;
    RouteType type = RouteType::unicast; ///< what routes_of_all_types() reads
};

/** A neighbour whose MAC address does not have to be asked for or, as a proxy, an address that this
 * host answers for. */
struct Neighbour {
    unsigned index = 0;
    IpAddress address;
    MacAddress mac; ///< none of a proxy
    bool proxy = false;
    std::uint8_t protocol = kOwnProtocol;
    bool permanent = true; ///< what neighbours() read; others know permanent ones only
};

/** How packets to an address leave this host. */
struct NextHop {
    unsigned index = 0;  ///< of the interface
    IpAddress source;    ///< what they are sent from
    IpAddress neighbour; ///< the address itself, or a gateway
    MacAddress mac;      ///< of the neighbour; zero: the kernel does not know it now
    bool fresh = false;  ///< the kernel is sure of it
    unsigned mtu = 0;    ///< of this route, in bytes; 0: the interface's
};

struct BridgeSpec {
    std::string name;
    MacAddress mac;
    unsigned mtu = 0;
};

struct VethSpec {
    std::string name;
    MacAddress mac;
    unsigned mtu = 0;
    std::string peer_name;
    MacAddress peer_mac;
    /** The namespace the peer is created in; -1: this one. */
    int peer_netns_fd = -1;
};

/**
 * One rtnetlink socket, bound to the network namespace it was opened in. Blocking; one thread at a
 * time. Whatever fails throws std::system_error with a sentence such as "cannot create veth wvab12:
 * File exists".
 */
class Netlink {
  public:
    static Netlink open();
    static Netlink open_in(int netns_fd);
    Netlink(Netlink&&) noexcept;
    Netlink& operator=(Netlink&&) noexcept;
    ~Netlink();

    /** No spanning tree, no multicast snooping, no forwarding delay. Created down. */
    void create_bridge(const BridgeSpec& spec);
    /** Turns multicast snooping and the spanning tree off on an existing bridge. */
    void configure_bridge(const Link& bridge);
    void create_veth(const VethSpec& spec);
    /** A link that is already gone is no error. */
    void delete_link(const Link& link);

    void set_up(const Link& link, bool up);
    void set_mtu(const Link& link, unsigned mtu);
    void set_mac(const Link& link, const MacAddress& mac);
    /** 0 takes the link out of its bridge. */
    void set_master(const Link& link, unsigned master_index);
    /** At most 255 bytes. */
    void set_alias(const Link& link, const std::string& alias);

    /** False when it was there already. IPv6 addresses are usable at once (no duplicate detection).
     */
    bool add_address(const Link& link, const Prefix& prefix, std::uint8_t protocol = 0);
    /** False when it was not there. */
    bool delete_address(const Link& link, const Prefix& prefix);
    /** False when there was one to the same destination with the same metric already. */
    bool add_route(const Route& route);
    /** False when it was not there. */
    bool delete_route(const Route& route);
    /** Replaces what was known of the address on that link. */
    void set_neighbour(const Neighbour& neighbour);
    /** False when it was not there. */
    bool delete_neighbour(const Neighbour& neighbour);
    /** Frames to `mac` go to that port of a bridge, whoever claims it elsewhere. */
    void pin_mac(const Link& port, const MacAddress& mac);

    /** `netns_id`: look into a namespace that this one knows by id (Link::peer_netns_id); -1: this
     * one. */
    std::vector<Link> links(int netns_id = -1);
    std::optional<Link> link(const std::string& name);
    std::optional<Link> link_at(unsigned index);
    /** The named link; throws when there is none. */
    Link require_link(const std::string& name);
    std::vector<LinkAddress> addresses(int netns_id = -1);
    /** The index of the port on which the bridge has heard the MAC lately; nullopt: on none. */
    std::optional<unsigned> learned_port(const Link& bridge, const MacAddress& mac);
    /** Unicast routes of all tables, both families; `protocol`: only those of that maker. */
    std::vector<Route> routes(std::uint8_t protocol = 0);
    /** Those too that lead nowhere: blackhole, unreachable, prohibit, throw. */
    std::vector<Route> routes_of_all_types();
    /** What is known of one link's neighbours, both families, proxies too. */
    std::vector<Neighbour> neighbours(const Link& link);
    /** What routes and neighbours say now; nullopt when there is no way, or one with more to it
     * than an interface and a neighbour. `source`: for packets from that address. */
    std::optional<NextHop> next_hop(const IpAddress& to, const std::optional<IpAddress>& source);
    /** Packets to that address end in this namespace. */
    bool is_local(const IpAddress& address);
    /** Has the kernel look for the neighbour, or ask it again, as if a packet was sent there. */
    void look_for_neighbour(const NextHop& hop);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };

    explicit Netlink(std::unique_ptr<mnl_socket, Close> socket);
    /** Sends and waits for the acknowledgement; returns 0 or an errno value. */
    int transact(nlmsghdr* message);
    /** Sends a request for one object and feeds the answer to `collect`; returns 0 or an errno
     * value. */
    int run_get(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into);
    std::optional<Link> ask_link(nlmsghdr* message);
    /** Sends a dump request and feeds its answers to `collect`; returns 0 or an errno value. */
    int run_dump(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into);
    template <class T>
    std::vector<T> dump(nlmsghdr* message, const char* what, bool (*parse)(const nlmsghdr*, T&));
    void change_link(const Link& link,
                     const std::string& what,
                     const std::function<void(nlmsghdr*)>& fill);
    int change_address(const Link& link, const Prefix& prefix, bool add, std::uint8_t protocol);
    int change_route(const Route& route, bool add);
    int change_neighbour(const Neighbour& neighbour, bool add);
    std::unique_ptr<mnl_socket, Close> socket_;
    std::uint32_t sequence_ = 0;
};

/** What LinkMonitor was told. */
struct LinkChanges {
    bool lost = false;        ///< more than can wait: anything may have changed, anywhere
    std::set<unsigned> links; ///< of this namespace, by index: made, changed or gone
    bool addresses = false;   ///< of this namespace
    std::set<int> namespaces; ///< where links or addresses changed, as Link::peer_netns_id

    /** Whether anything changed in this namespace. */
    [[nodiscard]] bool here() const { return lost || addresses || !links.empty(); }
};

/**
 * Tells which links and addresses changed, in the namespace it was made in and in those that this
 * one knows by id, as it does wherever a veth leads. The kernel tells before whoever made the
 * change goes on. One thread at a time.
 */
class LinkMonitor {
  public:
    /** Throws std::system_error. */
    LinkMonitor();

    /** Readable when something changed. Non-blocking. */
    [[nodiscard]] int fd() const { return fd_.get(); }

    /** False for want of CAP_NET_BROADCAST: of other namespaces nothing is told. */
    [[nodiscard]] bool hears_others() const { return hears_others_; }

    /** Takes all that waits. */
    LinkChanges drain();

  private:
    UniqueFd fd_;
    bool hears_others_ = false;
};

/** Tells that links, addresses, routes or neighbours of this namespace changed. One thread at a
 * time. */
class RouteMonitor {
  public:
    /** Throws std::system_error. */
    RouteMonitor();

    /** Readable when something changed. Non-blocking. */
    [[nodiscard]] int fd() const { return fd_.get(); }

    /** Takes all that waits; false when that was nothing. */
    bool drain() const;

  private:
    UniqueFd fd_;
};

} // namespace weave::os
