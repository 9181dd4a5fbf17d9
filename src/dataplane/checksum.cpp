// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/checksum.hpp"

namespace weave::dataplane {

std::uint64_t sum_words(ByteView bytes, std::uint64_t start) {
    std::uint64_t sum = start;
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        sum += (word >> 32) + (word & 0xffffffff);
    }
    for (; left >= 2; at += 2, left -= 2) {
        std::uint16_t word;
        std::memcpy(&word, at, 2);
        sum += word;
    }
    if (left == 1) {
        const std::uint8_t last[2] = {*at, 0};
        std::uint16_t word;
        std::memcpy(&word, last, 2);
        sum += word;
    }
    return sum;
}

std::uint64_t pseudo_sum(ByteView frame, const Packet& packet) {
    const std::size_t at = packet.l3 + (packet.version == 4 ? 12u : 8u);
    const std::size_t size = packet.version == 4 ? 8 : 32;
    return sum_words(frame.subspan(at, size), network_word(packet.protocol));
}

void finish_checksum(ByteSpan frame, std::size_t start, std::size_t offset) {
    std::uint16_t sum = static_cast<std::uint16_t>(~fold(sum_words(frame.subspan(start))));
    if (sum == 0) {
        // Zero means "none" in UDP; the other spelling of zero is right for everybody.
        sum = 0xffff;
    }
    std::memcpy(frame.data() + start + offset, &sum, sizeof sum);
}

void set_ipv4_checksum(std::uint8_t* header) {
    header[10] = header[11] = 0;
    const std::size_t size = (header[0] & 15u) * 4;
    const auto sum = static_cast<std::uint16_t>(~fold(sum_words({header, size})));
    std::memcpy(header + 10, &sum, sizeof sum);
}

} // namespace weave::dataplane
