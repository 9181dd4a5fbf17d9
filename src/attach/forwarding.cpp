// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/forwarding.hpp"

#include "attach/label.hpp"
#include "os/netlink.hpp"
#include "os/netns.hpp"

#include <system_error>

namespace weave::attach {
namespace {

void change(int netns_fd,
            const std::string& key,
            const std::string& from,
            const std::string& to,
            std::vector<std::string>& changed) {
    os::write_sysctl(netns_fd, key, to);
    changed.push_back(key + ": " + from + " -> " + to);
}

/** So that the host keeps its own default route. */
void keep_listening(int netns_fd, std::vector<std::string>& changed) {
    for (const os::Link& link : os::Netlink::open_in(netns_fd).links()) {
        if (link.name == "lo" || link.alias == kOwnAlias || is_port(link)) {
            continue;
        }
        const std::string key = "net/ipv6/conf/" + link.name + "/accept_ra";
        std::string value;
        try {
            value = os::read_sysctl(netns_fd, key);
        } catch (const std::system_error&) {
            continue; // gone meanwhile, or without IPv6
        }
        if (value == "1") {
            change(netns_fd, key, value, "2", changed);
        }
    }
}

} // namespace

std::vector<std::string> enable_forwarding(int netns_fd, bool v4, bool v6) {
    std::vector<std::string> changed;
    const std::string key4 = "net/ipv4/ip_forward";
    // Writing it sets it for each interface, so what is right already is not written again.
    if (const std::string value = v4 ? os::read_sysctl(netns_fd, key4) : "1"; value != "1") {
        change(netns_fd, key4, value, "1", changed);
    }
    const std::string key6 = "net/ipv6/conf/all/forwarding";
    if (const std::string value = v6 ? os::read_sysctl(netns_fd, key6) : "1"; value != "1") {
        keep_listening(netns_fd, changed);
        change(netns_fd, key6, value, "1", changed);
    }
    return changed;
}

} // namespace weave::attach
