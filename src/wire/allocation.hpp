// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/member_set.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace weave::wire {

/** Most claims in one record. */
inline constexpr std::size_t kMaxClaims = 256;

/** Kind 3: which parts of the address range a node owns, gives away and asks for. Places are
 * offsets from its first address; `end` is the first that is not meant. */
struct Allocation {
    struct Claim {
        std::uint32_t first = 0;
        std::uint32_t end = 0;
        std::uint32_t era = 0;
        std::uint32_t version = 0;
        /** Whom it is given to; nullopt: the record's own node. */
        std::optional<NodeId> to;

        bool operator==(const Claim&) const = default;
    };

    /** A plea for places within a run. */
    struct Want {
        NodeId from;
        std::uint32_t first = 0;
        std::uint32_t end = 0;

        bool operator==(const Want&) const = default;
    };

    /** What the offsets count from: records of another range mean nothing here. */
    Prefix range;
    std::vector<Claim> claims;
    std::optional<Want> want;
    std::optional<Membership> membership;
    /** TLVs of types this version does not know, as they came. */
    Bytes unknown;

    bool operator==(const Allocation&) const = default;
};

Bytes encode_allocation(const Allocation& allocation);
/** Error: bad_message for a known TLV of a wrong size, an empty run, too many claims, or no range.
 */
Result<Allocation> decode_allocation(ByteView tlvs);

} // namespace weave::wire
