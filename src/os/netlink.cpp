// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/netlink.hpp"

#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

namespace weave::os {
namespace {

/** A request under construction. Ours are short: names, two MACs, an alias. */
class Request {
  public:
    template <class Family> Request(std::uint16_t type, int flags, Family family) {
        header_ = mnl_nlmsg_put_header(buffer_);
        header_->nlmsg_type = type;
        header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        *static_cast<Family*>(mnl_nlmsg_put_extra_header(header_, sizeof(Family))) = family;
    }

    [[nodiscard]] nlmsghdr* get() { return header_; }

  private:
    alignas(8) std::uint8_t buffer_[2048]{};
    nlmsghdr* header_;
};

ifinfomsg link_message(unsigned index = 0) {
    ifinfomsg out{};
    out.ifi_family = AF_UNSPEC;
    out.ifi_index = static_cast<int>(index);
    return out;
}

void put_mac(nlmsghdr* message, const MacAddress& mac) {
    mnl_attr_put(message, IFLA_ADDRESS, mac.octets.size(), mac.octets.data());
}

void put_ip(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
    mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
}

unsigned char family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

/** Attributes by type; those above the table's end are skipped. */
template <std::size_t N> using Attributes = std::array<const nlattr*, N>;

template <std::size_t N> int keep_attribute(const nlattr* attribute, void* into) {
    auto& table = *static_cast<Attributes<N>*>(into);
    if (mnl_attr_get_type(attribute) < N) {
        table[mnl_attr_get_type(attribute)] = attribute;
    }
    return MNL_CB_OK;
}

template <std::size_t N> Attributes<N> attributes_of(const nlmsghdr* message, std::size_t extra) {
    Attributes<N> table{};
    mnl_attr_parse(message, static_cast<unsigned>(extra), keep_attribute<N>, &table);
    return table;
}

std::uint32_t u32_of(const nlattr* attribute, std::uint32_t otherwise = 0) {
    return attribute != nullptr ? mnl_attr_get_u32(attribute) : otherwise;
}

std::string text_of(const nlattr* attribute) {
    return attribute != nullptr ? std::string{mnl_attr_get_str(attribute)} : std::string{};
}

std::optional<IpAddress> ip_of(const nlattr* attribute) {
    if (attribute == nullptr) {
        return std::nullopt;
    }
    return IpAddress::from_bytes({static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                                  mnl_attr_get_payload_len(attribute)});
}

std::string kind_of(const nlattr* info) {
    Attributes<IFLA_INFO_MAX + 1> table{};
    if (info != nullptr) {
        mnl_attr_parse_nested(info, keep_attribute<IFLA_INFO_MAX + 1>, &table);
    }
    return text_of(table[IFLA_INFO_KIND]);
}

bool parse_link(const nlmsghdr* message, Link& out) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<IFLA_MAX + 1>(message, sizeof *info);
    out.index = static_cast<unsigned>(info->ifi_index);
    out.up = (info->ifi_flags & IFF_UP) != 0;
    out.name = text_of(table[IFLA_IFNAME]);
    out.alias = text_of(table[IFLA_IFALIAS]);
    out.kind = kind_of(table[IFLA_LINKINFO]);
    out.mtu = u32_of(table[IFLA_MTU]);
    out.master = u32_of(table[IFLA_MASTER]);
    out.peer_index = u32_of(table[IFLA_LINK]);
    out.peer_netns_id = static_cast<int>(u32_of(table[IFLA_LINK_NETNSID], ~0u));
    out.carrier = table[IFLA_CARRIER] != nullptr && mnl_attr_get_u8(table[IFLA_CARRIER]) != 0;
    const nlattr* mac = table[IFLA_ADDRESS];
    if (mac != nullptr && mnl_attr_get_payload_len(mac) == out.mac.octets.size()) {
        const auto* octets = static_cast<const std::uint8_t*>(mnl_attr_get_payload(mac));
        std::copy_n(octets, out.mac.octets.size(), out.mac.octets.begin());
    }
    return true;
}

bool parse_address(const nlmsghdr* message, LinkAddress& out) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<IFA_MAX + 1>(message, sizeof *info);
    // On a point-to-point link IFA_ADDRESS is the other side; IFA_LOCAL is always ours.
    const auto address = ip_of(table[IFA_LOCAL] != nullptr ? table[IFA_LOCAL] : table[IFA_ADDRESS]);
    if (!address) {
        return false;
    }
    out = {info->ifa_index, {*address, info->ifa_prefixlen}};
    return true;
}

