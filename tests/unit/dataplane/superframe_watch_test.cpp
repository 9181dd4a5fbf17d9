// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/superframe_watch.hpp"
#include "frames.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>

using namespace std::chrono_literals;

namespace weave::dataplane::test {
namespace {

constexpr std::uint32_t kPiece = 1000;

/** A watch, and what is handed on before its eyes. */
struct Watched {
    SuperframeWatch watch;
    TimePoint now = TimePoint{} + 1h;
    FrameSpec spec;

    [[nodiscard]] static VnetHeader vnet_of(ByteView frame) {
        const auto packet = parse_frame(frame);
        REQUIRE(packet.has_value());
        VnetHeader vnet;
        vnet.flags = kVnetNeedsChecksum;
        vnet.csum_start = packet->l4;
        vnet.csum_offset = packet->checksum_offset();
        return vnet;
    }

    /** `pieces` of kPiece bytes each from `sequence` on; the last one is 100 bytes shorter. */
    std::optional<TimePoint> write(std::uint32_t sequence, std::size_t pieces) {
        std::vector<Bytes> frames;
        for (std::size_t i = 0; i < pieces; ++i) {
            spec.sequence = sequence + static_cast<std::uint32_t>(i) * kPiece;
            const bool shorter = pieces > 1 && i + 1 == pieces;
            frames.push_back(make_frame(spec, pattern(shorter ? kPiece - 100 : kPiece)));
        }
        const std::vector<ByteView> views(frames.begin(), frames.end());
        return watch.wrote(vnet_of(views.front()), views, now);
    }

    /** Superframes of ten pieces, one behind the other; true when one was the last for now. */
    bool write_on(std::uint32_t& sequence, std::size_t superframes) {
        bool held = false;
        for (std::size_t i = 0; i < superframes; ++i) {
            held = write(sequence, 10).has_value() || held;
            sequence += 10 * kPiece - 100;
        }
        return held;
    }

    [[nodiscard]] bool holds() const { return holds(spec); }

    [[nodiscard]] bool holds(const FrameSpec& other) const {
        const Bytes frame = make_frame(other, pattern(1));
        return watch.holds(vnet_of(frame), frame, now);
    }
};

} // namespace

TEST_CASE("where superframes come again, their destination gets none for a while") {
    Watched flow;
    SUBCASE("IPv4") {}
    SUBCASE("IPv6") {
        flow.spec.source = *IpAddress::parse("fd00::10");
        flow.spec.destination = *IpAddress::parse("fd00::11");
    }
    SUBCASE("behind a VLAN tag") {
        flow.spec.vlan = true;
    }
    unsigned writes = 1;
    while (!flow.write(5000, 10) && writes < 100) {
        ++writes;
    }
    CHECK(writes == SuperframeWatch::kLeast + 1);
    CHECK(flow.holds());
    // That sender's other flows to it are as badly off; what goes elsewhere, or comes from others,
    // is another matter.
    FrameSpec other = flow.spec;
    other.destination_port = 443;
    CHECK(flow.holds(other));
    other.to = *MacAddress::parse("02:00:00:00:00:0c");
    CHECK_FALSE(flow.holds(other));
    other = flow.spec;
    other.from = *MacAddress::parse("02:00:00:00:00:0c");
    CHECK_FALSE(flow.holds(other));
    // Meanwhile what goes there one by one may come again.
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(flow.write(5000, 1).has_value());
    }
    flow.now += 59s;
    CHECK(flow.holds());
    flow.now += 1s;
    CHECK_FALSE(flow.holds());
    // As bad as before: twice as long.
    for (unsigned i = 1; i < SuperframeWatch::kLeast; ++i) {
        CHECK_FALSE(flow.write(5000, 10).has_value());
    }
    CHECK(flow.write(5000, 10) == flow.now + 2min); // what was known of the flow still is
}

TEST_CASE("a sender that gets on by single frames only is noticed") {
    Watched flow;
    std::uint32_t sequence = 0xffffff00; // it wraps
    CHECK_FALSE(flow.write(sequence, 10).has_value());
    int rounds = 0;
    bool held = false;
    for (; rounds < 30 && !held; ++rounds) {
        // After a timeout the first segment comes alone, and arrives; the two that follow do not.
        flow.now += 250ms;
        held = flow.write(sequence, 1).has_value();
        sequence += kPiece;
        held = flow.write(sequence, 2).has_value() || held;
    }
    CHECK(held);
    CHECK(rounds <= 10);
}

TEST_CASE("superframes that come again as single frames are noticed, with others between them") {
    Watched flow;
    std::uint32_t sequence = 1;
    bool held = false;
    int rounds = 0;
    for (; rounds < 30 && !held; ++rounds) {
        const std::uint32_t begin = sequence;
        for (int i = 0; i < 2; ++i) {
            held = flow.write(sequence, 10).has_value() || held;
            sequence += 10 * kPiece - 100;
            held = flow.write(sequence, 1).has_value() || held; // ends a burst, and arrives
            sequence += kPiece;
        }
        for (std::uint32_t at = begin; at - begin < 10 * kPiece - 100; at += kPiece) {
            held = flow.write(at, 1).has_value() || held;
        }
    }
    CHECK(held);
    CHECK(rounds <= 10);
}

