// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Frames as they come from the TAP: virtio-net header and frame are judged, cut or fragmented as
// the lane does it, and what was cut is merged again. Input: choices 1, room 2, virtio-net header
// 10, frame.
#include "dataplane/checksum.hpp"
#include "dataplane/marks.hpp"
#include "dataplane/neighbour.hpp"
#include "dataplane/segment.hpp"
#include "frames.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::dataplane;

constexpr std::size_t kHeadroom = 64;
/** What sealing needs in front of every frame that is sent. */
constexpr std::size_t kRecordHeader = 4;

struct Frame {
    VnetHeader vnet;
    Packet packet;
    Bytes room; ///< headroom and frame

    ByteSpan view() { return ByteSpan{room}.subspan(kHeadroom); }
};

void scribble_before(ByteSpan frame) {
    std::fill_n(frame.data() - kRecordHeader, kRecordHeader, std::uint8_t{0xee});
}

/** A partial checksum that holds the right pseudo-header sum becomes a right checksum. */
void check_finish(Frame frame) {
    const Packet& packet = frame.packet;
    const ByteSpan whole = frame.view().first(packet.end);
    const std::size_t at = std::size_t{packet.l4} + packet.checksum_offset();
    const std::size_t l4_size = packet.end - packet.l4;
    const std::uint16_t pseudo = plain_pseudo_sum(whole, packet, l4_size);
    store_be16(&whole[at], pseudo);
    finish_checksum(whole, frame.vnet.csum_start, frame.vnet.csum_offset);
    FUZZ_CHECK(plain_sum(whole.subspan(packet.l4), pseudo) == 0xffff);
    FUZZ_CHECK(load_be16(&whole[at]) != 0);
}

/** Frames of a superframe, and what they hold together. */
std::vector<Bytes> cut(Frame& frame, Segmenter& segmenter, std::size_t piece) {
    const Packet& packet = frame.packet;
    const Bytes before = copy(frame.view());
    const std::uint16_t stated = stated_pseudo_sum(before, packet);
    std::vector<Bytes> out;
    Bytes payload;
    for (ByteSpan one = segmenter.next(); !one.empty(); one = segmenter.next()) {
        scribble_before(one);
        check_cut(one, packet, stated);
        const std::size_t size = one.size() - packet.payload;
        const bool last = payload.size() + size == before.size() - packet.payload;
        FUZZ_CHECK(last ? size > 0 && size <= piece : size == piece);
        if (packet.is_tcp()) {
            constexpr std::uint8_t kFinPsh = 0x09;
            const std::uint32_t first = load_be32(&before[packet.l4 + 4u]);
            const std::uint32_t sequence = load_be32(&one[packet.l4 + 4u]);
            FUZZ_CHECK(sequence == first + static_cast<std::uint32_t>(payload.size()));
            FUZZ_CHECK(last || (one[packet.l4 + 13u] & kFinPsh) == 0);
        }
        append(payload, one.subspan(packet.payload));
        out.push_back(copy(one));
    }
    FUZZ_CHECK(same(payload, ByteView{before}.subspan(packet.payload)));
    return out;
}

void merge_again(std::vector<Bytes>& frames, bool join_udp) {
    MergeOracle oracle;
    Merger merger(oracle, join_udp);
    for (Bytes& frame : frames) {
        const auto packet = parse_frame(frame);
        oracle.expect(frame, *packet, true);
        FUZZ_CHECK(merger.add(frame, *packet, true));
    }
    merger.flush();
    oracle.check();
}

/** What a network makes of a train: some missing, some twice, some late, some changed. What is
 * left is delivered, and nothing else. */
