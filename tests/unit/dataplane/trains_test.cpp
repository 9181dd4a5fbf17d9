// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Trains of datagrams as the network sees them, where some do not arrive.
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace weave::dataplane::test {
namespace {

/** Two nodes; what a sends to b comes to a socket of the test first. */
struct Watched {
    Watched()
        : line([] {
            os::UdpOptions options;
            options.bind = {*IpAddress::parse("127.0.0.1"), 0};
            options.reuse_port = false;
            return os::UdpSocket::open(options);
        }()) {
        join(a, b);
        a.peers[0].path.endpoint = line.local();
        a.publish();
    }

    /** Sizes of the datagrams of each train that came since; all go on to b. */
    std::vector<std::vector<std::size_t>> pass() {
        std::vector<std::vector<std::size_t>> out;
        for (const os::Datagram& each : line.receive(slots).datagrams) {
            auto& sizes = out.emplace_back();
            for (std::size_t at = 0; at < each.bytes.size(); at += each.segment_size) {
                const ByteSpan one = each.bytes.subspan(
                    at, std::min<std::size_t>(each.segment_size, each.bytes.size() - at));
                sizes.push_back(one.size());
                const iovec data{one.data(), one.size()};
                REQUIRE(line.send(b.endpoint(), std::nullopt, {&data, 1}) == 0);
            }
        }
        b.step();
        return out;
    }

    /** Answers go back the way that the probes came. */
    void answers() {
        for (const os::Datagram& each : line.receive(slots).datagrams) {
            const iovec data{each.bytes.data(), each.bytes.size()};
            REQUIRE(line.send(a.endpoint(), std::nullopt, {&data, 1}) == 0);
        }
        a.step();
    }

    Node a{1};
    Node b{2};
    os::UdpSocket line;
    os::ReceiveSlots slots{64};
};

constexpr std::size_t kLeast = wire::kDataOverhead + wire::kRecordHeaderSize;

} // namespace

TEST_CASE("a train of probes goes alone by one call, and each that arrives is answered") {
    Watched pair;
    // What waits in the same batch is no part of it.
    pair.a.pod_sends(plain(make_raw(pair.a.pod_mac, pair.b.pod_mac, 200)));
    constexpr std::uint16_t kTails[] = {1400, 700, 0};
    for (const std::uint16_t tail : kTails) {
        CAPTURE(tail);
        Injection train;
        train.kind = Injection::Kind::train;
        train.peer = 0;
        train.record = wire::RecordKind::probe;
        train.endpoint = pair.line.local();
        train.pad_to = 1400;
        train.pad_last_to = tail;
        train.count = 4;
        wire::store_u64(train.bytes.data(), 0xfffffffffffffffe);
        train.length = 8;
        pair.a.inject(train);
        pair.a.step();
        auto trains = pair.pass();
        std::erase_if(trains, [](const auto& sizes) { return sizes.size() == 1; });
        REQUIRE(trains.size() == 1);
        const std::size_t last = tail == 0 ? kLeast + 8 : tail - std::size_t{28};
        CHECK(trains[0] == std::vector<std::size_t>{1372, 1372, 1372, last});
        pair.answers();
        std::set<std::uint64_t> answered;
        while (const auto ack = pair.a.punted(Punt::Kind::probe_ack)) {
            answered.insert(ack->id);
        }
        CHECK(answered == std::set<std::uint64_t>{0xfffffffffffffffe, 0xffffffffffffffff, 0, 1});
        // Each answer went alone: what the way back does to trains is no matter.
        CHECK(pair.b.lane->counters().sends.value() % 4 == 0);
    }
    CHECK(pair.b.pod_receives().size() == 1);
}

TEST_CASE("trains have a short tail, or there are none, where others do not arrive") {
    struct Case {
        TrainShape shape;
        std::size_t payload;
        std::vector<std::vector<std::size_t>> sizes;
    };

    // 14 + 20 + 32 bytes of headers before 1000 of payload, a record's header, and the seal.
    constexpr std::size_t kFull = 1066 + kLeast;
    constexpr std::size_t kHalf = 566 + kLeast;
    const Case cases[] = {
        {TrainShape::any, 3000, {{kFull, kFull, kFull}}},
        {TrainShape::any, 2500, {{kFull, kFull, kHalf}}},
        {TrainShape::short_tail, 3000, {{kFull, kFull, kFull, kLeast}}},
        {TrainShape::short_tail, 2500, {{kFull, kFull, kHalf}}},
        {TrainShape::short_tail, 1000, {{kFull}}},
        {TrainShape::none, 3000, {{kFull}, {kFull}, {kFull}}},
        {TrainShape::none, 2500, {{kFull}, {kFull}, {kHalf}}},
    };
    for (const Case& each : cases) {
        CAPTURE(each.payload);
        Watched pair;
        pair.a.peers[0].state->set_trains(each.shape);
        const Bytes payload = pattern(each.payload);
        pair.a.pod_sends(tap_message(from_a_to_b(pair.a, pair.b), payload, 1000));
        pair.a.step();
        CHECK(pair.pass() == each.sizes);
        CHECK(joined_payloads(delivered(pair.b)) == payload);
        CHECK(pair.b.dropped(Drop::malformed_record) == 0);
    }
}

TEST_CASE("by a relay it is the way to the relay that counts") {
    Node relay{3};
    Watched pair;
    join(pair.a, relay);
    pair.a.peers[0].path = {Path::Kind::relay, {}, {}, 1};
    pair.a.peers[1].path.endpoint = pair.line.local();
    pair.a.peers[1].state->set_trains(TrainShape::short_tail);
    pair.a.publish();
    pair.a.pod_sends(tap_message(from_a_to_b(pair.a, pair.b), pattern(3000), 1000));
    pair.a.step();
    // Nothing can be added to what is wrapped already: it goes one by one.
    CHECK(pair.pass().size() == 3);
}

} // namespace weave::dataplane::test