TEST_CASE("what never came here before did not get lost behind this host") {
    Watched flow;
    std::uint32_t sequence = 1;
    CHECK_FALSE(flow.write_on(sequence, 100));
    for (int i = 0; i < 100; ++i) {
        // The middle one of three is lost on its way here and comes later.
        const std::uint32_t lost = sequence + 9900;
        CHECK_FALSE(flow.write_on(sequence, 1));
        sequence += 9900;
        CHECK_FALSE(flow.write_on(sequence, 1));
        std::uint32_t late = lost;
        CHECK_FALSE(flow.write_on(late, 1));
    }
    CHECK_FALSE(flow.holds());
}

TEST_CASE("a third that comes again is a network's loss, not a card that damages superframes") {
    Watched flow;
    std::uint32_t sequence = 1;
    for (int i = 0; i < 300; ++i) {
        flow.now += 10ms;
        CHECK_FALSE(flow.write_on(sequence, 2));
        std::uint32_t again = sequence - 9900;
        CHECK_FALSE(flow.write_on(again, 1));
    }
    CHECK_FALSE(flow.holds());
}

TEST_CASE("lone frames that come again were in no superframe") {
    Watched flow;
    std::uint32_t sequence = 1;
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(flow.write(sequence, 2).has_value()); // a small answer
        sequence += 2 * kPiece - 100;
        for (int again = 0; again < 10; ++again) { // a lone frame whose acknowledgement was lost
            CHECK_FALSE(flow.write(sequence, 1).has_value());
        }
        sequence += kPiece;
    }
    CHECK_FALSE(flow.holds());
}

TEST_CASE("the next connection of the same ports may begin among the last one's bytes") {
    Watched flow;
    for (int i = 0; i < 100; ++i) {
        std::uint32_t sequence = 1000 + static_cast<std::uint32_t>(i) * 100;
        flow.spec.tcp_flags = 0x02;
        const Bytes syn = make_frame(flow.spec, {});
        const ByteView view = syn;
        CHECK_FALSE(flow.watch.wrote(Watched::vnet_of(syn), {&view, 1}, flow.now).has_value());
        flow.spec.tcp_flags = 0x10;
        CHECK_FALSE(flow.write_on(sequence, 20));
    }
    CHECK_FALSE(flow.holds());
}

TEST_CASE("few superframes, or old ones, say nothing") {
    Watched flow;
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(flow.write(1, 10).has_value());
        flow.now += SuperframeWatch::kWindow / (SuperframeWatch::kLeast - 2);
    }
    // Another connection of the same ports, a gigabyte behind what the last one had reached.
    std::uint32_t sequence = 1;
    CHECK_FALSE(flow.write_on(sequence, 110000));
    sequence -= 1000 * 1000 * 1000;
    CHECK_FALSE(flow.write_on(sequence, 10000));
    CHECK_FALSE(flow.holds());
}

TEST_CASE("a pair in another's place waits until that is not watched any more") {
    Watched flow;
    unsigned held = 0;
    unsigned free = 0;
    for (unsigned i = 0; i < 1000; ++i) {
        store_be16(&flow.spec.to.octets[4], i);
        for (unsigned k = 0; k <= SuperframeWatch::kLeast; ++k) {
            std::ignore = flow.write(1, 2);
        }
        ++(flow.holds() ? held : free);
    }
    CHECK(held > 64);
    CHECK(held <= 128);
    CHECK(free > 0);
    flow.now += 61s;
    for (unsigned k = 0; k <= SuperframeWatch::kLeast; ++k) {
        std::ignore = flow.write(1, 2);
    }
    CHECK(flow.holds());
}

TEST_CASE("two lanes may tell it of one flow") {
    Watched flow;
    flow.spec.sequence = 1;
    std::array<Bytes, 2> frames{make_frame(flow.spec, pattern(kPiece)), {}};
    frames[1] = frames[0];
    const std::array<ByteView, 2> views{frames[0], frames[1]};
    const VnetHeader vnet = Watched::vnet_of(frames[0]);
    std::atomic<bool> held{false};
    const auto tell = [&] {
        for (int i = 0; i < 20000; ++i) {
            if (flow.watch.wrote(vnet, views, flow.now)) {
                held = true;
            }
            std::ignore = flow.watch.holds(vnet, frames[0], flow.now);
        }
    };
    std::thread other(tell);
    tell();
    other.join();
    CHECK(held);
    CHECK(flow.holds());
}

TEST_CASE("frames that are no TCP, or lie about themselves, are let by") {
    Watched flow;
    const Bytes frame = make_frame(flow.spec, pattern(kPiece));
    const ByteView views[] = {frame, frame};
    VnetHeader vnet;
    for (int i = 0; i < 50; ++i) {
        CHECK_FALSE(flow.watch.wrote(vnet, views, flow.now).has_value());
    }
    CHECK_FALSE(flow.holds());
    vnet.flags = kVnetNeedsChecksum;
    vnet.csum_offset = 16;
    for (std::size_t size = 0; size < 80; ++size) {
        const ByteView shorter[] = {ByteView{frame}.first(size), ByteView{frame}.first(size)};
        for (std::uint16_t l4 = 0; l4 < 100; ++l4) {
            vnet.csum_start = l4;
            std::ignore = flow.watch.wrote(vnet, shorter, flow.now);
            std::ignore = flow.watch.holds(vnet, shorter[0], flow.now);
        }
    }
}

} // namespace weave::dataplane::test
