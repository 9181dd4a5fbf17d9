// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/socket_interface.hpp"

#include "os/error.hpp"

#include <array>

#include <linux/filter.h>
#include <sys/socket.h>

namespace weave::os {

void listen_on_interface(int fd, const std::string& name) {
    const auto size = static_cast<socklen_t>(name.size() + 1);
    if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(), size) != 0) {
        throw_errno("cannot listen on the interface " + name);
    }
}

void drop_from_interface(int fd, unsigned index) {
    // A listener's filter sees a connection's first packet already.
    constexpr auto kInterface = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_IFINDEX);
    std::array<sock_filter, 4> code{{
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, kInterface},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, index},
        {BPF_RET | BPF_K, 0, 0, 0},
        {BPF_RET | BPF_K, 0, 0, 0xffffffff},
    }};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
        throw_errno("cannot keep what comes from an interface off a socket");
    }
}

} // namespace weave::os
