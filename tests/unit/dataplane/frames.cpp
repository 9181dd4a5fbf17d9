// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "frames.hpp"

#include <doctest/doctest.h>

namespace weave::dataplane::test {
namespace {

/** The plainest checksum there is: an oracle independent of the code under test. */
std::uint16_t plain_sum(ByteView bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(sum);
}

struct Headers {
    std::size_t l3, l4, payload, end;
    bool v4;
    std::uint8_t protocol;
};

Headers plain_headers(ByteView frame) {
    Headers out{};
    out.l3 = load_be16(frame.data() + 12) == 0x8100 ? 18 : 14;
    out.v4 = frame[out.l3] >> 4 == 4;
    out.protocol = out.v4 ? frame[out.l3 + 9] : frame[out.l3 + 6];
    out.l4 = out.l3 + (out.v4 ? 20 : 40);
    out.payload = out.l4 + (out.protocol == kProtocolTcp ? (frame[out.l4 + 12] >> 4) * 4u : 8u);
    out.end = out.v4 ? out.l3 + load_be16(frame.data() + out.l3 + 2)
                     : out.l4 + load_be16(frame.data() + out.l3 + 4);
    return out;
}

std::uint16_t pseudo(ByteView frame, const Headers& at, std::size_t length) {
    const ByteView addresses = at.v4 ? frame.subspan(at.l3 + 12, 8) : frame.subspan(at.l3 + 8, 32);
    return plain_sum(addresses, at.protocol + static_cast<std::uint32_t>(length));
}

std::size_t checksum_at(const Headers& at) {
    return at.l4 + (at.protocol == kProtocolTcp ? 16 : 6);
}

void fix_ip(Bytes& frame, const Headers& at, std::size_t payload) {
    const std::size_t l4_size = at.payload - at.l4 + payload;
    if (at.v4) {
        store_be16(&frame[at.l3 + 2], 20 + l4_size);
        store_be16(&frame[at.l3 + 10], 0);
        const std::uint16_t sum = plain_sum(ByteView{frame}.subspan(at.l3, 20));
        store_be16(&frame[at.l3 + 10], static_cast<std::uint16_t>(~sum));
    } else {
        store_be16(&frame[at.l3 + 4], l4_size);
    }
    if (at.protocol == kProtocolUdp) {
        store_be16(&frame[at.l4 + 4], l4_size);
    }
}

void complete(Bytes& frame) {
    const Headers at = plain_headers(frame);
    std::uint16_t sum =
        static_cast<std::uint16_t>(~plain_sum(ByteView{frame}.subspan(at.l4, at.end - at.l4)));
    store_be16(&frame[checksum_at(at)], sum == 0 ? 0xffff : sum);
}

void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_ip(Bytes& out, const FrameSpec& spec) {
    if (spec.source.is_v4()) {
        Bytes ip(20);
        ip[0] = 0x45;
        ip[1] = spec.tos;
        store_be16(&ip[4], spec.ip_id);
        ip[6] = spec.dont_fragment ? 0x40 : 0;
        ip[8] = 64;
        ip[9] = spec.protocol;
        std::copy_n(spec.source.bytes().begin(), 4, &ip[12]);
        std::copy_n(spec.destination.bytes().begin(), 4, &ip[16]);
        append(out, ip);
        return;
    }
    Bytes ip(40);
    ip[0] = static_cast<std::uint8_t>(0x60 | spec.tos >> 4);
    ip[1] = static_cast<std::uint8_t>(spec.tos << 4);
    ip[6] = spec.protocol;
    ip[7] = 64;
    std::copy_n(spec.source.bytes().begin(), 16, &ip[8]);
    std::copy_n(spec.destination.bytes().begin(), 16, &ip[24]);
    append(out, ip);
}

} // namespace

Bytes pattern(std::size_t count, std::size_t start) {
    Bytes out(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t n = i + start;
        out[i] = static_cast<std::uint8_t>(n ^ n >> 7 ^ n >> 13);
    }
    return out;
}

Bytes make_frame(const FrameSpec& spec, ByteView payload) {
    Bytes out;
    append(out, spec.to.octets);
    append(out, spec.from.octets);
    if (spec.vlan) {
        append(out, Bytes{0x81, 0x00, 0x00, 0x05});
    }
    append(out, spec.source.is_v4() ? Bytes{0x08, 0x00} : Bytes{0x86, 0xdd});
    append_ip(out, spec);
    if (spec.protocol == kProtocolTcp) {
        Bytes tcp(spec.timestamps ? 32 : 20);
        store_be16(&tcp[0], spec.source_port);
        store_be16(&tcp[2], spec.destination_port);
        store_be32(&tcp[4], spec.sequence);
        store_be32(&tcp[8], spec.acknowledgement);
        tcp[12] = static_cast<std::uint8_t>(tcp.size() / 4 << 4);
        tcp[13] = spec.tcp_flags;
        store_be16(&tcp[14], 501);
        if (spec.timestamps) {
            const Bytes option{1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4};
            std::copy(option.begin(), option.end(), &tcp[20]);
        }
        append(out, tcp);
    } else {
        Bytes udp(8);
        store_be16(&udp[0], spec.source_port);
        store_be16(&udp[2], spec.destination_port);
        append(out, udp);
    }
    append(out, payload);
    const Headers at = [&] {
        Headers headers = plain_headers(out);
        headers.end = out.size();
        return headers;
    }();
    fix_ip(out, at, payload.size());
    store_be16(&out[checksum_at(at)], pseudo(out, at, out.size() - at.l4));
    if (!spec.partial) {
        complete(out);
    }
    return out;
}

Bytes make_raw(const MacAddress& from, const MacAddress& to, std::size_t size) {
    Bytes out;
    append(out, to.octets);
    append(out, from.octets);
    append(out, Bytes{0x88, 0xb5});
    append(out, pattern(size - 14));
    return out;
}

Bytes tap_message(const FrameSpec& spec, ByteView payload, std::uint16_t gso_size) {
    const Bytes frame = make_frame(spec, payload);
    const Headers at = plain_headers(frame);
    VnetHeader vnet;
    if (spec.partial) {
        vnet.flags = kVnetNeedsChecksum;
        vnet.csum_start = static_cast<std::uint16_t>(at.l4);
        vnet.csum_offset = spec.protocol == kProtocolTcp ? 16 : 6;
    }
    if (gso_size != 0) {
        vnet.gso_size = gso_size;
        vnet.gso_type = spec.protocol == kProtocolUdp ? kGsoUdp : at.v4 ? kGsoTcp4 : kGsoTcp6;
        // As kernels do on the forward path: a length that cannot be trusted.
        vnet.header_length = 1;
    }
    Bytes out(sizeof vnet);
    std::memcpy(out.data(), &vnet, sizeof vnet);
    append(out, frame);
    return out;
}

std::vector<Bytes> deliver(ByteView message) {
    VnetHeader vnet;
    REQUIRE(message.size() > sizeof vnet);
    std::memcpy(&vnet, message.data(), sizeof vnet);
    const Bytes frame(message.begin() + sizeof vnet, message.end());
    if ((vnet.flags & kVnetNeedsChecksum) == 0) {
        CHECK(vnet.gso_type == kGsoNone);
        return {frame};
    }
    const Headers at = plain_headers(frame);
    CHECK(at.end == frame.size());
    CHECK(vnet.csum_start == at.l4);
    CHECK(vnet.csum_start + vnet.csum_offset == checksum_at(at));
    CHECK(load_be16(&frame[checksum_at(at)]) == pseudo(frame, at, at.end - at.l4));
    if (at.v4) {
        CHECK(plain_sum(ByteView{frame}.subspan(at.l3, 20)) == 0xffff);
    }
    const std::size_t total = frame.size() - at.payload;
    const std::size_t piece =
        vnet.gso_type == kGsoNone ? std::max<std::size_t>(total, 1) : vnet.gso_size;
    std::vector<Bytes> out;
    for (std::size_t offset = 0; offset == 0 || offset < total; offset += piece) {
        const std::size_t size = std::min(piece, total - offset);
        Bytes one(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(at.payload));
        append(one, ByteView{frame}.subspan(at.payload + offset, size));
        if (at.v4) {
            store_be16(&one[at.l3 + 4], load_be16(&frame[at.l3 + 4]) + out.size());
        }
        if (at.protocol == kProtocolTcp) {
            store_be32(&one[at.l4 + 4],
                       load_be32(&frame[at.l4 + 4]) + static_cast<std::uint32_t>(offset));
            one[at.l4 + 13] =
                static_cast<std::uint8_t>(frame[at.l4 + 13] & (offset + size < total ? ~0x09 : ~0) &
                                          (offset != 0 ? ~0x80 : ~0));
        }
        fix_ip(one, at, size);
        store_be16(&one[checksum_at(at)], pseudo(one, at, one.size() - at.l4));
        complete(one);
        out.push_back(std::move(one));
    }
    return out;
}

Bytes payload_of(ByteView frame) {
    const Headers at = plain_headers(frame);
    const ByteView payload = frame.subspan(at.payload, at.end - at.payload);
    return {payload.begin(), payload.end()};
}

bool checksums_are_right(ByteView frame) {
    const Headers at = plain_headers(frame);
    const ByteView l4 = frame.subspan(at.l4, at.end - at.l4);
    const bool ip = !at.v4 || plain_sum(frame.subspan(at.l3, 20)) == 0xffff;
    return ip && plain_sum(l4, pseudo(frame, at, l4.size())) == 0xffff;
}

} // namespace weave::dataplane::test
