// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "target.hpp"
#include "wire/bytes_io.hpp"

#include <string_view>

namespace weave::fuzz {

/** Writes FOLDER/TARGET/seed-N. */
void seed(std::string_view target, ByteView bytes);

inline void seed(std::string_view target, std::string_view text) {
    seed(target, as_bytes(text));
}

/** Length (two bytes) and contents: what Input::part() reads. */
inline wire::ByteWriter& put_part(wire::ByteWriter& out, ByteView bytes) {
    return out.u16(static_cast<std::uint16_t>(bytes.size())).bytes(bytes);
}

void seed_wire();
void seed_frames();
void seed_machines();
void seed_texts();

} // namespace weave::fuzz
