// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "cni/version.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weave::cni {

struct Interface {
    std::string name;
    std::string mac;
    std::uint32_t mtu = 0;   // bytes; 0: not known; since 1.1.0
    std::string sandbox;     // path of the namespace; empty: the host's
    std::string socket_path; // since 1.1.0, as is the next one
    std::string pci_id;
};

struct Ip {
    Prefix address;
    std::optional<IpAddress> gateway;
    std::optional<std::size_t> interface; // index into Result::interfaces
};

struct Route {
    Prefix destination;
    std::optional<IpAddress> gateway;
    // The rest since 1.1.0.
    std::optional<std::uint32_t> mtu;
    std::optional<std::uint32_t> advmss;
    std::optional<std::uint32_t> priority;
    std::optional<std::uint32_t> table;
    std::optional<std::uint32_t> scope;
};

struct Dns {
    std::vector<std::string> nameservers;
    std::string domain;
    std::vector<std::string> search;
    std::vector<std::string> options;
};

/** What an ADD made: the "success result" of the specification, of every version. */
struct Result {
    std::vector<Interface> interfaces; // none in the result of an IPAM plugin
    std::vector<Ip> ips;
    std::vector<Route> routes;
    Dns dns;
};

/** In the shape that the version has, "cniVersion" included. */
nlohmann::json render(const Result& result, SpecVersion version);

/**
 * Reads a result of any version that we speak. Throws Failure: incompatible_version,
 * decode_failure, invalid_config.
 */
Result parse_result(const nlohmann::json& in);

Route parse_route(const nlohmann::json& in);
Dns parse_dns(const nlohmann::json& in);

/** What plugins before this one made, and then our own. DNS settings of ours win field by field. */
Result append(Result before, const Result& own);
Dns overlay(Dns below, const Dns& above);

} // namespace weave::cni
