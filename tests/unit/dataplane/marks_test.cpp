// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/marks.hpp"
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace weave::dataplane::test {
namespace {

constexpr std::uint8_t kNot = 0;
constexpr std::uint8_t kEct1 = 1;
constexpr std::uint8_t kEct0 = 2;
constexpr std::uint8_t kCe = 3;
constexpr std::uint8_t kAf41 = 34 << 2;
constexpr std::uint8_t kAf11 = 10 << 2;

IpAddress loopback(bool v6) {
    return *IpAddress::parse(v6 ? "::1" : "127.0.0.1");
}

os::UdpSocket open_wire(bool v6) {
    os::UdpOptions options;
    options.bind = {loopback(v6), 0};
    options.reuse_port = false;
    return os::UdpSocket::open(options);
}

FrameSpec inner_of(const Node& a, const Node& b, bool v6) {
    FrameSpec spec = from_a_to_b(a, b);
    if (v6) {
        spec.source = *IpAddress::parse("fd32::10");
        spec.destination = *IpAddress::parse("fd32::11");
    }
    return spec;
}

std::uint8_t tos_of(ByteView frame) {
    return marks_of(frame, *parse_frame(frame));
}

/** What went out since, each train once. */
struct Sent {
    std::uint8_t tos = 0;
    Bytes bytes;
    std::size_t segment = 0;
};

std::vector<Sent> take(const os::UdpSocket& wire) {
    std::vector<Sent> out;
    os::ReceiveSlots slots;
    for (const os::Datagram& each : wire.receive(slots).datagrams) {
        out.push_back({each.tos, Bytes(each.bytes.begin(), each.bytes.end()), each.segment_size});
    }
    return out;
}

/** Passes it on with another octet, as a router of the underlay would. */
void pass(const os::UdpSocket& wire, const Sent& sent, std::uint8_t tos, const Endpoint& to) {
    const iovec data{const_cast<std::uint8_t*>(sent.bytes.data()), sent.bytes.size()};
    const auto segment = static_cast<std::uint16_t>(
        sent.segment < sent.bytes.size() ? sent.segment : std::size_t{0});
    REQUIRE(wire.send(to, std::nullopt, {&data, 1}, segment, tos) == 0);
}

/** Two nodes whose datagrams towards b pass through `wire`. */
struct Watched {
    explicit Watched(bool outer_v6, wire::Features features = wire::kOwnFeatures)
        : a(1, loopback(outer_v6))
        , b(2, loopback(outer_v6))
        , line(open_wire(outer_v6)) {
        b.features = features;
        join(a, b);
        a.peers[0].path.endpoint = line.local();
        a.publish();
    }

    Node a;
    Node b;
    os::UdpSocket line;
};

} // namespace

TEST_CASE("what a frame bears once it is taken out: RFC 6040, figure 4") {
    constexpr int kDropped = -1;
    //                             outer:  not     ECT(1)  ECT(0)  CE
    constexpr int kTable[4][4] = {/*not */ {kNot, kNot, kNot, kDropped},
                                  /*ECT1*/ {kEct1, kEct1, kEct1, kCe},
                                  /*ECT0*/ {kEct0, kEct1, kEct0, kCe},
                                  /*CE  */ {kCe, kCe, kCe, kCe}};
    for (std::uint8_t inner = 0; inner < 4; ++inner) {
        for (std::uint8_t outer = 0; outer < 4; ++outer) {
            CAPTURE(inner);
            CAPTURE(outer);
            const auto got = taken_out(static_cast<Ecn>(inner), static_cast<Ecn>(outer));
            CHECK((got ? static_cast<int>(*got) : kDropped) == kTable[inner][outer]);
        }
    }
}

TEST_CASE("the outer octet is the inner one, or the part of it that is wanted") {
    for (unsigned inner = 0; inner < 256; ++inner) {
        const auto octet = static_cast<std::uint8_t>(inner);
        CHECK(outer_marks(octet, {true, true}) == octet);
        CHECK(outer_marks(octet, {false, true}) == (octet & 3));
        CHECK(outer_marks(octet, {true, false}) == (octet & 0xfc));
        CHECK(outer_marks(octet, {false, false}) == 0);
    }
}

TEST_CASE("the ECN field changes and nothing else, and IPv4's header checksum with it") {
    for (const bool v6 : {false, true}) {
        for (unsigned tos = 0; tos < 256; ++tos) {
            for (std::uint8_t ecn = 0; ecn < 4; ++ecn) {
                FrameSpec spec;
                spec.partial = false;
                spec.tos = static_cast<std::uint8_t>(tos);
                spec.ip_id = static_cast<std::uint16_t>(tos * 251);
                if (v6) {
                    spec.source = *IpAddress::parse("fd32::10");
                    spec.destination = *IpAddress::parse("fd32::11");
                }
                Bytes frame = make_frame(spec, pattern(9));
                set_ecn(frame, *parse_frame(frame), static_cast<Ecn>(ecn));
                spec.tos = static_cast<std::uint8_t>((tos & 0xfc) | ecn);
                CHECK(frame == make_frame(spec, pattern(9)));
            }
        }
    }
}

TEST_CASE("what is not IP bears no marks") {
    FrameSpec spec;
    const Bytes frame = make_raw(spec.from, spec.to, 60);
    CHECK(tos_of(frame) == 0);
}

TEST_CASE("pods' marks are on the underlay's packets, in every pair of families") {
    for (const bool inner_v6 : {false, true}) {
        for (const bool outer_v6 : {false, true}) {
            CAPTURE(inner_v6);
            CAPTURE(outer_v6);
            Watched pair{outer_v6};
            FrameSpec spec = inner_of(pair.a, pair.b, inner_v6);
            spec.tos = kAf41 | kEct0;
            pair.a.pod_sends(tap_message(spec, pattern(5000), 1000));
            pair.a.step();
            const auto sent = take(pair.line);
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].tos == (kAf41 | kEct0));
            CHECK(sent[0].segment < sent[0].bytes.size());
        }
    }
}

