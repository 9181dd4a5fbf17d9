// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/host.hpp"
#include "os/netns.hpp"
#include "os/udp_socket.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/uio.h>

/** A host and its pods, in network namespaces that go with the test. */
namespace weave::test {

/** A host of its own: everything in a namespace that goes with it. */
struct World {
    os::UniqueFd ns = new_netns();
    os::Netlink netlink = os::Netlink::open_in(ns.get());
    std::unique_ptr<attach::Host> host = make();

    [[nodiscard]] std::unique_ptr<attach::Host> make() const {
        std::unique_ptr<attach::Host> out;
        attach::HostSettings settings;
        settings.node.octets[3] = 7;
        settings.ranges = {*Prefix::parse("10.32.0.0/12"), *Prefix::parse("fd00:5::/64")};
        os::run_in_netns(ns.get(), [&] { out = std::make_unique<attach::Host>(settings); });
        return out;
    }
};

inline attach::PodSpec pod(std::vector<std::string> prefixes, std::string id = "one") {
    attach::PodSpec spec;
    for (const std::string& text : prefixes) {
        spec.addresses.push_back(*Prefix::parse(text));
    }
    spec.id = std::move(id);
    return spec;
}

/** Both steps of an attachment; the pod takes packets then. */
inline attach::Attachment
attach_pod(attach::Host& host, int netns_fd, const attach::PodSpec& spec) {
    attach::Attachment out = host.prepare_pod(netns_fd, spec).pod;
    host.start_pod(netns_fd, spec);
    os::Netlink inside = os::Netlink::open_in(netns_fd);
    for (const Prefix& each : spec.addresses) {
        CHECK(inside.is_local(each.address));
    }
    return out;
}

inline std::string sysctl(const os::UniqueFd& ns, const std::string& key) {
    std::string value;
    os::run_in_netns(ns.get(), [&] { std::ifstream("/proc/sys/" + key) >> value; });
    return value;
}

inline os::UdpSocket udp_in(const os::UniqueFd& ns, const std::string& address) {
    std::optional<os::UdpSocket> out;
    os::UdpOptions options;
    options.bind = {*IpAddress::parse(address), 5000};
    os::run_in_netns(ns.get(), [&] { out = os::UdpSocket::open(options); });
    return std::move(*out);
}

inline bool reaches(const os::UdpSocket& from, const os::UdpSocket& to) {
    std::uint8_t byte = 1;
    const iovec part{&byte, 1};
    if (from.send(to.local(), {}, {&part, 1}) != 0) {
        return false;
    }
    pollfd poll{to.fd(), POLLIN, 0};
    os::ReceiveSlots slots{2};
    return ::poll(&poll, 1, 3000) == 1 && !to.receive(slots).datagrams.empty();
}

} // namespace weave::test
