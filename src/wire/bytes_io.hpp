// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace weave::wire {

/**
 * Bounds-checked little-endian reader with a sticky failure: after the first read past the end
 * every read yields zeros and ok() stays false, so a decoder checks once, at the end.
 */
class ByteReader {
  public:
    explicit ByteReader(ByteView bytes)
        : left_(bytes) {}

    [[nodiscard]] bool ok() const { return ok_; }

    [[nodiscard]] bool at_end() const { return left_.empty(); }

    [[nodiscard]] std::size_t remaining() const { return left_.size(); }

    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }

    std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }

    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }

    std::uint64_t u64() { return number(8); }

    /** The next `size` bytes as a view; empty (and not ok) when fewer are left. */
    ByteView take(std::size_t size) {
        if (size > left_.size()) {
            fail();
            return {};
        }
        const ByteView out = left_.first(size);
        left_ = left_.subspan(size);
        return out;
    }

    template <std::size_t N> std::array<std::uint8_t, N> array() {
        std::array<std::uint8_t, N> out{};
        const ByteView bytes = take(N);
        std::copy(bytes.begin(), bytes.end(), out.begin());
        return out;
    }

    /** Fails unless the next `size` bytes are zero: reserved fields. */
    void zeros(std::size_t size) {
        const ByteView bytes = take(size);
        if (std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b != 0; })) {
            fail();
        }
    }

    ByteView rest() { return take(left_.size()); }

    void fail() {
        ok_ = false;
        left_ = {};
    }

  private:
    std::uint64_t number(std::size_t size) {
        const ByteView bytes = take(size);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            value |= std::uint64_t{bytes[i]} << (8 * i);
        }
        return value;
    }

    ByteView left_;
    bool ok_ = true;
};

/** Appends little-endian numbers and bytes to a buffer it owns. */
class ByteWriter {
  public:
    ByteWriter& u8(std::uint8_t value) { return number(value, 1); }

    ByteWriter& u16(std::uint16_t value) { return number(value, 2); }

    ByteWriter& u32(std::uint32_t value) { return number(value, 4); }

    ByteWriter& u64(std::uint64_t value) { return number(value, 8); }

    ByteWriter& bytes(ByteView value) {
        out_.insert(out_.end(), value.begin(), value.end());
        return *this;
    }

    ByteWriter& zeros(std::size_t size) {
        out_.insert(out_.end(), size, 0);
        return *this;
    }

    [[nodiscard]] std::size_t size() const { return out_.size(); }

    [[nodiscard]] ByteView view() const { return out_; }

    Bytes take() { return std::move(out_); }

  private:
    ByteWriter& number(std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
        }
        return *this;
    }

    Bytes out_;
};

} // namespace weave::wire
