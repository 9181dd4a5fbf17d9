// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/load.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace weave::bench {
namespace {

/** After this long a request counts as lost. */
constexpr timeval kPatience{1, 0};

os::UniqueFd open_asking(const IpAddress& address, std::uint16_t port) {
    os::UniqueFd fd = open_socket(SOCK_DGRAM, 0);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) < 0) {
        throw std::system_error(errno, std::generic_category(), "SO_RCVTIMEO");
    }
    connect_to(fd.get(), address, port);
    return fd;
}

/** Whether the answer to this request came; those to earlier ones are passed over. */
bool exchange(int fd, std::vector<std::uint8_t>& buffer, std::uint64_t number) {
    std::memcpy(buffer.data(), &number, sizeof number);
    if (::send(fd, buffer.data(), buffer.size(), 0) < 0) {
        return false;
    }
    for (;;) {
        if (::recv(fd, buffer.data(), buffer.size(), 0) < 0) {
            return false;
        }
        std::uint64_t answered = 0;
        std::memcpy(&answered, buffer.data(), sizeof answered);
        if (answered == number) {
            return true;
        }
    }
}

} // namespace

void ask(const AskSettings& settings) {
    std::vector<os::UniqueFd> sockets;
    for (const IpAddress& address : settings.addresses) {
        sockets.push_back(open_asking(address, settings.port));
    }
    std::vector<std::uint8_t> buffer(std::max(settings.bytes, sizeof(std::uint64_t)));
    std::vector<double> times;
    std::uint64_t lost = 0;
    const auto end = Time::now() + std::chrono::duration_cast<Time::duration>(settings.seconds);
    for (std::uint64_t number = 1; Time::now() < end && !told_to_end(); ++number) {
        const auto sent = Time::now();
        if (exchange(sockets[number % sockets.size()].get(), buffer, number)) {
            times.push_back(std::chrono::duration<double, std::micro>(Time::now() - sent).count());
        } else if (!told_to_end()) {
            ++lost;
        }
        if (settings.pause > Seconds{0}) {
            std::this_thread::sleep_for(settings.pause);
        }
    }
    const File file = create(settings.output);
    for (const double time : times) {
        fmt::print(file.get(), "{:.2f}\n", time);
    }
    fmt::print("{{\"answered\": {}, \"lost\": {}}}\n", times.size(), lost);
}

void answer(std::uint16_t port) {
    const os::UniqueFd fd = open_socket(SOCK_DGRAM, 0);
    bind_to(fd.get(), port);
    std::array<std::uint8_t, 65536> buffer; // NOLINT: filled by recvfrom()
    while (!told_to_end()) {
        sockaddr_in from{};
        socklen_t length = sizeof from;
        auto* const name = reinterpret_cast<sockaddr*>(&from);
        const ssize_t size = ::recvfrom(fd.get(), buffer.data(), buffer.size(), 0, name, &length);
        if (size >= 0) {
            std::ignore =
                ::sendto(fd.get(), buffer.data(), static_cast<std::size_t>(size), 0, name, length);
        }
    }
}

} // namespace weave::bench
