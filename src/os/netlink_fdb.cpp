// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/netlink_request.hpp"

#include <linux/neighbour.h>

namespace weave::os {
namespace {

/** The port of a forwarding entry that the bridge has learned; 0 for one of the bridge's own. */
int read_port(const nlmsghdr* message, void* into) {
    const auto* entry = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
    if (message->nlmsg_type == RTM_NEWNEIGH && (entry->ndm_state & NUD_PERMANENT) == 0) {
        *static_cast<unsigned*>(into) = static_cast<unsigned>(entry->ndm_ifindex);
    }
    return MNL_CB_STOP;
}

} // namespace

std::optional<unsigned> Netlink::learned_port(const Link& bridge, const MacAddress& mac) {
    ndmsg info{};
    info.ndm_family = AF_BRIDGE;
    Request request{RTM_GETNEIGH, 0, info};
    mnl_attr_put(request.get(), NDA_LLADDR, mac.octets.size(), mac.octets.data());
    mnl_attr_put_u32(request.get(), NDA_MASTER, bridge.index);
    unsigned port = 0;
    const int error = run_get(request.get(), read_port, &port);
    if (error != 0 && error != ENOENT) {
        throw_error(error, "cannot ask bridge " + bridge.name + " for a MAC address");
    }
    return port != 0 ? std::optional(port) : std::nullopt;
}

} // namespace weave::os
