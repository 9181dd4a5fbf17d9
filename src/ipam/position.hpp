// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/ring.hpp"

#include <optional>

namespace weave::ipam {

/** How many places a range has. Throws std::invalid_argument with a sentence unless it is from 4
 * to 2^24. */
Index size_of(const Prefix& range);

/** The address at a place of the range. */
IpAddress address_at(const Prefix& range, Index index);

/** The place of an address; nullopt when it is outside the range or of the other family. */
std::optional<Index> index_of(const Prefix& range, const IpAddress& address);

} // namespace weave::ipam
