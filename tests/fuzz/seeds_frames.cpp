// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Frames: as they come from a TAP, as they come from a peer, and as what an answer quotes.
#include "dataplane/checksum.hpp"
#include "dataplane/frames.hpp"
#include "seeds.hpp"
#include "wire/packet.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace weave::fuzz {
namespace {

using namespace weave::dataplane;
using test::FrameSpec;

FrameSpec spec_of(bool v6, std::uint8_t protocol) {
    FrameSpec out;
    if (v6) {
        out.source = *IpAddress::parse("fd00::a");
        out.destination = *IpAddress::parse("fd00::b");
    }
    out.protocol = protocol;
    return out;
}

std::vector<FrameSpec> specs() {
    std::vector<FrameSpec> out;
    for (const bool v6 : {false, true}) {
        for (const std::uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
            out.push_back(spec_of(v6, protocol));
        }
    }
    FrameSpec tagged;
    tagged.vlan = true;
    tagged.timestamps = false;
    out.push_back(tagged);
    FrameSpec flags;
    flags.tcp_flags = 0xd9; // CWR, ECE, ACK, PSH, FIN
    flags.dont_fragment = false;
    out.push_back(flags);
    return out;
}

Bytes arp() {
    Bytes out(42);
    std::fill_n(out.begin(), 6, std::uint8_t{0xff});
    out[12] = 0x08;
    out[13] = 0x06;
    out[15] = 1;
    out[16] = 0x08;
    return out;
}

/** Who has fd32::2? As a Linux pod asks. */
Bytes solicitation() {
    Bytes out(86);
    const Bytes start{0x33, 0x33, 0xff, 0,    0, 2, 2, 0, 0,  0,  0,
                      1,    0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255};
    std::copy(start.begin(), start.end(), out.begin());
    const auto put = [&](std::size_t at, const char* address) {
        const IpAddress parsed = *IpAddress::parse(address);
        std::copy_n(parsed.bytes().begin(), 16, out.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(22, "fd32::1");
    put(38, "ff02::1:ff00:2");
    out[54] = 135;
    put(62, "fd32::2");
    out[78] = out[79] = 1;
    std::copy_n(out.begin() + 6, 6, out.begin() + 80);
    const auto packet = parse_frame(out);
    const std::uint64_t sum =
        sum_words(ByteView{out}.subspan(54), pseudo_sum(out, *packet) + network_word(32));
    const auto written = static_cast<std::uint16_t>(~fold(sum));
    std::memcpy(&out[56], &written, sizeof written);
    return out;
}

Bytes arp_request() {
    Bytes out = arp();
    const Bytes body{6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 32, 0, 1, 0, 0, 0, 0, 0, 0, 10, 32, 0, 2};
    std::copy(body.begin(), body.end(), out.begin() + 18);
    std::copy_n(out.begin() + 22, 6, out.begin() + 6);
    return out;
}

void seed_egress() {
    for (const std::uint16_t room : {std::uint16_t{1400}, std::uint16_t{60}}) {
        for (FrameSpec& spec : specs()) {
            for (const std::uint16_t gso : {std::uint16_t{0}, std::uint16_t{48}}) {
                wire::ByteWriter out;
                out.u8(1).u16(room).bytes(test::tap_message(spec, test::pattern(200), gso));
                seed("egress", out.take());
            }
            spec.partial = spec.dont_fragment = false;
            wire::ByteWriter out;
            out.u8(0).u16(room).bytes(test::tap_message(spec, test::pattern(90), 0));
            seed("egress", out.take());
        }
    }
    seed("egress", wire::ByteWriter().u8(0).u16(1400).zeros(10).bytes(arp()).take());
    for (const Bytes& frame : {arp_request(), solicitation()}) {
        seed("egress", wire::ByteWriter().u8(0).u16(1400).zeros(10).bytes(frame).take());
    }
}

Bytes frame_record(const FrameSpec& spec, std::size_t payload) {
    const Bytes frame = test::make_frame(spec, test::pattern(payload));
    wire::ByteWriter out;
    out.u8(1).u8(spec.partial ? 1 : 0).u16(static_cast<std::uint16_t>(frame.size())).bytes(frame);
    return out.take();
}

/** Frames that are one after the other in their flow, a pure acknowledgement, and the flow's end.
 */
Bytes train(FrameSpec spec) {
    Bytes out;
    for (int i = 0; i < 4; ++i) {
        append(out, frame_record(spec, 40));
        spec.sequence += 40;
        ++spec.ip_id;
    }
    append(out, frame_record(spec, 0));
    spec.tcp_flags |= 0x08;
    append(out, frame_record(spec, 20));
    spec.partial = false;
    append(out, frame_record(spec, 30));
    return out;
}

void seed_ingress() {
    for (const FrameSpec& spec : specs()) {
        Bytes both = train(spec);
        append(both, train(spec_of(true, kProtocolUdp)));
        seed("ingress", wire::ByteWriter().u8(0).bytes(both).take());
        for (const std::uint8_t suite : {std::uint8_t{1}, std::uint8_t{3}}) { // a cipher, clear
            wire::ByteWriter out;
            out.u8(suite).u8(2 + 1);
            put_part(out, train(spec)).u8(10); // sealed by the second peer, finish
            out.u8(2);
            put_part(out, train(spec)); // sealed by the first
            out.u8(8).u16(0).u8(0);     // replayed
            out.u8(8).u16(40).u8(1);    // forged
            seed("ingress", out.take());
        }
    }
    const Bytes probe = wire::ByteWriter().u8(2).u8(0).u16(8).u64(5).u8(5).u8(0).u16(0).take();
    wire::ByteWriter out;
    out.u8(1).u8(2);
    put_part(out, probe);
    for (const std::uint8_t how : {std::uint8_t{0x41}, std::uint8_t{0x42}, std::uint8_t{0x10}}) {
        out.u8(4).u8(how); // relayed to us, to the other peer, with a hop limit that runs out
        put_part(out, probe);
        out.u8(6).u8(how);
        put_part(out, Bytes{6, 1, 0, 0, 0, 0, 0, 0});
    }
    out.u8(0);
    put_part(out, Bytes{1, 2, 3}).u16(1);
    seed("ingress", out.take());
}

void seed_icmp() {
    for (const FrameSpec& spec : specs()) {
        for (const std::uint8_t router : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
            wire::ByteWriter out;
            out.u8(router).u16(1376).bytes(test::make_frame(spec, test::pattern(150)));
            seed("icmp", out.take());
        }
    }
    seed("icmp", wire::ByteWriter().u8(1).u16(1376).bytes(arp()).take());
    Bytes ping = test::make_frame(spec_of(false, kProtocolUdp), test::pattern(150));
    ping[14 + 9] = 1;
    for (const std::uint8_t type : {std::uint8_t{8}, std::uint8_t{3}}) {
        ping[34] = type;
        seed("icmp", wire::ByteWriter().u8(1).u16(576).bytes(ping).take());
    }
}

} // namespace

void seed_frames() {
    seed_egress();
    seed_ingress();
    seed_icmp();
}

} // namespace weave::fuzz
