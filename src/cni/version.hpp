// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weave::cni {

/** A version of the CNI specification that the plugins speak; later ones compare greater. */
enum class SpecVersion : std::uint8_t { v0_3_0, v0_3_1, v0_4_0, v1_0_0, v1_1_0 };

inline constexpr std::array<std::string_view, 5> kSpecVersions{
    "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
inline constexpr SpecVersion kNewestVersion = SpecVersion::v1_1_0;

constexpr std::string_view text_of(SpecVersion version) {
    return kSpecVersions.at(static_cast<std::size_t>(version));
}

constexpr std::optional<SpecVersion> parse_version(std::string_view text) {
    for (std::size_t i = 0; i < kSpecVersions.size(); ++i) {
        if (kSpecVersions.at(i) == text) {
            return static_cast<SpecVersion>(i);
        }
    }
    return std::nullopt;
}

} // namespace weave::cni
