// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace weave::dataplane {

/** Not 0 when N bytes differ. Recursive so that it becomes some moves, without a loop. */
template <std::size_t N>
inline std::uint64_t difference(const std::uint8_t* a, const std::uint8_t* b) {
    using Word = std::conditional_t<
        (N >= 8),
        std::uint64_t,
        std::conditional_t<(N >= 4),
                           std::uint32_t,
                           std::conditional_t<(N >= 2), std::uint16_t, std::uint8_t>>>;
    Word x;
    Word y;
    std::memcpy(&x, a, sizeof x);
    std::memcpy(&y, b, sizeof y);
    const auto here = static_cast<std::uint64_t>(x ^ y);
    if constexpr (N > sizeof(Word)) {
        return here | difference<N - sizeof(Word)>(a + sizeof(Word), b + sizeof(Word));
    }
    return here;
}

/** For the few bytes of header fields, where std::memcmp() would be a call. Not for secrets. */
template <std::size_t N> bool equal_bytes(const std::uint8_t* a, const std::uint8_t* b) {
    return difference<N>(a, b) == 0;
}

/** All 16 bytes whatever the family: behind the four of IPv4 they are zero. */
inline bool equal(const IpAddress& a, const IpAddress& b) {
    return a.is_v4() == b.is_v4() && equal_bytes<16>(a.bytes().data(), b.bytes().data());
}

inline bool equal(const MacAddress& mac, const std::uint8_t* at) {
    return equal_bytes<6>(mac.octets.data(), at);
}

inline bool equal(const Endpoint& a, const Endpoint& b) {
    return a.port == b.port && equal(a.address, b.address);
}

} // namespace weave::dataplane
