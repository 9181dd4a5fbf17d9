// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/pod_requests.hpp"

#include <nlohmann/json.hpp>

namespace weave::daemon {

/** The control API's requests about the address range itself. Control thread only. */
class IpamApi {
  public:
    IpamApi(const NodeParts& parts,
            LocalAddresses& local,
            HostAddresses& host_addresses,
            ProgramLeases& programs,
            PodRequests& pods)
        : parts_(parts)
        , local_(local)
        , host_addresses_(host_addresses)
        , programs_(programs)
        , pods_(pods) {}

    /** "ipam_..." and "rmpeer". */
    api::Reply handle(const api::Request& request);

  private:
    api::Reply allocate(const nlohmann::json& params);
    api::Reply release(const nlohmann::json& params);
    api::Reply check(const nlohmann::json& params);
    api::Reply claim(const nlohmann::json& params);
    api::Reply lookup(const nlohmann::json& params);
    api::Reply gc(const nlohmann::json& params);
    api::Reply status(const nlohmann::json& params);
    api::Reply conflicts(const nlohmann::json& params);
    api::Reply remove_peer(const nlohmann::json& params);
    std::vector<Prefix> addresses_of(const std::string& holder);

    NodeParts parts_;
    LocalAddresses& local_;
    HostAddresses& host_addresses_;
    ProgramLeases& programs_;
    PodRequests& pods_;
};

} // namespace weave::daemon
