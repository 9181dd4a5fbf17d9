// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// How the kernel would send a packet, and by which neighbour.
#include "os/netlink_request.hpp"

#include <linux/neighbour.h>

namespace weave::os {
namespace {

/** States in which the kernel sends to the neighbour at once. */
constexpr unsigned kUsable =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

struct Found {
    NextHop hop;
    IpAddress neighbour;
    bool usable = false;
};

int take_route(const nlmsghdr* message, void* into) {
    auto& found = *static_cast<Found*>(into);
    const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<RTA_MAX + 1>(message, sizeof *info);
    // Through a tunnel, by several ways, or by a gateway of the other family: the kernel's
    // business.
    const bool plain = info->rtm_type == RTN_UNICAST && table[RTA_ENCAP] == nullptr &&
                       table[RTA_VIA] == nullptr && table[RTA_MULTIPATH] == nullptr;
    if (!plain || table[RTA_OIF] == nullptr) {
        return MNL_CB_STOP;
    }
    found.hop.index = u32_of(table[RTA_OIF]);
    // Not said where a source was part of the question.
    found.hop.source = ip_of(table[RTA_PREFSRC]).value_or(IpAddress{});
    found.neighbour = ip_of(table[RTA_GATEWAY]).value_or(found.neighbour);
    Attributes<RTAX_MAX + 1> metrics{};
    if (table[RTA_METRICS] != nullptr) {
        mnl_attr_parse_nested(table[RTA_METRICS], keep_attribute<RTAX_MAX + 1>, &metrics);
        found.hop.mtu = u32_of(metrics[RTAX_MTU]);
    }
    found.usable = true;
    return MNL_CB_STOP;
}

int take_neighbour(const nlmsghdr* message, void* into) {
    auto& hop = *static_cast<NextHop*>(into);
    const auto* info = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<NDA_MAX + 1>(message, sizeof *info);
    if ((info->ndm_state & kUsable) != 0) {
        hop.mac = mac_of(table[NDA_LLADDR]);
        hop.fresh = (info->ndm_state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE)) != 0;
    }
    return MNL_CB_STOP;
}

} // namespace

bool Netlink::is_local(const IpAddress& address) {
    rtmsg info{};
    info.rtm_family = family_of(address);
    info.rtm_dst_len = static_cast<unsigned char>(address.bits());
    Request request{RTM_GETROUTE, 0, info};
    put_ip(request.get(), RTA_DST, address);
    bool local = false;
    const auto take_type = [](const nlmsghdr* message, void* into) -> int {
        const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
        *static_cast<bool*>(into) = route->rtm_type == RTN_LOCAL;
        return MNL_CB_STOP;
    };
    return run_get(request.get(), take_type, &local) == 0 && local;
}

std::optional<NextHop> Netlink::next_hop(const IpAddress& to,
                                         const std::optional<IpAddress>& source) {
    rtmsg info{};
    info.rtm_family = family_of(to);
    info.rtm_dst_len = static_cast<unsigned char>(to.bits());
    info.rtm_src_len = static_cast<unsigned char>(source ? source->bits() : 0);
    Request request{RTM_GETROUTE, 0, info};
    put_ip(request.get(), RTA_DST, to);
    if (source) {
        put_ip(request.get(), RTA_SRC, *source);
    }
    Found found;
    found.neighbour = to;
    // There is no telling: so no way.
    if (run_get(request.get(), take_route, &found) != 0 || !found.usable) {
        return std::nullopt;
    }
    found.hop.source = source.value_or(found.hop.source);
    if (found.hop.source.is_unspecified()) {
        return std::nullopt;
    }
    found.hop.neighbour = found.neighbour;
    ndmsg asked{};
    asked.ndm_family = family_of(to);
    asked.ndm_ifindex = static_cast<int>(found.hop.index);
    Request question{RTM_GETNEIGH, 0, asked};
    put_ip(question.get(), NDA_DST, found.neighbour);
    (void)run_get(question.get(), take_neighbour, &found.hop);
    return found.hop;
}

void Netlink::look_for_neighbour(const NextHop& hop) {
    ndmsg info{};
    info.ndm_family = family_of(hop.neighbour);
    info.ndm_ifindex = static_cast<int>(hop.index);
    info.ndm_flags = NTF_USE;
    Request request{RTM_NEWNEIGH, NLM_F_CREATE, info};
    put_ip(request.get(), NDA_DST, hop.neighbour);
    (void)transact(request.get()); // a link that is gone has no neighbours
}

} // namespace weave::os
