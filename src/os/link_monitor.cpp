// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/error.hpp"
#include "os/netlink.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weave::os {
namespace {

/** How much may wait while the reader is busy, in bytes: the notices of some hundred new pods. */
constexpr int kReceiveBuffer = 2 * 1024 * 1024;

/** capabilities(7): asked for, as the kernel says nothing to a socket that it leaves out. */
bool may_hear_others() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
    return ::syscall(SYS_capget, &header, data.data()) == 0 &&
           (data[0].effective & (1U << CAP_NET_BROADCAST)) != 0;
}

/** The other namespace that a message is of; nullopt: this one. */
std::optional<int> namespace_of(msghdr& message) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level == SOL_NETLINK && part->cmsg_type == NETLINK_LISTEN_ALL_NSID) {
            int id = 0;
            std::memcpy(&id, CMSG_DATA(part), sizeof id);
            return id;
        }
    }
    return std::nullopt;
}

void note(const nlmsghdr* message, LinkChanges& out) {
    if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR) {
        out.addresses = true;
    } else if (mnl_nlmsg_get_payload_len(message) >= sizeof(ifinfomsg)) {
        const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
        out.links.insert(static_cast<unsigned>(info->ifi_index));
    }
}

} // namespace

LinkMonitor::LinkMonitor()
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    name.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    // A smaller buffer only means more looks at everything.
    (void)::setsockopt(
        fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
    const int on = 1;
    hears_others_ =
        ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) == 0 &&
        may_hear_others();
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
        throw_errno("cannot watch network interfaces");
    }
}

LinkChanges LinkMonitor::drain() {
    alignas(nlmsghdr) std::array<std::uint8_t, 32768> buffer;
    alignas(cmsghdr) std::array<std::uint8_t, 256> control;
    LinkChanges out;
    while (true) {
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
        if (got < 0 && errno != EINTR && errno != ENOBUFS) {
            return out;
        }
        if (got < 0) {
            out.lost = out.lost || errno == ENOBUFS;
            continue;
        }
        out.lost = out.lost || (message.msg_flags & MSG_TRUNC) != 0;
        if (const auto id = namespace_of(message)) {
            out.namespaces.insert(*id);
            continue;
        }
        int left = static_cast<int>(got);
        const auto* each = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; mnl_nlmsg_ok(each, left); each = mnl_nlmsg_next(each, &left)) {
            note(each, out);
        }
    }
}

} // namespace weave::os
