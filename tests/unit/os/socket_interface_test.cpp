// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/fd.hpp"
#include "os/socket_interface.hpp"

#include <doctest/doctest.h>

#include <system_error>

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

using namespace weave;

namespace {

os::UniqueFd stream() {
    return os::UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

/** Whether a connection to the socket, once it listens on 127.0.0.1, is made. */
bool reached(int listener) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* const at = reinterpret_cast<sockaddr*>(&name);
    REQUIRE(::bind(listener, at, size) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    REQUIRE(::getsockname(listener, at, &size) == 0);
    const os::UniqueFd client = stream();
    ::connect(client.get(), at, size);
    pollfd made{client.get(), POLLOUT, 0};
    return ::poll(&made, 1, 300) == 1 && (made.revents & (POLLERR | POLLHUP)) == 0;
}

} // namespace

TEST_CASE("a socket listens on one interface") {
    const os::UniqueFd socket = stream();
    os::listen_on_interface(socket.get(), "lo");
    CHECK(reached(socket.get()));
    CHECK_THROWS_AS(os::listen_on_interface(stream().get(), "nosuchif"), std::system_error);
}

TEST_CASE("nobody listens to what comes in through an interface that is dropped") {
    const unsigned lo = ::if_nametoindex("lo");
    const os::UniqueFd hears = stream();
    os::drop_from_interface(hears.get(), lo + 1000);
    CHECK(reached(hears.get()));
    const os::UniqueFd deaf = stream();
    os::drop_from_interface(deaf.get(), lo);
    CHECK_FALSE(reached(deaf.get()));
}
