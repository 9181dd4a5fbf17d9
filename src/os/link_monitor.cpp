// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/error.hpp"
#include "os/netlink.hpp"

#include <array>

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace weave::os {

LinkMonitor::LinkMonitor()
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    name.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
        throw_errno("cannot watch network interfaces");
    }
}

bool LinkMonitor::drain() noexcept {
    std::array<std::uint8_t, 8192> buffer;
    bool changed = false;
    while (true) {
        const ssize_t got =
            ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno != EINTR && errno != ENOBUFS) {
            return changed;
        }
        changed = true;
    }
}

} // namespace weave::os
