// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

/** What every target defines: one input, no state kept from one call to the next. Returns 0. */
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace weave::fuzz {

/** Ends the process with a line that says what did not hold: a finding. */
[[noreturn]] void report(const char* condition, const char* file, int line);

/** Not assert(): it holds in every build type. */
#define FUZZ_CHECK(condition)                                                                      \
    (static_cast<bool>(condition) ? static_cast<void>(0)                                           \
                                  : ::weave::fuzz::report(#condition, __FILE__, __LINE__))

/** Takes an input apart from the front. Past the end there are zeros and empty parts. */
class Input {
  public:
    explicit Input(ByteView bytes)
        : left_(bytes) {}

    [[nodiscard]] bool empty() const { return left_.empty(); }

    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }

    std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }

    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }

    std::uint64_t u64() { return number(8); }

    /** At most `size` bytes. */
    ByteView take(std::size_t size) {
        const ByteView out = left_.first(std::min(size, left_.size()));
        left_ = left_.subspan(out.size());
        return out;
    }

    /** Length (one byte or two) and that many bytes, as far as they are there. */
    ByteView short_part() { return take(u8()); }

    ByteView part() { return take(u16()); }

    ByteView rest() { return take(left_.size()); }

  private:
    std::uint64_t number(std::size_t size) {
        std::uint64_t value = 0;
        const ByteView bytes = take(size);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            value |= std::uint64_t{bytes[i]} << (8 * i);
        }
        return value;
    }

    ByteView left_;
};

inline bool same(ByteView left, ByteView right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

/** `whole` starts with `part`. */
inline bool starts_with(ByteView whole, ByteView part) {
    return part.size() <= whole.size() && same(whole.first(part.size()), part);
}

inline Bytes copy(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}

inline void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

/** The same "random" bytes after each call, from libsodium as well: an input always does the same.
 */
void restart_randomness();

/** A folder in memory where there is one, removed when the process ends. */
const char* scratch_folder();

} // namespace weave::fuzz
