// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"
#include "ipam/plan.hpp"

#include <nlohmann/json.hpp>

#include <vector>

namespace weave::daemon {

/** What a request of the control API asks for under "addresses"; one of the default subnet when it
 * names nothing. Throws std::invalid_argument with a sentence. */
std::vector<ipam::Request> address_requests(const nlohmann::json& params);

/** As address_requests() for a pod, which may also do without: with "none" alone there is no
 * request.
 */
std::vector<ipam::Request> pod_address_requests(const nlohmann::json& params);

/** What is not of the range, or in a network beyond it, has no partner of the other family: with a
 * length it is asked for as it is. */
std::vector<ipam::Request> without_partners(std::vector<ipam::Request> requests,
                                            const ipam::Plan& plan);

/** Those that name the very address. */
std::vector<Prefix> fixed_addresses(const std::vector<ipam::Request>& requests);

/** A routed pod is on no network with others, nor is a host beside it. */
std::vector<Prefix> on_no_network(std::vector<Prefix> addresses);

/** "wait_ms": how long its caller waits for address space. */
Duration patience_of(const nlohmann::json& params);

} // namespace weave::daemon