TEST_CASE("a mark of the underlay reaches the frames, in every pair of families") {
    for (const bool inner_v6 : {false, true}) {
        for (const bool outer_v6 : {false, true}) {
            CAPTURE(inner_v6);
            CAPTURE(outer_v6);
            Watched pair{outer_v6};
            FrameSpec spec = inner_of(pair.a, pair.b, inner_v6);
            spec.tos = kAf41 | kEct0;
            const Bytes payload = pattern(5000);
            pair.a.pod_sends(tap_message(spec, payload, 1000));
            pair.a.step();
            const auto sent = take(pair.line);
            REQUIRE(sent.size() == 1);
            pass(pair.line, sent[0], kAf11 | kCe, pair.b.endpoint());
            pair.b.step();
            const auto got = delivered(pair.b);
            CHECK(joined_payloads(got) == payload);
            // The class is the underlay's to change; the frame keeps its own.
            CHECK(std::ranges::all_of(
                got, [](const Bytes& frame) { return tos_of(frame) == (kAf41 | kCe); }));
            CHECK(pair.b.lane->counters().tap_writes.value() == 1);
            CHECK(pair.b.lane->counters().congestion_marks.value() == 5);
        }
    }
}

TEST_CASE("a mark on a packet whose sender takes none drops the frames, by name") {
    Watched pair{false};
    pair.a.pod_sends(tap_message(from_a_to_b(pair.a, pair.b), pattern(2500), 1000));
    pair.a.pod_sends(plain(make_raw(pair.a.pod_mac, pair.b.pod_mac, 60)));
    pair.a.step();
    for (const Sent& each : take(pair.line)) {
        pass(pair.line, each, kCe, pair.b.endpoint());
    }
    pair.b.step();
    CHECK(pair.b.dropped(Drop::ce_on_not_ect) == 3);
    // What is not IP has no place for a mark and comes through.
    CHECK(pair.b.pod_receives().size() == 1);
}

TEST_CASE("frames that are marked and such that are not do not become one superframe") {
    Watched pair{false};
    FrameSpec spec = from_a_to_b(pair.a, pair.b);
    spec.tos = kEct0;
    const Bytes payload = pattern(4000);
    pair.a.pod_sends(tap_message(spec, payload, 1000));
    pair.a.step();
    const auto sent = take(pair.line);
    REQUIRE(sent.size() == 1);
    for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t at = i * sent[0].segment;
        const std::size_t end = std::min(at + sent[0].segment, sent[0].bytes.size());
        const Sent one{kEct0, Bytes(&sent[0].bytes[at], sent[0].bytes.data() + end), end - at};
        pass(pair.line, one, i == 1 ? kCe : kEct0, pair.b.endpoint());
    }
    pair.b.step();
    const auto got = delivered(pair.b);
    CHECK(joined_payloads(got) == payload);
    REQUIRE(got.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(tos_of(got[i]) == (i == 1 ? kCe : kEct0));
    }
}

