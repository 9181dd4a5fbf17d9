// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What cannot be asked for, each in one sentence.
#include "attach/pod.hpp"

#include <algorithm>

namespace weave::attach {
namespace {

constexpr std::size_t kMaxName = 15; // IFNAMSIZ less the zero
constexpr std::size_t kMaxId = 200;

/** What IPv4 hosts must take (RFC 791), what IPv6 needs (RFC 8200), and what a link can have. */
constexpr unsigned kLeastMtu4 = 576;
constexpr unsigned kLeastMtu6 = 1280;
constexpr unsigned kMostMtu = 65535;

/** Whether all bits behind the prefix are `set`. */
bool host_bits_are(const Prefix& prefix, bool set) {
    const ByteView bytes = prefix.address.bytes();
    for (unsigned bit = prefix.length; bit < prefix.address.bits(); ++bit) {
        if ((((bytes[bit / 8] >> (7 - bit % 8)) & 1) != 0) != set) {
            return false;
        }
    }
    return true;
}

/** What it is instead of an interface's own address; null when it is one. */
const char* other_use(const Prefix& prefix) {
    const IpAddress& address = prefix.address;
    // On links of one or two addresses each of them is an interface's, RFC 3021 and RFC 6164.
    const bool network = prefix.length + 1U < address.bits();
    if (address.is_multicast()) {
        return "a multicast address";
    }
    if (address.is_loopback()) {
        return "a loopback address";
    }
    if (address.is_link_local()) {
        return "a link-local address";
    }
    if (address.is_unspecified() || (address.is_v4() && address.bytes()[0] == 0)) {
        return "an address of nobody";
    }
    if (prefix.length == 0) {
        return "in a network of all addresses there are";
    }
    if (network && host_bits_are(prefix, false)) {
        return "the address of the network itself";
    }
    const bool last = address == IpAddress::v4({255, 255, 255, 255});
    if (last || (network && address.is_v4() && host_bits_are(prefix, true))) {
        return "a broadcast address";
    }
    return nullptr;
}

std::string check_mtu(const PodSpec& spec) {
    const bool v6 = std::ranges::any_of(spec.addresses,
                                        [](const Prefix& each) { return each.address.is_v6(); });
    const unsigned least = v6 ? kLeastMtu6 : kLeastMtu4;
    if (spec.mtu == 0 || (spec.mtu >= least && spec.mtu <= kMostMtu)) {
        return {};
    }
    return "a pod with " + std::string(v6 ? "IPv6" : "IPv4") + " needs an MTU from " +
           std::to_string(least) + " to " + std::to_string(kMostMtu) + ", not " +
           std::to_string(spec.mtu);
}

std::string check_routes(const PodSpec& spec) {
    for (const IpAddress& gateway : spec.gateways) {
        const auto reached = [&](const Prefix& each) { return each.contains(gateway); };
        if (spec.mode == Mode::bridge && std::ranges::none_of(spec.addresses, reached)) {
            return "the gateway " + gateway.text() +
                   " is in no network that the pod has an address of";
        }
    }
    for (const PodRoute& route : spec.routes) {
        if (route.gateway && route.gateway->is_v4() != route.destination.address.is_v4()) {
            return "the route to " + route.destination.text() + " cannot lead to " +
                   route.gateway->text() + ", which is of the other family";
        }
    }
    return {};
}

} // namespace

const char* name_of(Mode mode) {
    return mode == Mode::bridge ? "bridge" : "routed";
}

std::optional<Mode> mode_of(std::string_view name) {
    for (const Mode mode : {Mode::bridge, Mode::routed}) {
        if (name == name_of(mode)) {
            return mode;
        }
    }
    return std::nullopt;
}

std::string check_ifname(const std::string& name) {
    const bool odd = std::ranges::any_of(name, [](char c) {
        return c <= ' ' || c > '~' || c == '/' || c == ':' || c == '|' || c == '%';
    });
    if (name.empty() || name.size() > kMaxName || odd || name == "." || name == ".." ||
        name == "lo") {
        return "'" + name +
               "' is no name for a network interface: give 1 to 15 characters without / : % or "
               "blanks";
    }
    return {};
}

std::string check_address(const Prefix& prefix) {
    const char* const use = other_use(prefix);
    return use == nullptr
               ? std::string{}
               : prefix.text() + " is " + use + ": write an address that one interface " +
                     "can have and its network's length, such as " +
                     (prefix.address.is_v6() ? "fd32::5/64" : "10.32.0.5/12");
}

std::string check_pod(const PodSpec& spec) {
    if (std::string why = check_ifname(spec.ifname); !why.empty()) {
        return why;
    }
    const bool odd =
        std::ranges::any_of(spec.id, [](char c) { return c < ' ' || c > '~' || c == '|'; });
    if (spec.id.size() > kMaxId || odd) {
        return "a pod's id must be at most 200 printable characters without '|'";
    }
    if (spec.mac && (spec.mac->is_group() || *spec.mac == MacAddress{})) {
        return spec.mac->text() + " is no MAC address for one interface";
    }
    for (const Prefix& prefix : spec.addresses) {
        if (std::string why = check_address(prefix); !why.empty()) {
            return why;
        }
    }
    if (spec.mode == Mode::routed && spec.addresses.empty()) {
        return "a routed pod needs an address: nothing else leads to it";
    }
    std::string why = check_mtu(spec);
    return why.empty() ? check_routes(spec) : why;
}

} // namespace weave::attach
