// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weave {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using ByteSpan = std::span<std::uint8_t>;

/** The bytes of a text, without a copy; valid as long as the text is. */
inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/** Lower-case hexadecimal, two characters per byte. */
std::string to_hex(ByteView bytes);

/** Parses exactly 2 * out.size() hexadecimal characters (either case). False leaves `out`
 * unspecified. */
[[nodiscard]] bool from_hex(std::string_view text, ByteSpan out);

} // namespace weave
