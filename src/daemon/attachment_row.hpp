// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/host.hpp"

#include <weave/types.hpp>

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
    }
    row.netns_inode = pod.netns_inode;
    return row;
}

} // namespace weave::daemon
