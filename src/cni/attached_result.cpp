// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What weave-cni asks of weaved and makes of its answer: no input or output.
#include "cni/attach_plugin.hpp"
#include "cni/decode.hpp"
#include "cni/errors.hpp"

#include <algorithm>

namespace weave::cni {

namespace {

/** rtnetlink's scope of what is on the link: no gateway leads there. */
constexpr std::uint32_t kLinkScope = 253;

bool same_family(const IpAddress& a, const IpAddress& b) {
    return a.is_v4() == b.is_v4();
}

std::optional<IpAddress> of_family(const std::vector<IpAddress>& from, const IpAddress& like) {
    const auto found = std::find_if(
        from.begin(), from.end(), [&](const IpAddress& each) { return same_family(each, like); });
    return found == from.end() ? std::nullopt : std::optional(*found);
}

std::vector<IpAddress> gateways_of(const AttachmentRow& row) {
    std::vector<IpAddress> out;
    for (const std::string& text : row.gateways) {
        if (const auto address = IpAddress::parse(text)) {
            out.push_back(*address);
        }
    }
    return out;
}

/** The addresses that weaved gave. */
std::vector<Ip> own_ips(const Call& call, const AttachmentRow& row) {
    std::vector<Ip> out;
    for (std::size_t i = 0; i < row.addresses.size(); ++i) {
        Ip ip{as_prefix(row.addresses[i], "weaved's address"), {}, {}};
        ip.gateway = of_family(call.config.ipam.gateways, ip.address.address);
        if (!ip.gateway && i < row.gateways.size()) {
            ip.gateway = IpAddress::parse(row.gateways[i]);
        }
        out.push_back(ip);
    }
    return out;
}

/** One default route for each family that has a gateway. */
std::vector<Route> default_routes(const std::vector<Ip>& ips) {
    std::vector<Route> out;
    for (const Ip& ip : ips) {
        const bool again = std::any_of(out.begin(), out.end(), [&](const Route& route) {
            return same_family(route.destination.address, ip.address.address);
        });
        if (ip.gateway && !again) {
            const IpAddress any =
                ip.address.address.is_v4() ? IpAddress::v4({}) : IpAddress::v6({});
            Route route;
            route.destination = {any, 0};
            route.gateway = ip.gateway;
            out.push_back(route);
        }
    }
    return out;
}

/** Some route leads to the host. */
bool needs_gateway(const IpamConfig& ipam) {
    return !ipam.routes ||
           std::ranges::any_of(*ipam.routes, [](const Route& route) { return !route.gateway; });
}

/** A routed pod has one neighbour, the node, whatever others took for a gateway, and no network
 * with others: its address stands alone. */
void hang_on_node(Result& result, const std::vector<IpAddress>& nodes) {
    for (Ip& ip : result.ips) {
        ip.gateway = of_family(nodes, ip.address.address);
        ip.address.length = static_cast<std::uint8_t>(ip.address.address.bits());
    }
    for (Route& route : result.routes) {
        if (route.gateway) {
            route.gateway = of_family(nodes, *route.gateway);
        }
    }
}

} // namespace

AttachRequest attach_request(const Call& call, const LinkConfig& link) {
    AttachRequest out;
    out.ifname = call.environment.ifname;
    out.id = call.name().id();
    out.addresses = call.config.addresses;
    out.mac = link.mac;
    out.mtu = link.mtu;
    out.mode = link.mode;
    // Routes that the configuration, or another plugin, says are added when the interface is there.
    const bool own = !call.config.delegates() && call.config.ipam.gateways.empty();
    out.routes = own && !call.config.ipam.routes;
    if (own && !out.routes.value() && needs_gateway(call.config.ipam)) {
        out.gateway = true;
    }
    return out;
}

Result attached_result(const Call& call, const AttachmentRow& row, const Result* ipam) {
    Result out;
    out.interfaces.push_back({row.host_ifname, row.host_mac, row.mtu, {}, {}, {}});
    out.interfaces.push_back(
        {call.environment.ifname, row.mac, row.mtu, call.environment.netns, {}, {}});
    if (ipam == nullptr) {
        out.ips = own_ips(call, row);
        out.routes = call.config.ipam.routes ? *call.config.ipam.routes : default_routes(out.ips);
    } else {
        out.ips = ipam->ips;
        out.routes = ipam->routes;
        out.dns = ipam->dns;
    }
    if (row.mode == "routed") {
        hang_on_node(out, gateways_of(row));
    }
    for (Ip& ip : out.ips) {
        ip.interface = 1;
    }
    out.dns = overlay(std::move(out.dns), call.config.dns);
    return out;
}

void tell_default_routes(Result& result) {
    for (Route& route : default_routes(result.ips)) {
        const bool told = std::ranges::any_of(result.routes, [&](const Route& each) {
            return each.destination == route.destination && each.table.value_or(0) == 0;
        });
        if (!told) {
            result.routes.push_back(std::move(route));
        }
    }
}

std::vector<Route> kernel_routes(const Result& result) {
    std::vector<Route> out = result.routes;
    for (Route& route : out) {
        if (route.scope && *route.scope >= kLinkScope) {
            continue;
        }
        for (const Ip& ip : result.ips) {
            if (!route.gateway && ip.gateway &&
                same_family(ip.address.address, route.destination.address)) {
                route.gateway = ip.gateway;
            }
        }
    }
    return out;
}

} // namespace weave::cni
