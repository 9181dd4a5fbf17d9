// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/cluster_file.hpp"
#include "daemon/options.hpp"
#include "ipam/plan.hpp"

#include <vector>

namespace weave::daemon {

/** The IPv6 range of a cluster that names none is a unique local one of its own (RFC 4193). */
ipam::Plan address_plan(const Options& options, const Cluster& cluster);

/** The ranges of both families. */
std::vector<Prefix> ranges_of(const ipam::Plan& plan);

/** Before there is a router, and perhaps before there is a cluster file: throws ConfigError where
 * others use parts of a range on this host (attach::find_overlap()); an automatic range is looked
 * at if its cluster is known. Changes nothing. */
void refuse_overlap(const Options& options);

} // namespace weave::daemon
