// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/address_plan.hpp"

#include "attach/overlap.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace weave::daemon {

ipam::Plan address_plan(const Options& options, const Cluster& cluster) {
    std::optional<Prefix> subnet;
    if (!options.ipalloc_default_subnet.empty()) {
        subnet = Prefix::parse(options.ipalloc_default_subnet);
    }
    ipam::Plan plan(*Prefix::parse(options.ipalloc_range), subnet);
    if (options.ipalloc_range6 == "auto") {
        const crypto::Hash64 hash = crypto::blake2b(as_bytes("weavemesh ULA"), cluster.id);
        std::array<std::uint8_t, 16> first{0xfd};
        std::copy_n(hash.begin(), 5, first.begin() + 1);
        plan.add_v6(IpAddress::v6(first));
    } else if (options.ipalloc_range6 != "off") {
        plan.add_v6(Prefix::parse(options.ipalloc_range6)->network().address);
    }
    return plan;
}

std::vector<Prefix> ranges_of(const ipam::Plan& plan) {
    std::vector<Prefix> out{plan.range()};
    if (plan.range6()) {
        out.push_back(*plan.range6());
    }
    return out;
}

void refuse_overlap(const Options& options) {
    Options asked = options;
    std::optional<Cluster> cluster;
    if (asked.ipalloc_range6 == "auto") {
        try {
            cluster = read_cluster_file(cluster_path(asked));
        } catch (const std::exception&) {
            asked.ipalloc_range6 = "off"; // what is wrong with the file is another question
        }
    }
    os::Netlink netlink = os::Netlink::open();
    const ipam::Plan plan = address_plan(asked, cluster.value_or(Cluster{}));
    const std::string why = attach::find_overlap(netlink, ranges_of(plan), options.bridge);
    if (!why.empty()) {
        throw ConfigError(why);
    }
}

} // namespace weave::daemon
