// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Addresses and routes.
#include "os/netlink_request.hpp"

namespace weave::os {
namespace {

bool parse_address(const nlmsghdr* message, LinkAddress& out) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<IFA_MAX + 1>(message, sizeof *info);
    // On a point-to-point link IFA_ADDRESS is the other side; IFA_LOCAL is always ours.
    const auto address = ip_of(table[IFA_LOCAL] != nullptr ? table[IFA_LOCAL] : table[IFA_ADDRESS]);
    if (!address) {
        return false;
    }
    out = {info->ifa_index, {*address, info->ifa_prefixlen}, u8_of(table[IFA_PROTO])};
    return true;
}

void read_metrics(const nlattr* attribute, Route& out) {
    Attributes<RTAX_MAX + 1> table{};
    if (attribute != nullptr) {
        mnl_attr_parse_nested(attribute, keep_attribute<RTAX_MAX + 1>, &table);
        out.mtu = u32_of(table[RTAX_MTU]);
        out.advmss = u32_of(table[RTAX_ADVMSS]);
    }
}

bool parse_any_route(const nlmsghdr* message, Route& out) {
    const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const bool v4 = info->rtm_family == AF_INET;
    const unsigned char type = info->rtm_type;
    const bool known = type == RTN_UNICAST || type == RTN_BLACKHOLE || type == RTN_UNREACHABLE ||
                       type == RTN_PROHIBIT || type == RTN_THROW;
    if ((!v4 && info->rtm_family != AF_INET6) || !known) {
        return false; // this host's own addresses, broadcasts, multicasts
    }
    const auto table = attributes_of<RTA_MAX + 1>(message, sizeof *info);
    const IpAddress any = v4 ? IpAddress::v4({}) : IpAddress::v6({});
    out.destination = {ip_of(table[RTA_DST]).value_or(any), info->rtm_dst_len};
    out.gateway = ip_of(table[RTA_GATEWAY]);
    out.index = u32_of(table[RTA_OIF]);
    out.table = u32_of(table[RTA_TABLE], info->rtm_table);
    out.source = ip_of(table[RTA_PREFSRC]);
    out.metric = u32_of(table[RTA_PRIORITY]);
    out.onlink = (info->rtm_flags & RTNH_F_ONLINK) != 0;
    out.protocol = info->rtm_protocol;
    out.scope = info->rtm_scope;
    read_metrics(table[RTA_METRICS], out);
    out.type = static_cast<RouteType>(type);
    return true;
}

bool parse_route(const nlmsghdr* message, Route& out) {
    return parse_any_route(message, out) && out.type == RouteType::unicast;
}

std::uint8_t scope_of(const Route& route) {
    if (route.scope) {
        return static_cast<std::uint8_t>(*route.scope);
    }
    const bool on_link = !route.gateway && route.destination.address.is_v4();
    return on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

void put_metrics(nlmsghdr* message, const Route& route) {
    nlattr* metrics = mnl_attr_nest_start(message, RTA_METRICS);
    if (route.mtu != 0) {
        mnl_attr_put_u32(message, RTAX_MTU, route.mtu);
    }
    if (route.advmss != 0) {
        mnl_attr_put_u32(message, RTAX_ADVMSS, route.advmss);
    }
    if (route.mtu != 0 || route.advmss != 0) {
        mnl_attr_nest_end(message, metrics);
    } else {
        mnl_attr_nest_cancel(message, metrics);
    }
}

} // namespace

int Netlink::change_address(const Link& link,
                            const Prefix& prefix,
                            bool add,
                            std::uint8_t protocol) {
    ifaddrmsg info{};
    info.ifa_family = family_of(prefix.address);
    info.ifa_prefixlen = prefix.length;
    info.ifa_flags = prefix.address.is_v6() ? IFA_F_NODAD : 0;
    info.ifa_index = link.index;
    // Else programs would take it for one by which the host can be reached.
    info.ifa_scope = prefix.address.is_v4() && prefix.address.is_link_local() ? RT_SCOPE_LINK
                                                                              : RT_SCOPE_UNIVERSE;
    Request request{static_cast<std::uint16_t>(add ? RTM_NEWADDR : RTM_DELADDR),
                    add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                    info};
    put_ip(request.get(), IFA_LOCAL, prefix.address);
    put_ip(request.get(), IFA_ADDRESS, prefix.address);
    if (protocol != 0) {
        mnl_attr_put_u8(request.get(), IFA_PROTO, protocol);
    }
    return transact(request.get());
}

bool Netlink::add_address(const Link& link, const Prefix& prefix, std::uint8_t protocol) {
    const int error = change_address(link, prefix, true, protocol);
    if (error != 0 && error != EEXIST) {
        throw_error(error, "cannot add address " + prefix.text() + " to " + link.name);
    }
    return error == 0;
}

bool Netlink::delete_address(const Link& link, const Prefix& prefix) {
    const int error = change_address(link, prefix, false, 0);
    if (error != 0 && error != EADDRNOTAVAIL && error != ENODEV) {
        throw_error(error, "cannot delete address " + prefix.text() + " of " + link.name);
    }
    return error == 0;
}

std::vector<LinkAddress> Netlink::addresses(int netns_id) {
    Request request{RTM_GETADDR, 0, ifaddrmsg{}};
    if (netns_id >= 0) {
        mnl_attr_put_u32(request.get(), IFA_TARGET_NETNSID, static_cast<std::uint32_t>(netns_id));
    }
    return dump<LinkAddress>(request.get(), "addresses", parse_address);
}

int Netlink::change_route(const Route& route, bool add) {
    rtmsg info{};
    const IpAddress& destination = route.destination.address;
    info.rtm_family = family_of(destination);
    info.rtm_dst_len = route.destination.length;
    info.rtm_table =
        static_cast<unsigned char>(route.table < 256 ? route.table : 0U); // RTA_TABLE counts
    info.rtm_protocol = route.protocol;
    info.rtm_scope = add ? scope_of(route) : std::uint8_t{RT_SCOPE_NOWHERE};
    info.rtm_type = RTN_UNICAST;
    info.rtm_flags = route.onlink && add ? RTNH_F_ONLINK : 0;
    Request request{static_cast<std::uint16_t>(add ? RTM_NEWROUTE : RTM_DELROUTE),
                    add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                    info};
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
    if (route.source && add) {
        put_ip(message, RTA_PREFSRC, *route.source);
    }
    if (route.metric != 0) {
        mnl_attr_put_u32(message, RTA_PRIORITY, route.metric);
    }
    mnl_attr_put_u32(message, RTA_TABLE, route.table);
    if (add) {
        put_metrics(message, route);
    }
    return transact(message);
}

bool Netlink::add_route(const Route& route) {
    const int error = change_route(route, true);
    if (error != 0 && error != EEXIST) {
        throw_error(error, "cannot add the route to " + route.destination.text());
    }
    return error == 0;
}

bool Netlink::delete_route(const Route& route) {
    const int error = change_route(route, false);
    if (error != 0 && error != ESRCH && error != ENODEV) {
        throw_error(error, "cannot delete the route to " + route.destination.text());
    }
    return error == 0;
}

std::vector<Route> Netlink::routes_of_all_types() {
    Request request{RTM_GETROUTE, 0, rtmsg{}};
    return dump<Route>(request.get(), "routes", parse_any_route);
}

std::vector<Route> Netlink::routes(std::uint8_t protocol) {
    rtmsg info{};
    info.rtm_protocol = protocol;
    Request request{RTM_GETROUTE, 0, info};
    std::vector<Route> out = dump<Route>(request.get(), "routes", parse_route);
    // Not every address family's part of the kernel reads what it is asked for.
    std::erase_if(out,
                  [&](const Route& each) { return protocol != 0 && each.protocol != protocol; });
    return out;
}

} // namespace weave::os
