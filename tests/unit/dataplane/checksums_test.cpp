// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Who completes checksums, and who gets frames that were joined.
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace weave::dataplane::test {
namespace {

/** What another program might send under a's keys: a frame that says its checksum is partial. */
void send_sealed(Node& a, Node& b, ByteView frame) {
    Bytes datagram(wire::kDataOverhead + wire::kRecordHeaderSize + frame.size());
    std::uint8_t* record = datagram.data() + wire::kDataHeaderSize;
    wire::put_record_header(record,
                            wire::RecordKind::frame,
                            wire::kNeedsChecksum,
                            static_cast<std::uint16_t>(frame.size()));
    std::copy(frame.begin(), frame.end(), record + wire::kRecordHeaderSize);
    DataSession& session = *a.peers[0].session;
    wire::put_data_header(datagram.data(), session.remote_index(), 0);
    crypto::SealItem item;
    item.in = item.out = record;
    item.len = static_cast<std::uint32_t>(wire::kRecordHeaderSize + frame.size());
    item.counter_field = datagram.data() + wire::kDataCounterOffset;
    item.ad = datagram.data();
    item.ad_len = wire::kDataHeaderSize;
    REQUIRE_FALSE(session.seal(0, {&item, 1}, Clock::now()).has_value());
    const iovec data{datagram.data(), datagram.size()};
    REQUIRE(a.udp.send(b.endpoint(), std::nullopt, {&data, 1}) == 0);
}

} // namespace

TEST_CASE("a partial checksum where there is none to finish is malformed, also where all are") {
    for (const bool finish : {false, true}) {
        Node a{1};
        Node b{2};
        join(a, b);
        b.settings.finish_checksums = finish;
        b.publish();
        FrameSpec spec = from_a_to_b(a, b);
        Bytes fragment = make_frame(spec, pattern(100));
        fragment[14 + 6] = 0x20;
        Bytes short_header = make_frame(spec, {});
        short_header.resize(14 + 20 + 12);
        store_be16(&short_header[14 + 2], 32);
        spec.protocol = 1;
        for (const Bytes& frame : {fragment,
                                   short_header,
                                   make_frame(spec, pattern(100)),
                                   make_raw(a.pod_mac, b.pod_mac, 100)}) {
            send_sealed(a, b, frame);
        }
        b.step();
        CHECK(b.dropped(Drop::malformed_record) == 4);
        CHECK(b.pod_receives().empty());
    }
}

TEST_CASE("DHCP gets its checksum finished before it is sealed") {
    Node a{1};
    Node b{2};
    join(a, b);
    FrameSpec spec = from_a_to_b(a, b);
    spec.protocol = kProtocolUdp;
    spec.destination_port = 67;
    a.pod_sends(tap_message(spec, pattern(300), 0));
    a.step();
    b.step();
    const auto got = b.pod_receives();
    REQUIRE(got.size() == 1);
    CHECK(got[0][0] == 0);
    CHECK(checksums_are_right(ByteView{got[0]}.subspan(sizeof(VnetHeader))));
}

TEST_CASE("DHCP whose checksum a peer did not finish is finished before its reader gets it") {
    constexpr std::uint16_t kPorts[] = {67, 68, 546, 547, 5001};
    for (const std::uint16_t port : kPorts) {
        CAPTURE(port);
        Node a{1};
        Node b{2};
        join(a, b);
        FrameSpec spec = from_a_to_b(a, b);
        spec.protocol = kProtocolUdp;
        spec.destination_port = port;
        const Bytes frame = make_frame(spec, pattern(300));
        send_sealed(a, b, frame);
        b.step();
        const auto got = b.pod_receives();
        REQUIRE(got.size() == 1);
        CHECK(got[0][0] == (port == 5001 ? kVnetNeedsChecksum : 0));
        CHECK(checksums_are_right(ByteView{got[0]}.subspan(sizeof(VnetHeader))) == (port != 5001));
    }
}

TEST_CASE("where the host cannot pass joined frames on they come one by one") {
    for (const bool join_frames : {true, false}) {
        Node a{1};
        Node b{2};
        join(a, b);
        b.settings.join_frames = join_frames;
        b.publish();
        const Bytes payload = pattern(5000);
        a.pod_sends(tap_message(from_a_to_b(a, b), payload, 1000));
        a.step();
        b.step();
        CHECK(b.lane->counters().tap_writes.value() == (join_frames ? 1 : 5));
        CHECK(joined_payloads(delivered(b)) == payload);
    }
}

TEST_CASE("a peer that cannot finish checksums is sent finished ones") {
    for (const std::uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
        for (const std::uint16_t piece : {std::uint16_t{0}, std::uint16_t{500}}) {
            CAPTURE(protocol);
            CAPTURE(piece);
            Node a{1};
            Node b{2};
            b.features = 0;
            join(a, b);
            FrameSpec spec = from_a_to_b(a, b);
            spec.protocol = protocol;
            const Bytes payload = pattern(1201);
            Bytes message = tap_message(spec, payload, piece);
            if (piece == 0) {
                message.insert(message.end(), 7, 0xee); // padding is in no sum
            }
            a.pod_sends(message);
            a.step();
            b.step();
            Bytes whole;
            for (const Bytes& got : b.pod_receives()) {
                CHECK(got[0] == 0);
                const ByteView frame = ByteView{got}.subspan(sizeof(VnetHeader));
                CHECK(checksums_are_right(frame));
                const Bytes part = payload_of(frame);
                whole.insert(whole.end(), part.begin(), part.end());
            }
            CHECK(whole == payload);
        }
    }
}

TEST_CASE("where pods read raw packets every checksum is complete") {
    Node a{1};
    Node b{2};
    join(a, b);
    b.settings.finish_checksums = true;
    b.publish();
    const Bytes payload = pattern(5000);
    a.pod_sends(tap_message(from_a_to_b(a, b), payload, 1300));
    a.step();
    b.step();
    Bytes whole;
    for (const Bytes& message : b.pod_receives()) {
        CHECK(message[0] == 0); // nothing is left to the reader
        const ByteView frame = ByteView{message}.subspan(sizeof(VnetHeader));
        CHECK(checksums_are_right(frame));
        const Bytes part = payload_of(frame);
        whole.insert(whole.end(), part.begin(), part.end());
    }
    CHECK(whole == payload);
}

} // namespace weave::dataplane::test
