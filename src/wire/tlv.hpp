// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "wire/bytes_io.hpp"

#include <algorithm>
#include <array>
#include <optional>

/** What the codecs of records share. */
namespace weave::wire {

inline void put_tlv(ByteWriter& out, std::uint8_t type, ByteView value) {
    out.u8(type).u16(static_cast<std::uint16_t>(value.size())).bytes(value);
}

/** Copies a value of exactly N bytes; false for another size. */
template <std::size_t N> bool copy_exact(ByteView value, std::array<std::uint8_t, N>& out) {
    if (value.size() != N) {
        return false;
    }
    std::copy(value.begin(), value.end(), out.begin());
    return true;
}

inline void put_prefix_tlv(ByteWriter& out, std::uint8_t type, const Prefix& prefix) {
    put_tlv(out, type, ByteWriter().u8(prefix.length).bytes(prefix.address.bytes()).view());
}

inline std::optional<Prefix> read_prefix(ByteView value) {
    if (value.empty()) {
        return std::nullopt;
    }
    const auto address = IpAddress::from_bytes(value.subspan(1));
    if (!address || value[0] > address->bits()) {
        return std::nullopt;
    }
    return Prefix{*address, value[0]};
}

} // namespace weave::wire
