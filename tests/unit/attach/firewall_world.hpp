// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/firewall.hpp"
#include "attach/forwarding.hpp"
#include "attach/host.hpp"
#include "os/netns.hpp"
#include "os/program.hpp"
#include "os/udp_socket.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

namespace weave::test {

inline IpAddress ip(const std::string& text) {
    return *IpAddress::parse(text);
}

/** Runs a shell command in the namespace; its output. Fails the test when it fails. */
inline std::string shell(const os::UniqueFd& ns, const std::string& command) {
    os::ProgramResult result;
    os::run_in_netns(ns.get(), [&] {
        result = os::run_program({"sh", "-c", command}, {}, std::chrono::seconds{20});
    });
    INFO(command << ": " << result.output);
    CHECK(result.status == 0);
    return result.output;
}

inline os::UdpSocket
udp_in(const os::UniqueFd& ns, const std::string& address, std::uint16_t port = 5000) {
    std::optional<os::UdpSocket> out;
    os::UdpOptions options;
    options.bind = {ip(address), port};
    os::run_in_netns(ns.get(), [&] { out = os::UdpSocket::open(options); });
    return std::move(*out);
}

/** Who sent the datagram that arrives; nullopt when none does within the time. */
inline std::optional<Endpoint>
sent_by(const os::UdpSocket& from, const Endpoint& to, const os::UdpSocket& at, int wait_ms) {
    std::uint8_t byte = 1;
    const iovec part{&byte, 1};
    (void)from.send(to, {}, {&part, 1});
    pollfd poll{at.fd(), POLLIN, 0};
    os::ReceiveSlots slots{1};
    if (::poll(&poll, 1, wait_ms) != 1) {
        return std::nullopt;
    }
    const os::Received received = at.receive(slots);
    return received.datagrams.empty() ? std::nullopt : std::optional{received.datagrams[0].from};
}

/** Long enough for a slow machine, never waited for when all is well. */
constexpr int kLong = 5000;
/** Until we say that nothing came: neighbours are known and the path was used before. */
constexpr int kShort = 300;

/** Sends and sees whole Ethernet frames on one interface. */
class RawPort {
  public:
    RawPort(const os::UniqueFd& ns, const std::string& ifname) {
        os::run_in_netns(ns.get(), [&] {
            fd_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
            sockaddr_ll name{};
            name.sll_family = AF_PACKET;
            name.sll_protocol = htons(ETH_P_ALL);
            name.sll_ifindex = static_cast<int>(::if_nametoindex(ifname.c_str()));
            REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
        });
    }

    void send(const Bytes& frame) const {
        REQUIRE(::send(fd_.get(), frame.data(), frame.size(), 0) ==
                static_cast<ssize_t>(frame.size()));
    }

    /**
     * Whether a frame with `mark` in it came in before one with `end`, which has to
     * come within 5 s.
     */
    [[nodiscard]] bool sees(const std::string& mark, const std::string& end) const {
        std::array<char, 4096> buffer;
        bool seen = false;
        while (true) {
            pollfd poll{fd_.get(), POLLIN, 0};
            REQUIRE_MESSAGE(::poll(&poll, 1, kLong) == 1, "the frame that is allowed did not come");
            sockaddr_ll name{};
            socklen_t length = sizeof name;
            const ssize_t got = ::recvfrom(fd_.get(),
                                           buffer.data(),
                                           buffer.size(),
                                           0,
                                           reinterpret_cast<sockaddr*>(&name),
                                           &length);
            REQUIRE(got > 0);
            const std::string_view frame{buffer.data(), static_cast<std::size_t>(got)};
            if (name.sll_pkttype != PACKET_OUTGOING) {
                seen = seen || frame.find(mark) != std::string_view::npos;
                if (frame.find(end) != std::string_view::npos) {
                    return seen;
                }
            }
        }
    }

  private:
    os::UniqueFd fd_;
};

struct TestPod {
    os::UniqueFd ns = new_netns();
    attach::PortRules rules;
};

/**
 * A host that is a router, with an outside (192.0.2.2, 2001:db8::2) and pods, on the bridge or
 * routed.
 */
struct FirewallWorld {
    os::UniqueFd ns = new_netns();
    os::UniqueFd outside = new_netns();
    os::Netlink netlink = os::Netlink::open_in(ns.get());
    std::unique_ptr<attach::Host> host;

