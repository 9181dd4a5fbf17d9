// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Neighbour entries, and where a bridge sends a MAC address.
#include "os/netlink_request.hpp"

#include <linux/neighbour.h>

namespace weave::os {
namespace {

bool parse_neighbour(const nlmsghdr* message, Neighbour& out) {
    const auto* info = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<NDA_MAX + 1>(message, sizeof *info);
    const auto address = ip_of(table[NDA_DST]);
    if (!address) {
        return false;
    }
    out.index = static_cast<unsigned>(info->ndm_ifindex);
    out.address = *address;
    out.mac = mac_of(table[NDA_LLADDR]);
    out.proxy = (info->ndm_flags & NTF_PROXY) != 0;
    out.protocol = u8_of(table[NDA_PROTOCOL]);
    out.permanent = (info->ndm_state & NUD_PERMANENT) != 0;
    return true;
}

} // namespace

int Netlink::change_neighbour(const Neighbour& neighbour, bool add) {
    ndmsg info{};
    info.ndm_family = family_of(neighbour.address);
    info.ndm_ifindex = static_cast<int>(neighbour.index);
    info.ndm_state = NUD_PERMANENT;
    info.ndm_flags = neighbour.proxy ? NTF_PROXY : 0;
    Request request{static_cast<std::uint16_t>(add ? RTM_NEWNEIGH : RTM_DELNEIGH),
                    add ? NLM_F_CREATE | NLM_F_REPLACE : 0,
                    info};
    put_ip(request.get(), NDA_DST, neighbour.address);
    if (add) {
        if (!neighbour.proxy) {
            const auto& octets = neighbour.mac.octets;
            mnl_attr_put(request.get(), NDA_LLADDR, octets.size(), octets.data());
        }
        mnl_attr_put_u8(request.get(), NDA_PROTOCOL, neighbour.protocol);
    }
    return transact(request.get());
}

void Netlink::set_neighbour(const Neighbour& neighbour) {
    if (const int error = change_neighbour(neighbour, true)) {
        throw_error(error, "cannot make the neighbour entry of " + neighbour.address.text());
    }
}

bool Netlink::delete_neighbour(const Neighbour& neighbour) {
    const int error = change_neighbour(neighbour, false);
    if (error != 0 && error != ENOENT && error != ENODEV) {
        throw_error(error, "cannot delete the neighbour entry of " + neighbour.address.text());
    }
    return error == 0;
}

std::vector<Neighbour> Netlink::neighbours(const Link& link) {
    std::vector<Neighbour> out;
    for (const std::uint8_t flags : {std::uint8_t{0}, std::uint8_t{NTF_PROXY}}) {
        ndmsg info{};
        info.ndm_flags = flags;
        Request request{RTM_GETNEIGH, 0, info};
        mnl_attr_put_u32(request.get(), NDA_IFINDEX, link.index);
        for (Neighbour& each : dump<Neighbour>(request.get(), "neighbours", parse_neighbour)) {
            if (each.index == link.index) {
                out.push_back(each);
            }
        }
    }
    return out;
}

void Netlink::pin_mac(const Link& port, const MacAddress& mac) {
    ndmsg info{};
    info.ndm_family = AF_BRIDGE;
    info.ndm_ifindex = static_cast<int>(port.index);
    info.ndm_state = NUD_NOARP; // it does not age
    info.ndm_flags = NTF_MASTER | NTF_STICKY;
    Request request{RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, info};
    mnl_attr_put(request.get(), NDA_LLADDR, mac.octets.size(), mac.octets.data());
    if (const int error = transact(request.get())) {
        throw_error(error, "cannot send " + mac.text() + " to " + port.name);
    }
}

} // namespace weave::os
