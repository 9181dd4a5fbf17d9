// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Frames through the program by the kernel's own test run, and on a TAP.
#include "base/address.hpp"
#include "base/bytes.hpp"
#include "fastpath/steering.h"
#include "fastpath/steering.hpp"
#include "os/netlink.hpp"
#include "os/netns.hpp"
#include "os/tap.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <set>

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace weave;
using namespace weave::fastpath;

namespace {

struct Flow {
    const char* from = "10.32.0.1";
    const char* to = "10.32.0.2";
    std::uint16_t from_port = 40000;
    std::uint16_t to_port = 80;
    std::uint8_t protocol = IPPROTO_TCP;
    std::uint16_t fragment = 0;

    [[nodiscard]] Flow back() const { return {to, from, to_port, from_port, protocol, fragment}; }
};

void put16(Bytes& out, std::size_t at, std::size_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

Bytes frame_of(const Flow& flow, std::size_t size = 100) {
    const IpAddress from = *IpAddress::parse(flow.from);
    const IpAddress to = *IpAddress::parse(flow.to);
    const bool v6 = from.is_v6();
    Bytes out(std::max<std::size_t>(size, 100));
    out[0] = out[6] = 0x02;
    put16(out, 12, v6 ? ETH_P_IPV6 : ETH_P_IP);
    out[14] = v6 ? 0x60 : 0x45;
    out[v6 ? 20U : 23U] = flow.protocol;
    if (!v6) {
        put16(out, 20, flow.fragment);
    }
    const auto at = out.begin() + (v6 ? 22 : 26);
    std::ranges::copy(from.bytes(), at);
    std::ranges::copy(to.bytes(), at + static_cast<std::ptrdiff_t>(from.bytes().size()));
    put16(out, v6 ? 18 : 16, size - (v6 ? 54 : 14));
    const std::size_t ports = v6 ? 54 : 34;
    put16(out, ports, flow.from_port);
    put16(out, ports + 2, flow.to_port);
    if (flow.protocol == IPPROTO_TCP) {
        out[ports + 12] = 8 << 4; // a header of 32 bytes
    }
    out.resize(size);
    return out;
}

std::uint64_t now() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds{1});
}

class Tried {
  public:
    std::uint32_t queue(const Bytes& frame) {
        LIBBPF_OPTS(bpf_test_run_opts, run);
        run.data_in = frame.data();
        run.data_size_in = static_cast<std::uint32_t>(frame.size());
        REQUIRE(bpf_prog_test_run_opts(steering_.program().fd(), &run) == 0);
        return run.retval;
    }

    std::uint32_t pair(const Flow& flow) { return queue(frame_of(flow)) / 2; }

    bool sparse(const Flow& flow = {}) { return queue(frame_of(flow)) % 2 == 1; }

    /** Of the only flow so far, with `change` made to it. */
    template <class Change> bool sparse_after(Change change) {
        for (std::uint32_t place = 0; place < WEAVE_STEERING_FLOWS; ++place) {
            weave_steering_flow flow{};
            REQUIRE(bpf_map_lookup_elem(flows(), &place, &flow) == 0);
            if (flow.last != 0) {
                change(flow);
                REQUIRE(bpf_map_update_elem(flows(), &place, &flow, BPF_ANY) == 0);
                return sparse();
            }
        }
        FAIL("no flow is known");
        return false;
    }

    Steering steering_;

  private:
    [[nodiscard]] int flows() const { return steering_.program().map("flows"); }
};

const Flow kFlow6{"fd00:5::1", "fd00:5::2"};

} // namespace

TEST_CASE("both directions of a flow have one pair of queues") {
    Tried tried;
    for (const Flow& flow : {Flow{}, kFlow6, Flow{.protocol = IPPROTO_UDP}}) {
        CHECK(tried.pair(flow) == tried.pair(flow.back()));
    }
}

TEST_CASE("flows spread over the pairs") {
    Tried tried;
    std::set<std::uint32_t> of_ports;
    std::set<std::uint32_t> of_hosts;
    for (std::uint16_t i = 0; i < 64; ++i) {
        of_ports.insert(tried.pair({.from_port = static_cast<std::uint16_t>(40000 + i)}) % 4);
        const std::string host = "fd00:5::" + std::to_string(i + 10);
        of_hosts.insert(tried.pair({.from = host.c_str(), .to = kFlow6.to}) % 4);
    }
    CHECK(of_ports.size() == 4);
    CHECK(of_hosts.size() == 4);
}

TEST_CASE("fragments of a packet stay together") {
    Tried tried;
    const Flow first{.protocol = IPPROTO_UDP, .fragment = 0x2000};
    const Flow second{
        .from_port = 1, .to_port = 2, .protocol = IPPROTO_UDP, .fragment = 0x2000 + 185};
    const Flow last{.from_port = 3, .to_port = 4, .protocol = IPPROTO_UDP, .fragment = 370};
    CHECK(tried.pair(first) == tried.pair(second));
    CHECK(tried.pair(first) == tried.pair(last));
}