    FirewallWorld() {
        attach::HostSettings settings;
        settings.node.octets[3] = 7;
        os::run_in_netns(ns.get(), [&] { host = std::make_unique<attach::Host>(settings); });
        host->ensure_bridge();
        host->expose(*Prefix::parse("10.32.0.1/12"));
        host->expose(*Prefix::parse("fd32::1/64"));
        join(outside, "up0", "192.0.2.1/24", "2001:db8::1/64", "192.0.2.2/24", "2001:db8::2/64");
        attach::enable_forwarding(ns.get(), true, true);
        shell(outside, "ip route add 10.32.0.0/12 via 192.0.2.1");
        shell(outside, "ip route add fd32::/64 via 2001:db8::1");
    }

    /** A link to the inside of another namespace, eth0 there. */
    void join(const os::UniqueFd& other,
              const std::string& name,
              const std::string& here4,
              const std::string& here6,
              const std::string& there4,
              const std::string& there6) {
        const auto mac = [&](std::uint8_t end) {
            return MacAddress{{2, 7, 7, static_cast<std::uint8_t>(name[0]), last_++, end}};
        };
        netlink.create_veth({name, mac(1), 1500, "eth0", mac(2), other.get()});
        os::Netlink there = os::Netlink::open_in(other.get());
        const os::Link inside = there.require_link("eth0");
        const os::Link here = netlink.require_link(name);
        netlink.add_address(here, *Prefix::parse(here4));
        netlink.add_address(here, *Prefix::parse(here6));
        there.add_address(inside, *Prefix::parse(there4));
        there.add_address(inside, *Prefix::parse(there6));
        netlink.set_up(here, true);
        there.set_up(inside, true);
        there.set_up(there.require_link("lo"), true);
    }

    attach::FirewallSettings settings() const {
        attach::FirewallSettings out;
        out.ranges = {*Prefix::parse("10.32.0.0/12"), *Prefix::parse("fd32::/64")};
        return out;
    }

    std::unique_ptr<attach::Firewall> firewall(const attach::FirewallSettings& settings) const {
        std::unique_ptr<attach::Firewall> out;
        os::run_in_netns(ns.get(), [&] { out = std::make_unique<attach::Firewall>(settings); });
        return out;
    }

    /** A pod on the bridge, with 10.32.0.N and fd32::N, its default routes through the host. */
    TestPod bridged(int number) const {
        TestPod pod;
        const std::string n = std::to_string(number);
        attach::PodSpec spec;
        spec.addresses = {*Prefix::parse("10.32.0." + n + "/12"),
                          *Prefix::parse("fd32::" + n + "/64")};
        spec.id = n;
        const attach::Attachment made = host->prepare_pod(pod.ns.get(), spec).pod;
        host->start_pod(pod.ns.get(), spec);
        shell(pod.ns, "ip route add default via 10.32.0.1; ip route add default via fd32::1");
        pod.rules = {made.host_ifname, made.mac, {ip("10.32.0." + n), ip("fd32::" + n)}};
        return pod;
    }

    /** A pod behind a link of its own, with the same addresses. */
    TestPod routed(int number) {
        TestPod pod;
        const std::string n = std::to_string(number);
        const std::string name = "wv00000000" + n;
        join(pod.ns,
             name,
             "169.254.1.1/32",
             "fe80::1/64",
             "10.32.0." + n + "/32",
             "fd32::" + n + "/128");
        shell(ns,
              "ip route add 10.32.0." + n + " dev " + name + "; ip route add fd32::" + n + " dev " +
                  name);
        shell(pod.ns,
              "ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1; "
              "ip route add default via fe80::1 dev eth0");
        const MacAddress mac = os::Netlink::open_in(pod.ns.get()).require_link("eth0").mac;
        pod.rules = {name, mac, {ip("10.32.0." + n), ip("fd32::" + n)}};
        return pod;
    }

  private:
    std::uint8_t last_ = 1;
};

/** Takes all notifications that wait; what was restored. */
inline std::vector<std::string> after_changes(attach::Firewall& firewall) {
    pollfd poll{firewall.native_handle(), POLLIN, 0};
    REQUIRE(::poll(&poll, 1, kLong) == 1);
    return firewall.on_readable();
}

} // namespace weave::test
