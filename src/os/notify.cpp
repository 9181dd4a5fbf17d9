// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/notify.hpp"

#include "os/fd.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include <sys/socket.h>
#include <sys/un.h>

namespace weave::os {

void notify_manager(std::string_view state) noexcept {
    const char* path =
        std::getenv("NOTIFY_SOCKET"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    sockaddr_un address{};
    if (path == nullptr || (path[0] != '/' && path[0] != '@') ||
        std::strlen(path) >= sizeof address.sun_path) {
        return;
    }
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; // the abstract namespace
    }
    const UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (socket.get() >= 0) {
        // Best effort: a manager that does not listen is none of a router's business.
        std::ignore = ::sendto(socket.get(),
                               state.data(),
                               state.size(),
                               MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&address),
                               static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
    }
}

} // namespace weave::os