TEST_CASE("what is no IP, or too short for it, goes with what is sparse") {
    Tried tried;
    Bytes arp = frame_of({});
    put16(arp, 12, ETH_P_ARP);
    CHECK(tried.queue(arp) % 2 == 1);
    CHECK(tried.queue(frame_of({}, 36)) % 2 == 1);
    CHECK(tried.queue(Bytes(frame_of(kFlow6, 60))) % 2 == 1);
}

TEST_CASE("a flow is sparse until it sends much in one window") {
    Tried tried;
    CHECK(tried.sparse());
    const auto much = [](weave_steering_flow& flow) {
        flow.last = flow.since = now();
        flow.bytes = WEAVE_STEERING_BYTES;
    };
    // A pause of this process of the length of a window is another window.
    bool sparse = true;
    for (int attempt = 0; attempt < 50 && sparse; ++attempt) {
        sparse = tried.sparse_after(much);
    }
    CHECK_FALSE(sparse);
    // As much in a longer time is not much.
    Tried slow;
    CHECK(slow.sparse());
    CHECK(slow.sparse_after([&](weave_steering_flow& flow) {
        much(flow);
        flow.since -= WEAVE_STEERING_WINDOW_NS;
    }));
}

TEST_CASE("what only says that it received belongs to a flow that sends much") {
    for (const Flow& flow : {Flow{}, kFlow6}) {
        Tried tried;
        const std::size_t headers = flow.from == kFlow6.from ? 86 : 66;
        const Bytes bare = frame_of(flow, headers);
        const Bytes filled = frame_of(flow, headers + 1);
        // Pauses of this process of a window's length begin anew.
        const auto often = [&] {
            for (int i = 0; i < WEAVE_STEERING_ACKS + 1; ++i) {
                tried.queue(bare);
            }
            return tried.queue(bare) % 2 == 0;
        };
        bool apart = false;
        for (int attempt = 0; attempt < 50 && !apart; ++attempt) {
            apart = often();
        }
        CHECK(apart);
        Tried other;
        for (int i = 0; i < 4 * WEAVE_STEERING_ACKS; ++i) {
            CHECK(other.queue(i % WEAVE_STEERING_ACKS == 0 ? filled : bare) % 2 == 1);
        }
    }
    Tried datagrams;
    for (int i = 0; i < 2 * WEAVE_STEERING_ACKS; ++i) {
        CHECK(datagrams.queue(frame_of({.protocol = IPPROTO_UDP}, 42)) % 2 == 1);
    }
}

TEST_CASE("a flow that sent much goes by its queue until it was silent") {
    Tried tried;
    CHECK(tried.sparse());
    const auto busy = [](std::uint64_t ago) {
        return [ago](weave_steering_flow& flow) {
            flow = {
                .last = now() - ago, .since = now() - 2 * ago, .bytes = 0, .acks = 0, .busy = 1};
        };
    };
    bool sparse = true;
    for (int attempt = 0; attempt < 50 && sparse; ++attempt) {
        sparse = tried.sparse_after(busy(WEAVE_STEERING_SILENCE_NS / 2));
    }
    CHECK_FALSE(sparse);
    CHECK(tried.sparse_after(busy(WEAVE_STEERING_SILENCE_NS)));
    // As another processor leaves it that read the clock later.
    CHECK_FALSE(tried.sparse_after([](weave_steering_flow& flow) {
        flow.last = flow.since = now() + 1'000'000'000;
        flow.busy = 1;
    }));
}

TEST_CASE("a TAP asks the program, whoever loaded it") {
    const os::UniqueFd ns = test::new_netns();
    os::Tap tap;
    os::UniqueFd wire;
    os::run_in_netns(ns.get(), [&] {
        tap = os::open_tap({"steered", 4});
        wire.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    });
    os::Netlink netlink = os::Netlink::open_in(ns.get());
    const os::Link link = netlink.require_link("steered");
    netlink.set_up(link, true);
    const Flow flow{.protocol = IPPROTO_UDP};
    std::uint32_t wanted = 0;
    {
        Tried tried;
        tried.steering_.attach(tap.queues.back().get());
        wanted = tried.queue(frame_of(flow)) % 4;
    }
    CHECK(wanted % 2 == 1);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(link.index);
    const Bytes frame = frame_of(flow);
    REQUIRE(::sendto(wire.get(),
                     frame.data(),
                     frame.size(),
                     0,
                     reinterpret_cast<const sockaddr*>(&to),
                     sizeof to) == static_cast<ssize_t>(frame.size()));
    pollfd poll{tap.queues[wanted].get(), POLLIN, 0};
    REQUIRE(::poll(&poll, 1, 3000) == 1);
    // The kernel has words of its own for an interface that comes up.
    bool found = false;
    Bytes read(2048);
    for (ssize_t size = 1; size > 0 && !found;) {
        size = ::read(poll.fd, read.data(), read.size());
        found = size == static_cast<ssize_t>(frame.size()) + os::kVnetHeaderSize &&
                std::equal(frame.begin(), frame.end(), read.begin() + os::kVnetHeaderSize);
    }
    CHECK(found);
}
