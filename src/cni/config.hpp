// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/environment.hpp"
#include "cni/result.hpp"
#include "cni/version.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weave::cni {

/** How pods hang on the node unless the configuration says so: as plain containers do. That of
 * Kubernetes says "routed". */
inline constexpr const char* kDefaultMode = "bridge";

inline constexpr const char* kOwnIpam = "weave-ipam";

/** Whether that "ipam.type" means weaved's own addresses. */
inline bool is_own_ipam(const std::string& type) {
    return type.empty() || type == kOwnIpam;
}

struct IpamConfig {
    std::string type;                 // empty or weave-ipam: weaved's own addresses
    std::vector<std::string> subnets; // parts of the pod range, "10.40.0.0/16"
    std::vector<IpAddress> gateways;  // at most one of each family is used
    std::optional<std::vector<Route>> routes;
};

/** What both plugins read of the network configuration (CNI specification 1.1, section 1). */
struct NetworkConfig {
    SpecVersion version = kNewestVersion;
    std::string name;
    std::string socket = "/run/weave/weave.sock";
    std::string state_dir = "/var/lib/weave";
    IpamConfig ipam;
    Dns dns;
    /** Asked for: addresses, or subnets of which one is wanted, as weaved reads them. */
    std::vector<std::string> addresses;
    std::optional<Result> previous;
    std::string text; // as it came: delegated plugins get all of it

    /** Another plugin hands the addresses out. */
    [[nodiscard]] bool delegates() const { return !is_own_ipam(ipam.type); }
};

/** What weave-cni reads besides; in the configuration of another plugin the keys may mean other
 * things. */
struct LinkConfig {
    std::string mode = kDefaultMode; // "bridge", "routed"
    std::uint32_t mtu = 0;           // bytes; 0: what fits the network
    std::string mac;                 // empty: random
};

/** One attachment, as a container runtime names it. */
struct Attachment {
    std::string container_id;
    std::string ifname;
};

/**
 * Throws Failure: incompatible_version, also for a verb that this version does not have
 * (CHECK is of 0.4.0, STATUS and GC of 1.1.0).
 */
SpecVersion read_version(const nlohmann::json& in, Verb verb);

/**
 * Reads what the verb needs and nothing else: a DEL must succeed whatever became of the
 * configuration since the ADD. Throws Failure: decode_failure, invalid_config, unsupported_field,
 * invalid_environment (CNI_ARGS).
 */
NetworkConfig read_config(const nlohmann::json& in, const Environment& environment);
LinkConfig read_link_config(const nlohmann::json& in, const Environment& environment);

/** "cni.dev/valid-attachments" of GC. Throws Failure (invalid_config) when it is not there. */
std::vector<Attachment> read_valid_attachments(const nlohmann::json& in);

} // namespace weave::cni