std::vector<Bytes> travel(const std::vector<Bytes>& frames, std::uint32_t seed) {
    const auto next = [&seed] { return (seed = seed * 1664525 + 1013904223) >> 16; };
    std::vector<Bytes> out;
    for (const Bytes& frame : frames) {
        const std::uint32_t fate = next() % 8;
        if (fate == 0) {
            continue;
        }
        out.push_back(frame);
        if (fate == 1) {
            out.push_back(frame);
        } else if (fate == 2 && out.size() > 1) {
            std::swap(out.back(), out[next() % out.size()]);
        } else if (fate == 3) {
            out.back()[12 + next() % (frame.size() - 12)] ^= static_cast<std::uint8_t>(next());
        }
    }
    return out;
}

void merge_damaged(std::vector<Bytes> frames, bool join_udp) {
    MergeOracle oracle;
    Merger merger(oracle, join_udp);
    for (Bytes& frame : frames) {
        const auto packet = parse_frame(frame);
        if (packet->payload == 0) {
            FUZZ_CHECK(!merger.add(frame, *packet, true));
            continue;
        }
        oracle.expect(frame, *packet, true);
        FUZZ_CHECK(merger.add(frame, *packet, true));
    }
    merger.flush();
    oracle.check();
}

void send_super(Frame& frame, Offload offload, std::size_t room, bool join_udp) {
    const std::size_t gso = frame.vnet.gso_size;
    const std::size_t piece = offload == Offload::tcp_super ? std::min(gso, room) : gso;
    auto segmenter = Segmenter::create(frame.view(), frame.packet, piece);
    if (!segmenter) {
        FUZZ_CHECK(piece == 0 || frame.packet.payload > 192);
        return;
    }
    std::vector<Bytes> frames = cut(frame, *segmenter, piece);
    const std::uint32_t seed = frame.vnet.gso_size + frame.vnet.header_length * 65537U;
    std::vector<Bytes> arrived = travel(frames, seed);
    merge_again(frames, join_udp);
    merge_damaged(std::move(arrived), join_udp);
}

/** Of a packet that is no fragment yet; others only have to stay within their bounds. */
void check_fragments6(Fragmenter& fragmenter,
                      const Packet& packet,
                      ByteView before,
                      std::size_t mtu) {
    Bytes payload;
    for (ByteSpan one = fragmenter.next(); !one.empty(); one = fragmenter.next()) {
        scribble_before(one);
        const auto fragment = parse_frame(one);
        FUZZ_CHECK(fragment && fragment->version == 6 && fragment->end == one.size());
        FUZZ_CHECK(fragment->fragment && one.size() - packet.l3 <= mtu);
        const unsigned field = load_be16(&one[packet.l3 + 42u]);
        FUZZ_CHECK(packet.fragment || (field & 0xfff8u) == payload.size());
        append(payload, one.subspan(packet.l3 + 48u));
        const bool last = payload.size() == packet.end - packet.l3 - 40u;
        FUZZ_CHECK(packet.fragment || ((field & 1) != 0) == !last);
    }
    FUZZ_CHECK(packet.fragment ||
               same(payload, before.subspan(packet.l3 + 40u, packet.end - packet.l3 - 40u)));
}

void send_fragments(Frame& frame, std::size_t mtu) {
    const Packet& packet = frame.packet;
    const Bytes before = copy(frame.view());
    auto fragmenter = Fragmenter::create(frame.view(), packet, mtu, 7);
    if (!fragmenter) {
        return;
    }
    if (packet.version == 6) {
        check_fragments6(*fragmenter, packet, before, mtu);
        return;
    }
    constexpr unsigned kMoreFragments = 0x2000;
    constexpr unsigned kOffset = 0x1fff;
    const unsigned first = load_be16(&before[packet.l3 + 6u]);
    Bytes payload;
    for (ByteSpan one = fragmenter->next(); !one.empty(); one = fragmenter->next()) {
        scribble_before(one);
        const auto fragment = parse_frame(one);
        FUZZ_CHECK(fragment && fragment->version == 4 && fragment->end == one.size());
        FUZZ_CHECK(one.size() - packet.l3 <= mtu);
        FUZZ_CHECK(plain_sum(one.subspan(packet.l3, 20)) == 0xffff);
        const unsigned field = load_be16(&one[packet.l3 + 6u]);
        FUZZ_CHECK((field & kOffset) == (((first & kOffset) + payload.size() / 8) & kOffset));
        append(payload, one.subspan(packet.l3 + 20u));
        const bool last = payload.size() == packet.end - packet.l3 - 20u;
        FUZZ_CHECK(((field & kMoreFragments) != 0) == (!last || (first & kMoreFragments) != 0));
        FUZZ_CHECK(last || payload.size() % 8 == 0);
    }
    FUZZ_CHECK(
        same(payload, ByteView{before}.subspan(packet.l3 + 20u, packet.end - packet.l3 - 20u)));
}

