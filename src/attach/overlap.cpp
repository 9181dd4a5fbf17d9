// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/overlap.hpp"

#include "attach/label.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace weave::attach {
namespace {

using Links = std::map<unsigned, os::Link>;

bool is_own(const os::Link& link, const std::string& bridge) {
    return link.name == bridge || link.alias == kOwnAlias || is_port(link);
}

bool is_host_route(const Prefix& prefix) {
    return prefix.length == prefix.address.bits();
}

/** What the kernel adds for an IPv6 address: the address says more. */
bool is_of_address(const os::Route& route) {
    constexpr std::uint8_t kKernel = 2; // RTPROT_KERNEL
    return route.protocol == kKernel && is_host_route(route.destination);
}

/** 0.0.0.0/1 and 128.0.0.0/1 are how some tools spell a default route that is preferred. */
bool is_default(const Prefix& prefix) {
    return prefix.length <= 1;
}

const char* type_of(const os::Route& route) {
    switch (route.type) {
    case os::RouteType::blackhole:
        return "blackhole ";
    case os::RouteType::unreachable:
        return "unreachable ";
    case os::RouteType::prohibit:
        return "prohibit ";
    case os::RouteType::none:
        return "throw ";
    case os::RouteType::unicast:
        break;
    }
    return "";
}

/** As ip(8) has it. */
std::string text_of(const os::Route& route, const os::Link* link) {
    std::string out = type_of(route) + route.destination.text();
    if (route.gateway) {
        out += " via " + route.gateway->text();
    }
    if (link != nullptr) {
        out += " dev " + link->name;
    }
    return out;
}

std::string remedy(const Prefix& range) {
    const char* const option = range.address.is_v6() ? "--ipalloc-range6" : "--ipalloc-range";
    return std::string{": choose another "} + option + ", the same on every host";
}

const Prefix* overlapped(const std::vector<Prefix>& ranges, const Prefix& other) {
    const auto found = std::ranges::find_if(ranges, [&](const Prefix& range) {
        return range.address.is_v6() == other.address.is_v6() && range.overlaps(other);
    });
    return found == ranges.end() ? nullptr : &*found;
}

} // namespace

std::string
find_overlap(os::Netlink& netlink, const std::vector<Prefix>& ranges, const std::string& bridge) {
    Links links;
    for (os::Link& link : netlink.links()) {
        links.emplace(link.index, std::move(link));
    }
    const auto link_of = [&](unsigned index) {
        const auto found = links.find(index);
        return found == links.end() ? nullptr : &found->second;
    };
    const auto ignored = [&](const os::Link* link, const Prefix& prefix) {
        return link != nullptr &&
               (is_own(*link, bridge) || (link->kind == "veth" && is_host_route(prefix)));
    };
    for (const os::Route& route : netlink.routes_of_all_types()) {
        const os::Link* const link = link_of(route.index);
        const Prefix* const range = overlapped(ranges, route.destination);
        if (range != nullptr && route.table == os::kMainTable &&
            route.protocol != os::kOwnProtocol && !is_default(route.destination) &&
            !is_of_address(route) && !ignored(link, route.destination)) {
            return "the pod range " + range->text() + " overlaps this host's route '" +
                   text_of(route, link) + '\'' + remedy(*range);
        }
    }
    for (const os::LinkAddress& each : netlink.addresses()) {
        const os::Link* const link = link_of(each.index);
        const Prefix host{each.prefix.address,
                          static_cast<std::uint8_t>(each.prefix.address.bits())};
        const Prefix* const range = overlapped(ranges, host);
        if (range != nullptr && link != nullptr && !ignored(link, each.prefix)) {
            return "the pod range " + range->text() + " contains this host's address " +
                   each.prefix.address.text() + " on " + link->name + remedy(*range);
        }
    }
    return {};
}

} // namespace weave::attach
