// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/plan.hpp"

#include "ipam/position.hpp"

#include <bit>
#include <stdexcept>

namespace weave::ipam {
namespace {

unsigned host_bits(const Prefix& prefix) {
    return prefix.address.bits() - prefix.length;
}

std::uint8_t length_for(const Prefix& range, Index size) {
    return static_cast<std::uint8_t>(range.address.bits() -
                                     static_cast<unsigned>(std::bit_width(size) - 1));
}

} // namespace

Plan::Plan(const Prefix& range, const std::optional<Prefix>& default_subnet)
    : v4_(range.network()) {
    if (!v4_.address.is_v4()) {
        throw std::invalid_argument(range.text() +
                                    " is no IPv4 range: give one such as 10.32.0.0/12");
    }
    default_ = {0, size_of(v4_)};
    if (default_subnet) {
        const auto places = places_of(*default_subnet);
        if (!places || places->size() < 4) {
            throw std::invalid_argument("the default subnet " + default_subnet->text() +
                                        " is not a part of " + v4_.text() +
                                        " with 4 addresses or more");
        }
        default_ = *places;
    }
}

void Plan::add_v6(const IpAddress& first) {
    v6_ = Prefix{first, static_cast<std::uint8_t>(first.bits() - host_bits(v4_))}.network();
}

std::optional<Index> Plan::place_of(const IpAddress& address) const {
    const auto place = index_of(v4_, address);
    return place || !v6_ ? place : index_of(*v6_, address);
}

std::optional<Run> Plan::places_of(const Prefix& subnet) const {
    const Prefix network = subnet.network();
    const auto first = place_of(network.address);
    const Prefix& range = network.address.is_v4() || !v6_ ? v4_ : *v6_;
    if (!first || network.length < range.length) {
        return std::nullopt;
    }
    return Run{*first, *first + (Index{1} << host_bits(network))};
}

std::vector<Prefix> Plan::addresses(Index place, const Run& subnet) const {
    std::vector<Prefix> out{{address_at(v4_, place), length_for(v4_, subnet.size())}};
    if (v6_) {
        out.push_back({address_at(*v6_, place), length_for(*v6_, subnet.size())});
    }
    return out;
}

IpAddress Plan::address(Index place) const {
    return address_at(v4_, place);
}

std::vector<Prefix> Plan::prefixes(const Run& subnet) const {
    return addresses(subnet.first, subnet);
}

std::optional<Request> parse_request(std::string_view text) {
    if (text == "net:default") {
        return Request{};
    }
    if (text.starts_with("net:")) {
        const auto subnet = Prefix::parse(text.substr(4));
        return subnet ? std::optional(Request{Request::Kind::any, subnet->network()})
                      : std::nullopt;
    }
    if (text.starts_with("ip:")) {
        text.remove_prefix(3);
        if (const auto address = IpAddress::parse(text)) {
            return Request{Request::Kind::place,
                           Prefix{*address, static_cast<std::uint8_t>(address->bits())}};
        }
        const auto prefix = Prefix::parse(text);
        return prefix ? std::optional(Request{Request::Kind::place, *prefix}) : std::nullopt;
    }
    if (text.find('/') == std::string_view::npos) {
        return std::nullopt;
    }
    const auto prefix = Prefix::parse(text);
    return prefix ? std::optional(Request{Request::Kind::fixed, *prefix}) : std::nullopt;
}

} // namespace weave::ipam
