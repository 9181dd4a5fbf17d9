// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/netlink.hpp"

#include <map>
#include <optional>
#include <vector>

namespace weave::attach {

/**
 * The links and addresses of the host's namespace and of those that its veths lead to. All is read
 * once, and again is read only what the kernel says has changed, by whomever: a question costs what
 * happened since the last one, not what there is. The kernel says so before whoever changed it goes
 * on, so that an answer is as new as one of the kernel's own. Where the kernel does not tell of
 * other namespaces (LinkMonitor::hears_others()), those are read each time.
 *
 * What is returned is valid until the next call of links() or addresses(). Blocking; one thread at
 * a time. Throws std::system_error.
 */
class Inventory {
  public:
    struct Inside {
        std::vector<os::Link> links;
        std::vector<os::LinkAddress> addresses;
    };

    /** `netlink` is of this thread's namespace. */
    explicit Inventory(os::Netlink& netlink);

    /** In the order of their indices. */
    const std::vector<os::Link>& links();
    const std::vector<os::LinkAddress>& addresses();
    /** Of the namespace at the other end of a veth, Link::peer_netns_id, as of the last call of
     * links(); throws when it is gone. */
    const Inside& inside(int netns_id);

    /** Something changed of which the kernel does not tell: all is read again. */
    void forget() { known_ = false; }

  private:
    void catch_up();
    void read_all();
    void read_again(unsigned index);

    os::Netlink& netlink_;
    os::LinkMonitor monitor_;
    bool known_ = false; ///< else nothing of what follows can be relied on
    std::vector<os::Link> links_;
    std::optional<std::vector<os::LinkAddress>> addresses_;
    std::map<int, Inside> insides_;
};

} // namespace weave::attach