bool parse_route(const nlmsghdr* message, Route& out) {
    const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const bool v4 = info->rtm_family == AF_INET;
    if ((!v4 && info->rtm_family != AF_INET6) || info->rtm_type != RTN_UNICAST) {
        return false;
    }
    const auto table = attributes_of<RTA_MAX + 1>(message, sizeof *info);
    const IpAddress any = v4 ? IpAddress::v4({}) : IpAddress::v6({});
    out.destination = {ip_of(table[RTA_DST]).value_or(any), info->rtm_dst_len};
    out.gateway = ip_of(table[RTA_GATEWAY]);
    out.index = u32_of(table[RTA_OIF]);
    out.table = u32_of(table[RTA_TABLE], info->rtm_table);
    return true;
}

void put_bridge_data(nlmsghdr* message) {
    nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_str(message, IFLA_INFO_KIND, "bridge");
    nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u32(message, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u32(message, IFLA_BR_FORWARD_DELAY, 0);
    mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
}

} // namespace

void Netlink::Close::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

Netlink::Netlink(std::unique_ptr<mnl_socket, Close> socket)
    : socket_(std::move(socket)) {}

Netlink::Netlink(Netlink&&) noexcept = default;
Netlink& Netlink::operator=(Netlink&&) noexcept = default;
Netlink::~Netlink() = default;

Netlink Netlink::open() {
    std::unique_ptr<mnl_socket, Close> socket{mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
        throw_errno("cannot open a rtnetlink socket");
    }
    // Strict checking makes dumps heed the namespace they are asked for; all our kernels have it.
    int on = 1;
    mnl_socket_setsockopt(socket.get(), NETLINK_GET_STRICT_CHK, &on, sizeof on);
    return Netlink{std::move(socket)};
}

Netlink Netlink::open_in(int netns_fd) {
    std::optional<Netlink> out;
    run_in_netns(netns_fd, [&] { out = open(); });
    return std::move(*out);
}

int Netlink::transact(nlmsghdr* message) {
    message->nlmsg_flags |= NLM_F_ACK;
    message->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
        return errno;
    }
    alignas(8) std::array<std::uint8_t, 8192> buffer;
    while (true) {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        const int verdict = mnl_cb_run(buffer.data(),
                                       static_cast<std::size_t>(got),
                                       sequence_,
                                       mnl_socket_get_portid(socket_.get()),
                                       nullptr,
                                       nullptr);
        if (verdict < 0 && (errno == ESRCH || errno == EPROTO)) {
            // ESRCH may be the kernel's answer, or libmnl's word for a message that is not for us.
            const auto* reply = reinterpret_cast<const nlmsghdr*>(buffer.data());
            if (reply->nlmsg_seq != sequence_) {
                continue;
            }
        }
        if (verdict <= MNL_CB_STOP) {
            return verdict < 0 ? errno : 0;
        }
    }
}

int Netlink::run_dump(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into) {
    message->nlmsg_flags |= NLM_F_DUMP;
    message->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
        return errno;
    }
    std::vector<std::uint8_t> buffer(32768);
    bool interrupted = false;
    int verdict = MNL_CB_OK;
    while (verdict > MNL_CB_STOP) {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (got < 0) {
            return errno;
        }
        // libmnl gives up at the first mark of an interrupted dump. The marks are taken off so that
        // the dump is read to its end: nothing stale may wait for the next request.
        int left = static_cast<int>(got);
        for (auto* part = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(part, left);
             part = mnl_nlmsg_next(part, &left)) {
            interrupted |= (part->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            part->nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_DUMP_INTR);
        }
        verdict = mnl_cb_run(buffer.data(),
                             static_cast<std::size_t>(got),
                             sequence_,
                             mnl_socket_get_portid(socket_.get()),
                             collect,
                             into);
    }
    return verdict < 0 ? errno : interrupted ? EINTR : 0;
}

