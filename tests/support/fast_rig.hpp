// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fastpath/socket.hpp"
#include "os/netlink.hpp"
#include "os/netns.hpp"
#include "os/udp_socket.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include <poll.h>

namespace weave::test {

inline const MacAddress kHere = *MacAddress::parse("02:00:00:00:00:01");
inline const MacAddress kThere = *MacAddress::parse("02:00:00:00:00:02");
inline const IpAddress kOwn = *IpAddress::parse("192.0.2.1");
inline const IpAddress kOther = *IpAddress::parse("192.0.2.2");
inline const IpAddress kOwn6 = *IpAddress::parse("2001:db8::1");
inline const IpAddress kOther6 = *IpAddress::parse("2001:db8::2");
inline constexpr std::uint16_t kPort = 6783;

/** "fast0" here, 192.0.2.1, and its peer in a namespace of its own with a kernel socket. */
struct Rig {
    os::UniqueFd far_ns = test::new_netns();
    os::Netlink near = os::Netlink::open();
    os::Netlink far = os::Netlink::open_in(far_ns.get());
    os::Link link;
    std::optional<os::UdpSocket> other;
    std::optional<os::UdpSocket> other6;
    fastpath::Filter filter;
    std::optional<fastpath::Umem> umem;

    Rig() {
        near.create_veth({"fast0", kHere, 1500, "far0", kThere, far_ns.get()});
        link = near.require_link("fast0");
        const os::Link end = far.require_link("far0");
        near.add_address(link, {kOwn, 24});
        far.add_address(end, {kOther, 24});
        near.add_address(link, {kOwn6, 64});
        far.add_address(end, {kOther6, 64});
        near.set_up(link, true);
        far.set_up(end, true);
        far.set_neighbour({end.index, kOwn, kHere});
        far.set_neighbour({end.index, kOwn6, kHere});
        near.set_neighbour({link.index, kOther, kThere});
        os::run_in_netns(far_ns.get(), [&] {
            other = os::UdpSocket::open({{kOther, kPort}});
            other6 = os::UdpSocket::open({{kOther6, kPort}});
        });
        filter.configure({kHere, kPort, 2048 - fastpath::Umem::kHeadroom});
        filter.set_addresses({{kOwn, kOwn6}});
    }

    ~Rig() { near.delete_link(link); }

    std::unique_ptr<fastpath::Socket> open(fastpath::Hook hook) {
        // The queue of a socket that was closed is free a moment later.
        for (int attempt = 0;; ++attempt) {
            try {
                umem.reset();
                umem.emplace(2048, 1);
                auto out = std::make_unique<fastpath::Socket>(*umem, "fast0", 0, 0, hook);
                filter.set_socket(0, out->fd());
                filter.attach(link.index, hook);
                return out;
            } catch (const std::system_error& failed) {
                REQUIRE(failed.code().value() == EBUSY);
                REQUIRE(attempt < 100);
                std::this_thread::sleep_for(std::chrono::milliseconds{10});
            }
        }
    }

    void send(std::uint16_t port, std::size_t size) {
        Bytes text(size, 0x55);
        const iovec data{text.data(), text.size()};
        REQUIRE(other->send({kOwn, port}, std::nullopt, {&data, 1}) == 0);
    }
};

inline bool readable(int fd) {
    pollfd wait{fd, POLLIN, 0};
    return ::poll(&wait, 1, 2000) == 1;
}

} // namespace weave::test
