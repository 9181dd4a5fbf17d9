// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace weave::attach {

/**
 * Makes the network namespace a router for the given families, which pods need to reach anything
 * outside of the mesh. Returns what was changed, for the log: "net/ipv4/ip_forward: 0 -> 1".
 *
 * A host that forwards IPv6 no longer listens to router advertisements on interfaces whose
 * accept_ra is 1, and so loses its own default route (ip-sysctl.rst of the kernel). So each of them
 * is set to 2 before, which goes on as it was. Interfaces of ours are left alone, and so is
 * `default`: those that come later, other tools' bridges for one, are not to believe their
 * containers.
 *
 * Where the host is a router already nothing is changed. Nothing is ever changed back: others may
 * rely on it by then. Throws std::system_error with a sentence.
 */
std::vector<std::string> enable_forwarding(int netns_fd, bool v4, bool v6);

} // namespace weave::attach
