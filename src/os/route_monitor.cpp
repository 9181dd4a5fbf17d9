// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/error.hpp"
#include "os/netlink.hpp"

#include <array>
#include <cerrno>

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace weave::os {

RouteMonitor::RouteMonitor()
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    name.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_NEIGH |
                     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
        throw_errno("cannot watch routes and neighbours");
    }
}

bool RouteMonitor::drain() const {
    std::array<std::uint8_t, 32768> buffer;
    bool some = false;
    // What was lost for want of room is no different: whoever is told looks at everything.
    while (::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0 || errno == EINTR ||
           errno == ENOBUFS) {
        some = true;
    }
    return some;
}

} // namespace weave::os