template <class T>
std::vector<T>
Netlink::dump(nlmsghdr* message, const char* what, bool (*parse)(const nlmsghdr*, T&)) {
    struct Collector {
        std::vector<T> items;
        bool (*parse)(const nlmsghdr*, T&);
    };

    const auto collect = [](const nlmsghdr* part, void* into) -> int {
        auto* collector = static_cast<Collector*>(into);
        T item{};
        if (collector->parse(part, item)) {
            collector->items.push_back(std::move(item));
        }
        return MNL_CB_OK;
    };
    constexpr int kAttempts = 10; // EINTR: the table changed under the dump
    int error = EINTR;
    for (int attempt = 0; attempt < kAttempts && error == EINTR; ++attempt) {
        Collector collector{{}, parse};
        error = run_dump(message, collect, &collector);
        if (error == 0) {
            return std::move(collector.items);
        }
    }
    throw_error(error, std::string{"cannot list "} + what);
}

void Netlink::create_bridge(const BridgeSpec& spec) {
    Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_message()};
    mnl_attr_put_strz(request.get(), IFLA_IFNAME, spec.name.c_str());
    mnl_attr_put_u32(request.get(), IFLA_MTU, spec.mtu);
    put_mac(request.get(), spec.mac);
    put_bridge_data(request.get());
    if (const int error = transact(request.get())) {
        throw_error(error, "cannot create bridge " + spec.name);
    }
}

void Netlink::configure_bridge(const Link& bridge) {
    change_link(bridge, "configure bridge", put_bridge_data);
}

void Netlink::create_veth(const VethSpec& spec) {
    Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_message()};
    nlmsghdr* message = request.get();
    mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
    mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
    put_mac(message, spec.mac);
    nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_str(message, IFLA_INFO_KIND, "veth");
    nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
    mnl_attr_put_strz(message, IFLA_IFNAME, spec.peer_name.c_str());
    mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
    put_mac(message, spec.peer_mac);
    if (spec.peer_netns_fd >= 0) {
        mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_netns_fd));
    }
    mnl_attr_nest_end(message, peer);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
    if (const int error = transact(message)) {
        throw_error(error, "cannot create veth " + spec.name);
    }
}

void Netlink::delete_link(const Link& link) {
    Request request{RTM_DELLINK, 0, link_message(link.index)};
    const int error = transact(request.get());
    if (error != 0 && error != ENODEV) {
        throw_error(error, "cannot delete " + link.name);
    }
}

void Netlink::change_link(const Link& link,
                          const std::string& what,
                          const std::function<void(nlmsghdr*)>& fill) {
    Request request{RTM_NEWLINK, 0, link_message(link.index)};
    fill(request.get());
    if (const int error = transact(request.get())) {
        throw_error(error, "cannot " + what + ' ' + link.name);
    }
}

void Netlink::set_up(const Link& link, bool up) {
    ifinfomsg info = link_message(link.index);
    info.ifi_change = IFF_UP;
    info.ifi_flags = up ? IFF_UP : 0;
    Request request{RTM_NEWLINK, 0, info};
    if (const int error = transact(request.get())) {
        throw_error(error, (up ? "cannot set up " : "cannot set down ") + link.name);
    }
}

void Netlink::set_mtu(const Link& link, unsigned mtu) {
    change_link(link, "set MTU " + std::to_string(mtu) + " on", [&](nlmsghdr* message) {
        mnl_attr_put_u32(message, IFLA_MTU, mtu);
    });
}

void Netlink::set_mac(const Link& link, const MacAddress& mac) {
    change_link(link, "set MAC address " + mac.text() + " on", [&](nlmsghdr* message) {
        put_mac(message, mac);
    });
}

