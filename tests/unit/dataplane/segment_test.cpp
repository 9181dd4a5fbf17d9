// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/checksum.hpp"
#include "dataplane/merge.hpp"
#include "dataplane/segment.hpp"
#include "frames.hpp"

#include <doctest/doctest.h>

#include <random>

namespace weave::dataplane::test {
namespace {

/** Keeps what the merger writes as TAP messages. */
class Kept : public FrameSink {
  public:
    void write(const VnetHeader& vnet,
               std::span<const iovec> parts,
               std::span<const ByteView> frames) override {
        Bytes message(sizeof vnet);
        std::memcpy(message.data(), &vnet, sizeof vnet);
        for (const iovec& part : parts) {
            const auto* bytes = static_cast<const std::uint8_t*>(part.iov_base);
            message.insert(message.end(), bytes, bytes + part.iov_len);
        }
        messages.push_back(std::move(message));
        frame_counts.push_back(frames.size());
    }

    std::vector<Bytes> messages;
    std::vector<std::size_t> frame_counts;
};

/** The frames a superframe is cut into, each copied before the next overwrites it. */
std::vector<Bytes> cut(const FrameSpec& spec, ByteView payload, std::size_t piece) {
    Bytes room(64);
    const Bytes frame = make_frame(spec, payload);
    room.insert(room.end(), frame.begin(), frame.end());
    const ByteSpan whole = ByteSpan{room}.subspan(64);
    const auto packet = parse_frame(whole, true);
    REQUIRE(packet.has_value());
    auto segmenter = Segmenter::create(whole, *packet, piece);
    REQUIRE(segmenter.has_value());
    std::vector<Bytes> out;
    for (ByteSpan one = segmenter->next(); !one.empty(); one = segmenter->next()) {
        out.emplace_back(one.begin(), one.end());
    }
    return out;
}

/** Merges copies of frames in the given order; returns what was written. */
Kept merge(std::vector<Bytes> frames, bool partial = true) {
    Kept kept;
    Merger merger{kept, true};
    for (Bytes& frame : frames) {
        const auto packet = parse_frame(frame);
        REQUIRE(packet.has_value());
        CHECK(merger.add(frame, *packet, partial));
    }
    merger.flush();
    return kept;
}

std::vector<Bytes> deliver_all(const Kept& kept) {
    std::vector<Bytes> out;
    for (const Bytes& message : kept.messages) {
        for (Bytes& frame : deliver(message)) {
            out.push_back(std::move(frame));
        }
    }
    return out;
}

/** A message with the frame and the state a piece of a train has. */
std::vector<Bytes> delivered_one_by_one(const std::vector<Bytes>& frames) {
    Kept kept;
    for (const Bytes& frame : frames) {
        Kept one = merge({frame});
        kept.messages.insert(kept.messages.end(), one.messages.begin(), one.messages.end());
    }
    return deliver_all(kept);
}

FrameSpec random_spec(std::mt19937& random) {
    FrameSpec spec;
    if (random() % 2 == 0) {
        spec.source = *IpAddress::parse("fd00::10");
        spec.destination = *IpAddress::parse("fd00::11");
    }
    spec.protocol = random() % 3 == 0 ? kProtocolUdp : kProtocolTcp;
    spec.sequence = static_cast<std::uint32_t>(random());
    spec.ip_id = static_cast<std::uint16_t>(random());
    spec.dont_fragment = random() % 2 == 0;
    spec.timestamps = random() % 2 == 0;
    spec.vlan = random() % 4 == 0;
    spec.tos = static_cast<std::uint8_t>(random() % 4);
    constexpr std::uint8_t kFlags[] = {0x10, 0x18, 0x11, 0x90, 0x50};
    spec.tcp_flags = kFlags[random() % 5];
    return spec;
}

} // namespace

TEST_CASE("cutting and merging are inverse, and every checksum in between is right") {
    std::mt19937 random{7};
    for (int round = 0; round < 400; ++round) {
        CAPTURE(round);
        const FrameSpec spec = random_spec(random);
        const std::size_t size = 2 + random() % 60000;
        const std::size_t piece = 1 + size / 60 + random() % 3000;
        const Bytes payload = pattern(size, random() % 1000);
        const auto frames = cut(spec, payload, piece);
        REQUIRE(frames.size() == (size + piece - 1) / piece);

        // Each piece stands alone: the kernel cuts the same frames from the original superframe.
        const auto alone = delivered_one_by_one(frames);
        const auto expected =
            deliver(tap_message(spec, payload, static_cast<std::uint16_t>(piece)));
        CHECK(alone == expected);

        // One superframe comes out again, and cut by the kernel gives the same frames.
        const Kept kept = merge(frames);
        CHECK(deliver_all(kept) == expected);
        // CWR is in the first piece only, which makes it one of its own.
        const bool alone_first = spec.protocol == kProtocolTcp && (spec.tcp_flags & 0x80) != 0;
        CHECK(kept.messages.size() == (alone_first && frames.size() > 1 ? 2 : 1));
        for (const Bytes& frame : alone) {
            CHECK(checksums_are_right(frame));
        }
    }
}

TEST_CASE("behind a routing header the sum is for the last destination") {
    FrameSpec spec;
    spec.source = *IpAddress::parse("fd00::10");
    spec.destination = *IpAddress::parse("fd00::11");
    for (const std::uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
        CAPTURE(protocol);
        spec.protocol = protocol;
        const Bytes payload = pattern(3000);
        // As the last destination gets it, and on its way: the header has that, and names the next.
        Bytes frame = make_frame(spec, payload);
        Bytes routing{protocol, 2, 2, 1, 0, 0, 0, 0};
        routing.insert(routing.end(), frame.begin() + 14 + 24, frame.begin() + 14 + 40);
        frame.insert(frame.begin() + 14 + 40, routing.begin(), routing.end());
        frame[14 + 6] = 43;
        store_be16(&frame[14 + 4], frame.size() - 14 - 40);
        frame[14 + 39] = 0x99;
        const auto packet = parse_frame(frame, true);
        REQUIRE(packet.has_value());
        REQUIRE(packet->extended);
        const std::size_t header = packet->payload;
        auto segmenter = Segmenter::create(frame, *packet, 1000);
        REQUIRE(segmenter.has_value());
        Bytes whole;
        for (ByteSpan piece = segmenter->next(); !piece.empty(); piece = segmenter->next()) {
            finish_checksum(piece, packet->l4, packet->checksum_offset());
            // What the last destination sees, without the routing header.
            Bytes last(piece.begin(), piece.end());
            last.erase(last.begin() + 14 + 40, last.begin() + 14 + 40 + 24);
            last[14 + 6] = protocol;
            store_be16(&last[14 + 4], last.size() - 14 - 40);
            last[14 + 39] = 0x11;
            CHECK(checksums_are_right(last));
            whole.insert(whole.end(), piece.begin() + static_cast<long>(header), piece.end());
        }
        CHECK(whole == payload);
    }
}

TEST_CASE("a lost, repeated or swapped piece loses nothing else") {
    const FrameSpec spec;
    const Bytes payload = pattern(20000);
    const auto whole = cut(spec, payload, 1400);
    const auto expected = delivered_one_by_one(whole);
    SUBCASE("lost") {
        auto frames = whole;
        frames.erase(frames.begin() + 5);
        auto want = expected;
        want.erase(want.begin() + 5);
        const Kept kept = merge(frames);
        CHECK(kept.messages.size() == 2);
        CHECK(deliver_all(kept).size() == want.size());
    }
    SUBCASE("repeated") {
        auto frames = whole;
        frames.insert(frames.begin() + 5, frames[5]);
        CHECK(deliver_all(merge(frames)).size() == expected.size() + 1);
    }
    SUBCASE("swapped") {
        auto frames = whole;
        std::swap(frames[5], frames[6]);
        auto want = expected;
        std::swap(want[5], want[6]);
        const auto got = deliver_all(merge(frames));
        REQUIRE(got.size() == want.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
            CHECK(payload_of(got[i]) == payload_of(want[i]));
        }
    }
}

TEST_CASE("what the kernel would not join is not joined") {
    FrameSpec first;
    FrameSpec second;
    second.sequence = first.sequence + 1000;
    second.ip_id = static_cast<std::uint16_t>(first.ip_id + 1);
    const Bytes payload = pattern(1000);
    std::size_t expected = 2;
    SUBCASE("the plain case joins") {
        expected = 1;
    }
    SUBCASE("gap") {
        second.sequence += 1;
    }
    SUBCASE("acknowledgement") {
        second.acknowledgement += 1;
    }
    SUBCASE("TOS, which holds ECN") {
        second.tos = 3;
    }
    SUBCASE("CWR on a later one") {
        second.tcp_flags = 0x90;
    }
    SUBCASE("CWR on the first only") {
        first.tcp_flags = 0x90;
    }
    SUBCASE("ECE differs") {
        second.tcp_flags = 0x50;
    }
    SUBCASE("SYN") {
        second.tcp_flags = 0x12;
    }
    SUBCASE("RST") {
        second.tcp_flags = 0x14;
    }
    SUBCASE("after PSH") {
        first.tcp_flags = 0x18;
    }
    SUBCASE("options") {
        second.timestamps = false;
    }
    SUBCASE("other port") {
        second.source_port += 1;
    }
    SUBCASE("other host") {
        second.source = *IpAddress::parse("10.32.0.12");
    }
    SUBCASE("other MAC") {
        second.from.octets[5] = 0x0c;
    }
    SUBCASE("DF differs") {
        second.dont_fragment = false;
    }
    SUBCASE("id jumps without DF") {
        first.dont_fragment = second.dont_fragment = false;
        second.ip_id += 5;
    }
    SUBCASE("id is free with DF") {
        second.ip_id = 0;
        expected = 1;
    }
    const Kept kept = merge({make_frame(first, payload), make_frame(second, payload)});
    CHECK(kept.messages.size() == expected);
}

TEST_CASE("finished checksums are never joined and arrive as they were") {
    FrameSpec spec;
    spec.partial = false;
    const Bytes one = make_frame(spec, pattern(1000));
    spec.sequence += 1000;
    const Bytes two = make_frame(spec, pattern(1000));
    const Kept kept = merge({one, two}, false);
    REQUIRE(kept.messages.size() == 2);
    CHECK(deliver(kept.messages[0]) == std::vector<Bytes>{one});
    CHECK(deliver(kept.messages[1]) == std::vector<Bytes>{two});
}

TEST_CASE("a pure acknowledgement may be overtaken; data of one flow may not") {
    FrameSpec data;
    FrameSpec ack = data;
    FrameSpec more = data;
    more.sequence += 1000;
    ack.sequence = more.sequence;
    const Bytes payload = pattern(1000);
    const Kept kept =
        merge({make_frame(data, payload), make_frame(ack, {}), make_frame(more, payload)});
    REQUIRE(kept.messages.size() == 2);
    CHECK(kept.frame_counts[1] == 2);

    FrameSpec fin = ack;
    fin.tcp_flags = 0x11;
    const Kept ended = merge({make_frame(data, payload), make_frame(fin, {})});
    REQUIRE(ended.messages.size() == 2);
    CHECK(payload_of(deliver(ended.messages[0])[0]).size() == 1000);
}

TEST_CASE("more flows than runs come through whole") {
    std::vector<Bytes> frames;
    for (std::uint32_t i = 0; i < 5; ++i) {
        for (std::uint16_t flow = 0; flow < 20; ++flow) {
            FrameSpec spec;
            spec.source_port = static_cast<std::uint16_t>(1000 + flow);
            spec.sequence = i * 500;
            frames.push_back(make_frame(spec, pattern(500)));
        }
    }
    CHECK(deliver_all(merge(frames)).size() == 100);
}

TEST_CASE("fragments carry the packet's bytes in order and valid headers") {
    FrameSpec spec;
    spec.protocol = kProtocolUdp;
    spec.dont_fragment = false;
    spec.partial = false;
    Bytes frame = make_frame(spec, pattern(4000));
    const Bytes original = frame;
    const auto packet = parse_frame(frame);
    auto fragmenter = Fragmenter::create(frame, *packet, 1400, 1);
    REQUIRE(fragmenter.has_value());
    Bytes joined;
    bool more = true;
    for (ByteSpan one = fragmenter->next(); !one.empty(); one = fragmenter->next()) {
        CHECK(more);
        CHECK(one.size() <= 14 + 1400);
        const std::uint8_t* ip = one.data() + 14;
        CHECK((load_be16(ip + 6) & 0x1fff) * 8u == joined.size());
        CHECK(fold(sum_words({ip, 20})) == 0xffff);
        more = (load_be16(ip + 6) & 0x2000) != 0;
        joined.insert(joined.end(), one.begin() + 34, one.end());
    }
    CHECK_FALSE(more);
    CHECK(joined == Bytes(original.begin() + 34, original.end()));
    spec.dont_fragment = true;
    frame = make_frame(spec, pattern(4000));
    CHECK_FALSE(Fragmenter::create(frame, *parse_frame(frame), 1400, 1).has_value());
}

TEST_CASE("a fragment that ends beyond the largest packet is not fragmented further") {
    FrameSpec spec;
    spec.protocol = kProtocolUdp;
    spec.dont_fragment = false;
    Bytes frame = make_frame(spec, pattern(4000));
    constexpr std::size_t kLast = (65535 - 20 - 4008) / 8;
    store_be16(&frame[14 + 6], kLast);
    CHECK(Fragmenter::create(frame, *parse_frame(frame), 1400, 1).has_value());
    store_be16(&frame[14 + 6], kLast + 1);
    CHECK_FALSE(Fragmenter::create(frame, *parse_frame(frame), 1400, 1).has_value());
}

TEST_CASE("offload headers that disagree with the frame are refused") {
    const FrameSpec spec;
    const Bytes frame = make_frame(spec, pattern(3000));
    const auto packet = parse_frame(frame, true);
    VnetHeader good;
    good.flags = kVnetNeedsChecksum;
    good.csum_start = 34;
    good.csum_offset = 16;
    good.gso_type = kGsoTcp4;
    good.gso_size = 1400;
    CHECK(check_offload(good, *packet, frame) == Offload::tcp_super);
    VnetHeader bad = good;
    SUBCASE("no size") {
        bad.gso_size = 0;
    }
    SUBCASE("wrong version") {
        bad.gso_type = kGsoTcp6;
    }
    SUBCASE("wrong protocol") {
        bad.gso_type = kGsoUdp;
    }
    SUBCASE("UFO, which was not offered") {
        bad.gso_type = 3;
    }
    SUBCASE("checksum beyond the end") {
        bad.csum_start = 65000;
    }
    SUBCASE("checksum inside the Ethernet header") {
        bad.csum_start = 2;
    }
    CHECK(check_offload(bad, *packet, frame) == Offload::invalid);
}

TEST_CASE("the parser stays inside every prefix of a frame and every random one") {
    std::mt19937 random{11};
    for (int round = 0; round < 20000; ++round) {
        Bytes frame = make_frame(random_spec(random), pattern(random() % 64));
        frame.resize(random() % (frame.size() + 1));
        for (unsigned i = 0; i < 3 && !frame.empty(); ++i) {
            frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
        }
        frame.shrink_to_fit();
        if (const auto packet = parse_frame(frame, random() % 2 == 0)) {
            CHECK(packet->end <= frame.size());
            CHECK(packet->payload <= frame.size());
            CHECK(packet->l4 <= frame.size());
            (void)source_ip(frame, *packet);
            (void)destination_ip(frame, *packet);
        }
    }
}

} // namespace weave::dataplane::test
