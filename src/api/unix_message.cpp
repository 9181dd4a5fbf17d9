// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/unix_message.hpp"

#include <array>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace weave::api {

namespace {

// Room for more than the one descriptor the protocol knows: what does not fit would be lost
// silently, what fits can be closed.
constexpr std::size_t kMaxDescriptors = 8;

void take_descriptors(const msghdr& message, Descriptor& fd) {
    auto* header = &const_cast<msghdr&>(message); // CMSG_NXTHDR is not const-correct
    for (cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int value = -1;
            std::memcpy(&value, CMSG_DATA(part) + i * sizeof(int), sizeof value);
            Descriptor received(value);
            if (!fd) {
                fd = std::move(received);
            }
        }
    }
}

} // namespace

std::ptrdiff_t receive_some(int socket, char* out, std::size_t room, Descriptor& fd) {
    iovec part{out, room};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (count >= 0) {
        take_descriptors(message, fd);
    }
    return count;
}

std::ptrdiff_t send_some(int socket, std::string_view bytes, int fd) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

} // namespace weave::api