void Netlink::set_master(const Link& link, unsigned master_index) {
    change_link(link, "change the bridge of", [&](nlmsghdr* message) {
        mnl_attr_put_u32(message, IFLA_MASTER, master_index);
    });
}

void Netlink::set_alias(const Link& link, const std::string& alias) {
    change_link(link, "label", [&](nlmsghdr* message) {
        mnl_attr_put_str(message, IFLA_IFALIAS, alias.c_str());
    });
}

int Netlink::change_address(const Link& link, const Prefix& prefix, bool add) {
    ifaddrmsg info{};
    info.ifa_family = family_of(prefix.address);
    info.ifa_prefixlen = prefix.length;
    info.ifa_flags = prefix.address.is_v6() ? IFA_F_NODAD : 0;
    info.ifa_index = link.index;
    Request request{static_cast<std::uint16_t>(add ? RTM_NEWADDR : RTM_DELADDR),
                    add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                    info};
    put_ip(request.get(), IFA_LOCAL, prefix.address);
    put_ip(request.get(), IFA_ADDRESS, prefix.address);
    return transact(request.get());
}

bool Netlink::add_address(const Link& link, const Prefix& prefix) {
    const int error = change_address(link, prefix, true);
    if (error != 0 && error != EEXIST) {
        throw_error(error, "cannot add address " + prefix.text() + " to " + link.name);
    }
    return error == 0;
}

bool Netlink::delete_address(const Link& link, const Prefix& prefix) {
    const int error = change_address(link, prefix, false);
    if (error != 0 && error != EADDRNOTAVAIL && error != ENODEV) {
        throw_error(error, "cannot delete address " + prefix.text() + " of " + link.name);
    }
    return error == 0;
}

bool Netlink::add_route(const Route& route) {
    rtmsg info{};
    const IpAddress& destination = route.destination.address;
    info.rtm_family = family_of(destination);
    info.rtm_dst_len = route.destination.length;
    info.rtm_table = RT_TABLE_MAIN;
    info.rtm_protocol = RTPROT_STATIC;
    info.rtm_scope = !route.gateway && destination.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    info.rtm_type = RTN_UNICAST;
    Request request{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, info};
    nlmsghdr* message = request.get();
    if (route.destination.length != 0) {
        put_ip(message, RTA_DST, route.destination.network().address);
    }
    if (route.gateway) {
        put_ip(message, RTA_GATEWAY, *route.gateway);
    }
    if (route.index != 0) {
        mnl_attr_put_u32(message, RTA_OIF, route.index);
    }
    const int error = transact(message);
    if (error != 0 && error != EEXIST) {
        throw_error(error, "cannot add the route to " + route.destination.text());
    }
    return error == 0;
}

std::vector<Link> Netlink::links(int netns_id) {
    Request request{RTM_GETLINK, 0, link_message()};
    if (netns_id >= 0) {
        mnl_attr_put_u32(request.get(), IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(netns_id));
    }
    return dump<Link>(request.get(), "network interfaces", parse_link);
}

std::optional<Link> Netlink::link(const std::string& name) {
    for (Link& candidate : links()) {
        if (candidate.name == name) {
            return std::move(candidate);
        }
    }
    return std::nullopt;
}

Link Netlink::require_link(const std::string& name) {
    auto found = link(name);
    if (!found) {
        throw_sentence(ENODEV, "there is no network interface " + name);
    }
    return *std::move(found);
}

std::vector<LinkAddress> Netlink::addresses(int netns_id) {
    Request request{RTM_GETADDR, 0, ifaddrmsg{}};
    if (netns_id >= 0) {
        mnl_attr_put_u32(request.get(), IFA_TARGET_NETNSID, static_cast<std::uint32_t>(netns_id));
    }
    return dump<LinkAddress>(request.get(), "addresses", parse_address);
}

std::vector<Route> Netlink::routes() {
    Request request{RTM_GETROUTE, 0, rtmsg{}};
    return dump<Route>(request.get(), "routes", parse_route);
}

} // namespace weave::os
