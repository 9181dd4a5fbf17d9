// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/load.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

namespace weave::bench {
namespace {

volatile std::sig_atomic_t told = 0;

sockaddr_in address_of(const IpAddress& address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    std::memcpy(&out.sin_addr, address.bytes().data(), sizeof out.sin_addr);
    return out;
}

void check(int result, const char* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

} // namespace

File create(const std::string& path) {
    File file{std::fopen(path.c_str(), "w"), std::fclose};
    if (!file) {
        throw std::system_error(errno, std::generic_category(), path);
    }
    return file;
}

bool told_to_end() noexcept {
    return told != 0;
}

void end_when_told() {
    struct sigaction action {};

    action.sa_handler = [](int) { told = 1; };
    for (const int signal : {SIGTERM, SIGINT}) {
        check(::sigaction(signal, &action, nullptr), "sigaction");
    }
}

void run_first() {
    sched_param parameters{};
    parameters.sched_priority = 1;
    if (::sched_setscheduler(0, SCHED_FIFO, &parameters) < 0) {
        std::fputs("load: no real-time priority here: what it waits for the processor is in its "
                   "figures\n",
                   stderr);
    }
}

os::UniqueFd open_socket(int type, int protocol) {
    os::UniqueFd fd{::socket(AF_INET, type | SOCK_CLOEXEC, protocol)};
    check(fd.get(), "socket");
    return fd;
}

void connect_to(int fd, const IpAddress& address, std::uint16_t port) {
    const sockaddr_in to = address_of(address, port);
    check(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
}

void bind_to(int fd, std::uint16_t port) {
    const sockaddr_in at = address_of(IpAddress{}, port);
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at), "bind");
}

} // namespace weave::bench
