// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/fd_channel.hpp"

#include "os/error.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace weave::os {
namespace {

struct Head {
    std::uint32_t length = 0;
    std::uint32_t fds = 0;
};

using Control = std::array<std::uint8_t, CMSG_SPACE(FdChannel::kMaxFds * sizeof(int))>;

void take_fds(msghdr& message, std::vector<UniqueFd>& out) {
    for (cmsghdr* it = CMSG_FIRSTHDR(&message); it != nullptr; it = CMSG_NXTHDR(&message, it)) {
        if (it->cmsg_level != SOL_SOCKET || it->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t count = (it->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(it) + i * sizeof fd, sizeof fd);
            out.emplace_back(fd);
        }
    }
}

void put_fds(msghdr& message, Control& control, std::span<const int> fds) {
    if (fds.empty()) {
        return;
    }
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
}

sockaddr_un unix_name(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) {
        throw_error(ENAMETOOLONG, "cannot use the unix socket " + path);
    }
    path.copy(name.sun_path, path.size());
    return name;
}

ucred credentials(int socket) {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        throw_errno("cannot tell who is at the other end of a unix socket");
    }
    return who;
}

void await(int fd, short events, TimePoint deadline) {
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) {
            throw_error(ETIMEDOUT, "the other process does not answer");
        }
        pollfd each{fd, events, 0};
        const int ready = ::poll(&each, 1, static_cast<int>(std::min<long>(left, 60'000)));
        if (ready > 0) {
            return;
        }
        if (ready < 0 && errno != EINTR) {
            throw_errno("cannot wait for the other process");
        }
    }
}

} // namespace

void await_readable(int fd, TimePoint deadline) {
    await(fd, POLLIN, deadline);
}

FdChannel::FdChannel(UniqueFd socket)
    : socket_(std::move(socket)) {
    const int flags = ::fcntl(socket_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
        throw_errno("cannot use a unix socket");
    }
}

UniqueFd FdChannel::listen(const std::string& path) {
    const sockaddr_un name = unix_name(path);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ::unlink(path.c_str());
    // The file takes the mode of the socket: there is no moment in which others may connect.
    if (!socket || ::fchmod(socket.get(), 0600) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
        ::listen(socket.get(), SOMAXCONN) != 0) {
        throw_errno("cannot listen on " + path);
    }
    return socket;
}

FdChannel FdChannel::accept(int listening) {
    UniqueFd socket{::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC)};
    if (!socket) {
        throw_errno("cannot take a connection of a unix socket");
    }
    return FdChannel{std::move(socket)};
}

FdChannel FdChannel::connect(const std::string& path) {
    const sockaddr_un name = unix_name(path);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket ||
        ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
        throw_errno("cannot connect to " + path);
    }
    return FdChannel{std::move(socket)};
}

void FdChannel::send(ByteView bytes, std::span<const int> fds, TimePoint deadline) {
    if (bytes.size() > kMaxBytes || fds.size() > kMaxFds) {
        throw_error(EMSGSIZE, "cannot send a message to the other process");
    }
    const Head head{static_cast<std::uint32_t>(bytes.size()),
                    static_cast<std::uint32_t>(fds.size())};
    const std::size_t total = sizeof head + bytes.size();
    Control control;
    for (std::size_t sent = 0; sent < total;) {
        std::array<iovec, 2> parts{};
        std::size_t count = 0;
        if (sent < sizeof head) {
            auto* start = reinterpret_cast<std::uint8_t*>(const_cast<Head*>(&head));
            parts[count++] = {start + sent, sizeof head - sent};
        }
        const std::size_t at = sent > sizeof head ? sent - sizeof head : 0;
        parts[count++] = {const_cast<std::uint8_t*>(bytes.data()) + at, bytes.size() - at};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        if (sent == 0) {
            put_fds(message, control, fds);
        }
        const ssize_t done = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        if (done > 0) {
            sent += static_cast<std::size_t>(done);
        } else if (errno == EAGAIN) {
            await(socket_.get(), POLLOUT, deadline);
        } else if (errno != EINTR) {
            throw_errno("cannot send to the other process");
        }
    }
}

bool FdChannel::read_all(ByteSpan into, std::vector<UniqueFd>& fds, TimePoint deadline) {
    for (std::size_t have = 0; have < into.size();) {
        iovec part{into.data() + have, into.size() - have};
        Control control;
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
        if (got > 0) {
            have += static_cast<std::size_t>(got);
            take_fds(message, fds);
        } else if (got == 0 || errno == ECONNRESET) {
            if (have == 0) {
                return false;
            }
            throw_error(EPROTO, "the other process ended in the middle of a message");
        } else if (errno == EAGAIN) {
            await(socket_.get(), POLLIN, deadline);
        } else if (errno != EINTR) {
            throw_errno("cannot receive from the other process");
        }
    }
    return true;
}

std::optional<FdMessage> FdChannel::receive(TimePoint deadline, std::size_t max_bytes) {
    FdMessage out;
    Head head;
    if (!read_all({reinterpret_cast<std::uint8_t*>(&head), sizeof head}, out.fds, deadline)) {
        return std::nullopt;
    }
    if (head.length > max_bytes) {
        throw_error(EMSGSIZE, "the other process sends a message that is too long");
    }
    out.bytes.resize(head.length);
    if (head.length != 0 && !read_all(out.bytes, out.fds, deadline)) {
        throw_error(EPROTO, "the other process ended in the middle of a message");
    }
    if (out.fds.size() != head.fds) {
        throw_error(EPROTO, "descriptors of the other process were lost on the way");
    }
    return out;
}

uid_t FdChannel::peer_user() const {
    return credentials(socket_.get()).uid;
}

pid_t FdChannel::peer_pid() const {
    return credentials(socket_.get()).pid;
}

UniqueFd FdChannel::peer_process() const {
    UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, peer_pid(), 0))};
    if (!process) {
        throw_errno("cannot watch the process at the other end of a unix socket");
    }
    return process;
}

} // namespace weave::os