TEST_CASE("a train, and a datagram that frames share, bears one octet") {
    Watched pair{false};
    FrameSpec spec = from_a_to_b(pair.a, pair.b);
    for (const std::size_t size : {1300u, 100u}) {
        CAPTURE(size);
        for (const std::uint8_t tos : {kNot, kAf41, kAf41, kAf11, kAf41}) {
            spec.tos = tos;
            pair.a.pod_sends(tap_message(spec, pattern(size), 0));
        }
        pair.a.step();
        std::string seen;
        for (const Sent& each : take(pair.line)) {
            seen += each.tos == kNot ? "0" : each.tos == kAf41 ? "4" : "1";
            pass(pair.line, each, each.tos, pair.b.endpoint());
        }
        CHECK(seen == "0414");
        pair.b.step();
        seen.clear();
        for (const Bytes& frame : delivered(pair.b)) {
            const std::uint8_t tos = tos_of(frame);
            seen += tos == kNot ? "0" : tos == kAf41 ? "4" : "1";
        }
        CHECK(seen == "04414");
    }
}

TEST_CASE("marks are kept from the underlay where that is wished, or the peer would lose them") {
    struct Case {
        MarksKept kept;
        wire::Features features;
        std::uint8_t seen;
    };

    const wire::Features old = wire::kPartialChecksums;
    const Case cases[] = {{{true, true}, wire::kOwnFeatures, kAf41 | kEct1},
                          {{true, false}, wire::kOwnFeatures, kAf41},
                          {{false, true}, wire::kOwnFeatures, kEct1},
                          {{true, true}, old, kAf41}};
    for (const Case& each : cases) {
        Watched pair{false, each.features};
        pair.a.settings.marks = each.kept;
        pair.a.publish();
        FrameSpec spec = from_a_to_b(pair.a, pair.b);
        spec.tos = kAf41 | kEct1;
        pair.a.pod_sends(tap_message(spec, pattern(100), 0));
        pair.a.step();
        const auto sent = take(pair.line);
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].tos == each.seen);
    }
}

TEST_CASE("a relay tells the next hop what it was told") {
    struct Case {
        MarksKept kept; ///< by the relay
        wire::Features features;
        std::uint8_t arrives;
        int seen; ///< -1: nothing
    };

    const wire::Features old = wire::kPartialChecksums;
    const Case cases[] = {{{true, true}, wire::kOwnFeatures, kAf41 | kCe, kAf41 | kCe},
                          {{true, true}, wire::kOwnFeatures, kAf11 | kEct0, kAf11 | kEct0},
                          {{false, false}, wire::kOwnFeatures, kAf41 | kCe, kCe},
                          {{true, true}, old, kAf41 | kEct0, kAf41},
                          {{true, true}, old, kAf41 | kCe, -1}};
    for (const Case& each : cases) {
        Node a{1};
        Node b{2};
        Node relay{3};
        join(a, b);
        join(a, relay);
        b.features = each.features;
        join(b, relay);
        const os::UdpSocket first = open_wire(false);
        const os::UdpSocket second = open_wire(false);
        a.peers[0].path = {Path::Kind::relay, {}, {}, 1};
        a.peers[1].path.endpoint = first.local();
        relay.peers[1].path.endpoint = second.local();
        relay.settings.marks = each.kept;
        a.publish();
        relay.publish();
        FrameSpec spec = from_a_to_b(a, b);
        spec.tos = kAf41 | kEct0;
        a.pod_sends(tap_message(spec, pattern(100), 0));
        a.step();
        const auto sent = take(first);
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].tos == (kAf41 | kEct0));
        pass(first, sent[0], each.arrives, relay.endpoint());
        relay.step();
        const auto passed = take(second);
        CHECK(relay.dropped(Drop::ce_on_not_ect) == (each.seen < 0 ? 1 : 0));
        REQUIRE(passed.size() == (each.seen < 0 ? 0 : 1));
        if (each.seen < 0) {
            continue;
        }
        CHECK(passed[0].tos == each.seen);
        pass(second, passed[0], passed[0].tos, b.endpoint());
        b.step();
        const auto got = delivered(b);
        REQUIRE(got.size() == 1);
        const bool marked = (each.seen & 3) == kCe;
        CHECK(tos_of(got[0]) == (kAf41 | (marked ? kCe : kEct0)));
    }
}

} // namespace weave::dataplane::test
