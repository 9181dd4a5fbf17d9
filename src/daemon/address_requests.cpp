// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/address_requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace weave::daemon {
namespace {

constexpr const char* kNone = "none";

} // namespace

std::vector<ipam::Request> pod_address_requests(const nlohmann::json& params) {
    const bool none = params.value("addresses", nlohmann::json::array()) == nlohmann::json{kNone};
    return none ? std::vector<ipam::Request>{} : address_requests(params);
}

std::vector<ipam::Request> address_requests(const nlohmann::json& params) {
    std::vector<ipam::Request> out;
    for (const nlohmann::json& entry : params.value("addresses", nlohmann::json::array())) {
        const auto text = entry.get<std::string>();
        if (text == kNone) {
            throw std::invalid_argument(
                "'none' stands alone, and only a pod can be attached without an address: leave it "
                "out, or leave out the others");
        }
        const auto request = ipam::parse_request(text);
        if (!request) {
            throw std::invalid_argument(fmt::format(
                "'{}' is not an address with a prefix length: write an address as 10.32.0.5/12, "
                "or net:default, net:10.40.0.0/16 or ip:10.32.0.5 for one of the range",
                text));
        }
        out.push_back(*request);
    }
    if (out.empty()) {
        out.emplace_back();
    }
    return out;
}

std::vector<ipam::Request> without_partners(std::vector<ipam::Request> requests,
                                            const ipam::Plan& plan) {
    for (ipam::Request& request : requests) {
        if (request.kind == ipam::Request::Kind::place &&
            request.prefix->length < request.prefix->address.bits() &&
            !plan.places_of(request.prefix->network())) {
            request.kind = ipam::Request::Kind::fixed;
        }
    }
    return requests;
}

std::vector<Prefix> fixed_addresses(const std::vector<ipam::Request>& requests) {
    std::vector<Prefix> out;
    for (const ipam::Request& request : requests) {
        if (request.kind == ipam::Request::Kind::fixed) {
            out.push_back(*request.prefix);
        }
    }
    return out;
}

std::vector<Prefix> on_no_network(std::vector<Prefix> addresses) {
    for (Prefix& each : addresses) {
        each.length = static_cast<std::uint8_t>(each.address.bits());
    }
    return addresses;
}

Duration patience_of(const nlohmann::json& params) {
    constexpr int kDefault = 10'000;
    constexpr int kMost = 120'000;
    return std::chrono::milliseconds(std::clamp(params.value("wait_ms", kDefault), 0, kMost));
}

} // namespace weave::daemon
