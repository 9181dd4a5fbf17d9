// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/pod.hpp"

#include "cni/errors.hpp"
#include "os/netlink.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <thread>

namespace weave::cni {

namespace {

os::UniqueFd open_namespace(const std::string& path) {
    try {
        return os::open_netns(path);
    } catch (const std::system_error& error) {
        const int number = error.code().value();
        const bool gone = number == ENOENT || number == ENOTDIR || number == EINVAL;
        throw Failure(gone ? Code::invalid_environment : Code::io_failure,
                      std::string("CNI_NETNS: ") + error.what());
    }
}

std::uint32_t table_of(const Route& route) {
    const std::uint32_t table = route.table.value_or(0);
    return table != 0 ? table : os::kMainTable; // 0: the kernel's choice, which is that
}

std::optional<std::uint8_t> scope_of(const Route& route) {
    if (route.scope.value_or(0) > std::numeric_limits<std::uint8_t>::max()) {
        throw Failure(Code::unsupported_field,
                      "the key 'scope' of a route has the value " + std::to_string(*route.scope) +
                          ", which is not supported: it is 0 to 255");
    }
    return route.scope ? std::optional(static_cast<std::uint8_t>(*route.scope)) : std::nullopt;
}

bool is_route(const os::Route& have, const Route& want) {
    return have.destination.network() == want.destination.network() &&
           have.table == table_of(want) && (!want.gateway || have.gateway == want.gateway) &&
           (!want.priority || have.metric == *want.priority);
}

} // namespace

Pod::Pod(const Environment& environment)
    : path_(environment.netns)
    , ifname_(environment.ifname)
    , fd_(open_namespace(environment.netns)) {
    if (inode() == os::netns_inode(os::current_netns().get())) {
        throw Failure(Code::invalid_netns,
                      "CNI_NETNS " + path_ +
                          " is the plugin's own network namespace: give it that of the container");
    }
}

std::uint64_t Pod::inode() const {
    return os::netns_inode(fd_.get());
}

void Pod::require_free() const {
    if (os::Netlink::open_in(fd_.get()).link(ifname_)) {
        throw Failure(Code::conflict,
                      "CNI_IFNAME '" + ifname_ +
                          "' is an interface of the container already: DEL removes it");
    }
}

void Pod::add_routes(const std::vector<Route>& routes) const {
    if (routes.empty()) {
        return;
    }
    os::Netlink netlink = os::Netlink::open_in(fd_.get());
    const os::Link link = netlink.require_link(ifname_);
    for (const Route& route : routes) {
        os::Route wanted;
        wanted.destination = route.destination.network();
        wanted.gateway = route.gateway;
        wanted.index = link.index;
        wanted.table = table_of(route);
        wanted.metric = route.priority.value_or(0);
        wanted.mtu = route.mtu.value_or(0);
        wanted.advmss = route.advmss.value_or(0);
        wanted.scope = scope_of(route);
        netlink.add_route(wanted);
    }
}

std::vector<bool> Pod::has_routes(const std::vector<Route>& routes) const {
    os::Netlink netlink = os::Netlink::open_in(fd_.get());
    const os::Link link = netlink.require_link(ifname_);
    const auto all = netlink.routes();
    std::vector<bool> out;
    for (const Route& route : routes) {
        out.push_back(std::any_of(all.begin(), all.end(), [&](const os::Route& have) {
            return have.index == link.index && is_route(have, route);
        }));
    }
    return out;
}

std::vector<Ip>
addresses_of(const Result& result, const std::string& ifname, const std::string& sandbox) {
    std::vector<Ip> out;
    for (const Ip& ip : result.ips) {
        const Interface* holder = ip.interface ? &result.interfaces.at(*ip.interface) : nullptr;
        if (holder == nullptr || (holder->name == ifname && holder->sandbox == sandbox)) {
            out.push_back(ip);
        }
    }
    return out;
}

std::string Pod::find_mismatch(const Result& expected) const {
    const std::string where = "in the container " + path_ + " ";
    os::Netlink netlink = os::Netlink::open_in(fd_.get());
    const auto link = netlink.link(ifname_);
    if (!link) {
        return where + "the interface " + ifname_ + " is gone";
    }
    if (!link->up) {
        return where + "the interface " + ifname_ + " is down";
    }
    for (const Interface& each : expected.interfaces) {
        if (each.name != ifname_ || each.sandbox != path_) {
            continue;
        }
        const auto mac = MacAddress::parse(each.mac);
        if (mac && *mac != link->mac) {
            return where + ifname_ + " has the MAC address " + link->mac.text() + ", not " +
                   each.mac;
        }
        if (each.mtu != 0 && each.mtu != link->mtu) {
            return where + ifname_ + " has the mtu " + std::to_string(link->mtu) + ", not " +
                   std::to_string(each.mtu);
        }
    }
    const auto addresses = netlink.addresses();
    for (const Ip& ip : addresses_of(expected, ifname_, path_)) {
        const bool found = std::any_of(addresses.begin(), addresses.end(), [&](const auto& have) {
            return have.index == link->index && have.prefix == ip.address;
        });
        if (!found) {
            return where + "the address " + ip.address.text() + " is not on " + ifname_;
        }
    }
    const auto routes = netlink.routes();
    for (const Route& route : expected.routes) {
        const bool found = std::any_of(
            routes.begin(), routes.end(), [&](const auto& have) { return is_route(have, route); });
        if (!found) {
            return where + "the route to " + route.destination.text() +
                   (route.gateway ? " via " + route.gateway->text() : "") + " is not there";
        }
    }
    return {};
}

void await_match(const std::function<std::string()>& find_mismatch,
                 std::chrono::milliseconds patience) {
    constexpr std::chrono::milliseconds kPause{50};
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const std::string wrong = find_mismatch();
        if (wrong.empty()) {
            return;
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            throw Failure(Code::mismatch, wrong);
        }
        std::this_thread::sleep_for(kPause);
    }
}

} // namespace weave::cni
