// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weave::dataplane {

/** Why a lane dropped something; the list is drops.def.hpp. */
enum class Drop : std::uint8_t {
#define DROP(name, sentence) name,
#include "dataplane/drops.def.hpp"
#undef DROP
};

struct DropText {
    std::string_view name;
    std::string_view sentence;
};

inline constexpr auto kDropTexts = std::to_array<DropText>({
#define DROP(name, sentence) {#name, sentence},
#include "dataplane/drops.def.hpp"
#undef DROP
});

inline constexpr std::size_t kDropCount = kDropTexts.size();

/** The name metrics show, for example "no_route". */
constexpr std::string_view name(Drop drop) {
    return kDropTexts[static_cast<std::size_t>(drop)].name;
}

/** A sentence for people. */
constexpr std::string_view text(Drop drop) {
    return kDropTexts[static_cast<std::size_t>(drop)].sentence;
}

} // namespace weave::dataplane
