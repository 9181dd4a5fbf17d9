// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/netlink.hpp"

#include <string>
#include <vector>

namespace weave::attach {

/**
 * Whether this host has routes or addresses in pods' ranges that are not ours: a sentence that
 * names the first one and says what to do; empty when there is none. Ours is whatever hangs on that
 * bridge, on other bridges, TAPs and links that bear our mark, and routes of our protocol, of this
 * or an earlier run. So is a host route to a veth: a pod's that another plugin made with an address
 * of ours (weave-ipam). Default routes do not count, nor do the halves that stand for one.
 * Looks at the main table only. Throws std::system_error with a sentence.
 */
std::string
find_overlap(os::Netlink& netlink, const std::vector<Prefix>& ranges, const std::string& bridge);

} // namespace weave::attach
