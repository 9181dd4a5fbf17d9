// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/host.hpp"

#include <weave/types.hpp>

#include <algorithm>

namespace weave::daemon {

/** An attachment as the control API tells it. */
inline AttachmentRow row_of(const attach::Attachment& pod) {
    AttachmentRow row;
    row.id = pod.id;
    row.ifname = pod.ifname;
    row.host_ifname = pod.host_ifname;
    row.mac = pod.mac.text();
    for (const Prefix& prefix : pod.addresses) {
        row.addresses.push_back(prefix.text());
        const bool alone = prefix.length == prefix.address.bits(); // routed: any host is next
        const auto gateway = std::ranges::find_if(pod.gateways, [&](const IpAddress& each) {
            return each.is_v4() == prefix.address.is_v4() && (alone || prefix.contains(each));
        });
        row.gateways.push_back(gateway != pod.gateways.end() ? gateway->text() : "");
    }
    row.netns_inode = pod.netns_inode;
    row.host_mac = pod.host_mac.text();
    row.mtu = pod.mtu;
    row.mode = attach::name_of(pod.mode);
    return row;
}

} // namespace weave::daemon
