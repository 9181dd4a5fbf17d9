// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/marks.hpp"

#include "dataplane/checksum.hpp"

namespace weave::dataplane {

void set_ecn(ByteSpan frame, const Packet& packet, Ecn ecn) {
    std::uint8_t* ip = frame.data() + packet.l3;
    if (packet.version == 6) {
        // The class lies across two octets; of its last two bits the second has four more behind.
        ip[1] = static_cast<std::uint8_t>((ip[1] & 0xcf) | static_cast<unsigned>(ecn) << 4);
        return;
    }
    const std::uint16_t before = load_be16(ip);
    ip[1] = with_ecn(ip[1], ecn);
    const std::uint16_t after = load_be16(ip);
    const auto old_sum = static_cast<std::uint16_t>(~load_be16(ip + 10));
    const std::uint64_t sum = std::uint64_t{old_sum} + static_cast<std::uint16_t>(~before) + after;
    store_be16(ip + 10, static_cast<std::uint16_t>(~fold(sum)));
}

} // namespace weave::dataplane
