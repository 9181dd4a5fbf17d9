// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/result.hpp"

#include <weave/types.hpp>

#include <string>
#include <vector>

namespace weave::cni {

/**
 * CHECK, in the plugin's own namespace: what is wrong with the host's end of a pod's link, or
 * nothing. It has the name and the MAC address that the result says and is up. In mode "bridge" it
 * is a port of the bridge that the router's TAP is a port of; in mode "routed" the host's routes to
 * the pod's addresses lead through it. Throws std::system_error.
 */
std::string find_host_mismatch(const Result& expected,
                               const std::vector<Ip>& addresses,
                               const AttachmentRow& row);

} // namespace weave::cni
