// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"

#include <array>
#include <cstdint>
#include <functional>

/** What machines do with the randomness that their driver gives them. */
namespace weave::mesh {

using Random = std::function<void(ByteSpan)>;

/** A number below `below`, which is not zero. */
inline std::uint64_t random_below(const Random& random, std::uint64_t below) {
    std::array<std::uint8_t, 8> bytes{};
    random(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) {
        value = (value << 8) | byte;
    }
    return value % below;
}

/** At least half of the interval, less than one and a half. */
inline Duration jittered(const Random& random, Duration interval) {
    std::array<std::uint8_t, 4> bytes{};
    random(bytes);
    std::uint32_t value = 0;
    for (const std::uint8_t byte : bytes) {
        value = (value << 8) | byte;
    }
    const double share = 0.5 + static_cast<double>(value) / 4294967296.0;
    return std::chrono::duration_cast<Duration>(interval * share);
}

} // namespace weave::mesh
