// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/time.hpp"
#include "wire/member_set.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace weave::ipam {

/** What Members keep on disk. */
struct MembersState {
    struct Accepted {
        wire::MemberSet set;
        bool attested = false;

        bool operator==(const Accepted&) const = default;
    };

    /** The followed set first. */
    std::vector<Accepted> accepted;
    /** By the clock of ticks: the driver drops it when that clock began anew. */
    std::optional<TimePoint> lease_until;
    /** It has not met the others again since it forgot what it had. */
    bool forgot = false;
    std::uint32_t fence = 0;
    std::uint32_t highest = 0;
    std::vector<NodeId> overruled;
    /** Owners of space and an origin of the mesh that they belonged to. */
    std::vector<std::pair<NodeId, std::uint64_t>> lineages;

    bool operator==(const MembersState&) const = default;
};

} // namespace weave::ipam
