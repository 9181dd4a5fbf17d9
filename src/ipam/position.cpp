// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/position.hpp"

#include "base/bytes.hpp"

#include <stdexcept>

namespace weave::ipam {

Index size_of(const Prefix& range) {
    constexpr unsigned kMostBits = 24;
    const unsigned bits = range.address.bits() - range.length;
    if (bits < 2 || bits > kMostBits) {
        throw std::invalid_argument(range.text() +
                                    " is no range to allocate from: it has fewer than 4 "
                                    "addresses, or more than 2^24; give a shorter or longer "
                                    "prefix, such as 10.32.0.0/12");
    }
    return Index{1} << bits;
}

IpAddress address_at(const Prefix& range, Index index) {
    const IpAddress first = range.network().address;
    Bytes octets(first.bytes().begin(), first.bytes().end());
    std::uint64_t carry = index;
    for (std::size_t at = octets.size(); at-- > 0 && carry != 0; carry >>= 8) {
        carry += octets[at];
        octets[at] = static_cast<std::uint8_t>(carry);
    }
    return *IpAddress::from_bytes(octets);
}

std::optional<Index> index_of(const Prefix& range, const IpAddress& address) {
    if (!range.contains(address)) {
        return std::nullopt;
    }
    const IpAddress first = range.network().address;
    Index index = 0;
    for (std::size_t at = 0; at < address.bytes().size(); ++at) {
        // Only the low bytes differ, by fewer than 2^24.
        index = index << 8 | static_cast<Index>(address.bytes()[at] - first.bytes()[at]);
    }
    return index;
}

} // namespace weave::ipam