void send(Frame& frame, std::size_t room, bool join_udp) {
    const Offload offload = check_offload(frame.vnet, frame.packet, frame.view());
    static_cast<void>(reader_checks_sums(frame.view(), frame.packet));
    switch (offload) {
    case Offload::invalid:
        return;
    case Offload::tcp_super:
    case Offload::udp_super:
        send_super(frame, offload, room, join_udp);
        return;
    case Offload::partial:
        check_finish(frame);
        break;
    case Offload::other:
        finish_checksum(frame.view(), frame.vnet.csum_start, frame.vnet.csum_offset);
        break;
    case Offload::none:
        break;
    }
    send_fragments(frame, room);
}

/** Whatever is asked, the answer is a frame whose reader finds nothing wrong with it. */
void ask(ByteView frame, const Packet& packet) {
    const auto question = read_neighbour_question(frame, packet);
    if (!question) {
        return;
    }
    const MacAddress holder{{2, 0, 0, 0, 0, 9}};
    const NeighbourFrame answer = NeighbourFrame::answer(*question, holder);
    const auto read = parse_frame(answer.view());
    FUZZ_CHECK(read && source_ip(answer.view(), *read) == question->target);
    FUZZ_CHECK(mac_at(&answer.view()[6]) == holder);
    FUZZ_CHECK(!read_neighbour_question(answer.view(), *read));
    if (read->version == 6) {
        const ByteView message = answer.view().subspan(read->l4);
        const std::uint16_t pseudo = plain_pseudo_sum(answer.view(), *read, message.size());
        FUZZ_CHECK(plain_sum(message, pseudo) == 0xffff);
    }
}

/** A congestion mark changes the ECN field and an IPv4 header's sum, which stays as right, or as
 * wrong, as it was. */
void mark(ByteView frame, const Packet& packet) {
    if (packet.version == 0) {
        return;
    }
    Bytes marked = copy(frame);
    set_ecn(marked, packet, Ecn::congested);
    FUZZ_CHECK(marks_of(marked, packet) == (marks_of(frame, packet) | 3));
    if (packet.version == 4) {
        const std::size_t size = (frame[packet.l3] & 15u) * 4;
        FUZZ_CHECK(plain_sum(ByteView{marked}.subspan(packet.l3, size)) % 0xffff ==
                   plain_sum(frame.subspan(packet.l3, size)) % 0xffff);
    }
    set_ecn(marked, packet, ecn_of(marks_of(frame, packet)));
    FUZZ_CHECK(marks_of(marked, packet) == marks_of(frame, packet));
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    Input input({data, size});
    const bool join_udp = (input.u8() & 1) != 0;
    const std::size_t room = input.u16();
    Frame frame;
    const weave::ByteView vnet = input.take(sizeof frame.vnet);
    std::copy(vnet.begin(), vnet.end(), reinterpret_cast<std::uint8_t*>(&frame.vnet));
    frame.room.assign(kHeadroom, 0);
    append(frame.room, input.rest());
    const auto packet = parse_frame(frame.view(), frame.vnet.gso_type != kGsoNone);
    if (!packet) {
        FUZZ_CHECK(frame.view().size() < 14);
        return 0;
    }
    frame.packet = *packet;
    check_packet(frame.view(), frame.packet);
    mark(frame.view(), frame.packet);
    ask(frame.view(), frame.packet);
    send(frame, room, join_udp);
    return 0;
}
