// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "os/fd.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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
    /** A veth's peer: its index, and its namespace as the id this namespace gives it (-1: this
     * one). */
    unsigned peer_index = 0;
    int peer_netns_id = -1;
};

struct LinkAddress {
    unsigned index = 0;
    Prefix prefix;
};

struct Route {
    /** Length 0: the default route. */
    Prefix destination;
    std::optional<IpAddress> gateway;
    unsigned index = 0;
    unsigned table = 254; ///< what routes() read; add_route() knows the main table only
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
    bool add_address(const Link& link, const Prefix& prefix);
    /** False when it was not there. */
    bool delete_address(const Link& link, const Prefix& prefix);
    /** False when it was there already. */
    bool add_route(const Route& route);

    /** `netns_id`: look into a namespace that this one knows by id (Link::peer_netns_id); -1: this
     * one. */
    std::vector<Link> links(int netns_id = -1);
    std::optional<Link> link(const std::string& name);
    /** The named link; throws when there is none. */
    Link require_link(const std::string& name);
    std::vector<LinkAddress> addresses(int netns_id = -1);
    /** Unicast routes of all tables, both families. */
    std::vector<Route> routes();

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };

    explicit Netlink(std::unique_ptr<mnl_socket, Close> socket);
    /** Sends and waits for the acknowledgement; returns 0 or an errno value. */
    int transact(nlmsghdr* message);
    /** Sends a dump request and feeds its answers to `collect`; returns 0 or an errno value. */
    int run_dump(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into);
    template <class T>
    std::vector<T> dump(nlmsghdr* message, const char* what, bool (*parse)(const nlmsghdr*, T&));
    void change_link(const Link& link,
                     const std::string& what,
                     const std::function<void(nlmsghdr*)>& fill);
    int change_address(const Link& link, const Prefix& prefix, bool add);
    std::unique_ptr<mnl_socket, Close> socket_;
    std::uint32_t sequence_ = 0;
};

/** Tells that links or addresses of this namespace changed; which, the reader asks for by a dump.
 */
class LinkMonitor {
  public:
    /** Throws std::system_error. */
    LinkMonitor();

    /** Readable when something changed. Non-blocking. */
    [[nodiscard]] int fd() const { return fd_.get(); }

    /** Takes all that waits; true when there was a change (or notifications were lost). */
    bool drain() noexcept;

  private:
    UniqueFd fd_;
};

} // namespace weave::os
