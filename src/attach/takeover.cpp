// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What a start finds of earlier ones with other settings.
#include "attach/host.hpp"
#include "attach/label.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <system_error>

namespace weave::attach {

using os::Link;
using os::Netlink;

/** Bridges that another router of this host works on: its TAP there has a carrier. */
std::set<unsigned> Host::bridges_of_others(const std::vector<Link>& links) const {
    std::set<unsigned> out;
    for (const Link& link : links) {
        if (link.kind == "tun" && link.alias == kOwnAlias && link.carrier) {
            out.insert(link.master);
        }
    }
    const auto own = std::ranges::find(links, settings_.bridge, &Link::name);
    if (own != links.end()) {
        out.erase(own->index);
    }
    return out;
}

/** Both ends of a pod's link. False when the pod's end cannot be got at. */
bool Host::converge_mtu(const Link& port) {
    const unsigned wanted = mtu_of(port);
    if (port.mtu != wanted) {
        netlink_.set_mtu(port, wanted);
    }
    for (const Link& inside : netlink_.links(port.peer_netns_id)) {
        if (inside.index != port.peer_index || inside.mtu == wanted) {
            continue;
        }
        const os::UniqueFd netns = os::find_netns(Label::parse(port.alias)->netns_inode);
        if (!netns) {
            return false;
        }
        Netlink::open_in(netns.get()).set_mtu(inside, wanted);
    }
    return true;
}

/** It hangs on our bridge, or is routed by us. */
void Host::take_port(const Link& port, const Link& own) {
    Label label = *Label::parse(port.alias);
    if (label.router.empty()) {
        if (port.master != own.index) {
            netlink_.set_master(port, own.index);
        }
    } else if (label.router != settings_.bridge) {
        label.router = settings_.bridge;
        netlink_.set_alias(port, label.text());
    }
}

std::vector<std::string> Host::adopt_pods() {
    const Link own = bridge();
    std::vector<std::string> failed;
    for (const Link& port : own_ports(netlink_.links())) {
        try {
            take_port(port, own);
            if (!converge_mtu(port)) {
                failed.push_back(port.name);
            }
        } catch (const std::system_error&) {
            failed.push_back(port.name); // its namespace goes away, or is not ours to enter
        }
    }
    return failed;
}

void Host::leave_old_bridges(const std::vector<Prefix>& exposed) {
    const Link own = bridge();
    const std::vector<Link> links = netlink_.links();
    const std::set<unsigned> others = bridges_of_others(links);
    for (const Link& old : links) {
        if (old.kind != "bridge" || old.alias != kOwnAlias || old.index == own.index ||
            others.contains(old.index)) {
            continue;
        }
        const auto port = [&](const Link& link) { return link.master == old.index; };
        if (std::ranges::none_of(links, port)) {
            netlink_.delete_link(old);
            continue;
        }
        for (const Prefix& prefix : exposed) { // what others put there stays with its bridge
            netlink_.delete_address(old, prefix);
        }
    }
}

} // namespace weave::attach
