// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "base/ring.hpp"
#include "dataplane/checksum.hpp"
#include "dataplane/icmp.hpp"
#include "dataplane/snapshot_cell.hpp"
#include "frames.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

namespace weave::dataplane::test {
namespace {

MacAddress numbered(std::uint32_t number) {
    MacAddress mac{{2, 0, 0, 0, 0, 0}};
    store_be32(&mac.octets[2], number);
    return mac;
}

IpAddress numbered_ip(std::uint32_t number) {
    std::array<std::uint8_t, 4> octets{};
    store_be32(octets.data(), 0x0a200000 + number);
    return IpAddress::v4(octets);
}

} // namespace

TEST_CASE("the longest prefix owns an address, and leaving gives it back to the shorter one") {
    AddressTable table;
    const AddressChange changes[] = {{*Prefix::parse("10.0.0.0/8"), 1},
                                     {*Prefix::parse("10.32.0.0/16"), 2},
                                     {*Prefix::parse("10.32.0.7/32"), 3},
                                     {*Prefix::parse("fd00::/8"), 4},
                                     {*Prefix::parse("fd00::7/128"), 5},
                                     {*Prefix::parse("0.0.0.0/0"), 6}};
    table = table.with(changes);
    CHECK(table.owner(*IpAddress::parse("10.1.1.1")) == 1);
    CHECK(table.owner(*IpAddress::parse("10.32.1.1")) == 2);
    CHECK(table.owner(*IpAddress::parse("10.32.0.7")) == 3);
    CHECK(table.owner(*IpAddress::parse("fd00::8")) == 4);
    CHECK(table.owner(*IpAddress::parse("fd00::7")) == 5);
    CHECK(table.owner(*IpAddress::parse("192.0.2.1")) == 6);
    CHECK(table.owner(*IpAddress::parse("2001:db8::1")) == kNoPeer);
    const AddressChange gone[] = {{*Prefix::parse("10.32.0.7/32"), kNoPeer},
                                  {*Prefix::parse("10.32.9.9/16"), kNoPeer},
                                  {*Prefix::parse("172.16.0.0/12"), kNoPeer}};
    const AddressTable later = table.with(gone);
    CHECK(later.owner(*IpAddress::parse("10.32.0.7")) == 1);
    CHECK(later.prefixes() == 4);
    CHECK(table.owner(*IpAddress::parse("10.32.0.7")) == 3);
}

TEST_CASE("one change at 100,000 addresses leaves the old table as it was and costs little") {
    std::vector<AddressChange> changes;
    for (std::uint32_t i = 0; i < 50000; ++i) {
        changes.push_back({numbered(i), i % 100});
        changes.push_back({Prefix{numbered_ip(i), 32}, i % 100});
    }
    AddressTable table = AddressTable{}.with(changes);
    CHECK(table.macs() + table.prefixes() == 100000);
    std::vector<AddressTable> history;
    constexpr int kChanges = 200;
    const auto start = std::chrono::steady_clock::now();
    for (std::uint32_t i = 0; i < kChanges; ++i) {
        const AddressChange change{numbered(i), 1000 + i};
        history.push_back(table);
        table = table.with({&change, 1});
    }
    const auto each = (std::chrono::steady_clock::now() - start) / kChanges;
    MESSAGE(
        "one change: ", std::chrono::duration_cast<std::chrono::nanoseconds>(each).count(), " ns");
    CHECK(table.owner(numbered(7)) == 1007);
    CHECK(history[0].owner(numbered(7)) == 7);
    CHECK(table.owner(numbered_ip(4242)) == 42);
}

TEST_CASE("a replaced snapshot lives until the lane that read it leaves its batch") {
    SnapshotCell cell;
    const Snapshot& first = cell.enter(0);
    const std::weak_ptr<const Settings> held = first.settings;
    cell.publish({});
    CHECK_FALSE(held.expired());
    CHECK(cell.reclaim() == 1);
    (void)cell.enter(1); // a later reader holds nothing back
    CHECK_FALSE(held.expired());
    cell.leave(0);
    CHECK(cell.reclaim() == 0);
    CHECK(held.expired());
    cell.leave(1);
}

TEST_CASE("snapshots published under readers are always whole") {
    SnapshotCell cell;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> reads{0};
    std::vector<std::thread> readers;
    for (unsigned lane = 0; lane < 2; ++lane) {
        readers.emplace_back([&, lane] {
            while (!stop.load()) {
                const Snapshot& snapshot = cell.enter(lane);
                CHECK(snapshot.settings->router_mac == snapshot.settings->bridge_mac);
                cell.leave(lane);
                reads.fetch_add(1);
            }
        });
    }
    for (std::uint32_t i = 0; i < 3000 || reads.load() < 1000; ++i) {
        auto settings = std::make_shared<Settings>();
        settings->router_mac = settings->bridge_mac = numbered(i);
        Snapshot next;
        next.settings = std::move(settings);
        cell.publish(std::move(next));
    }
    stop.store(true);
    for (std::thread& reader : readers) {
        reader.join();
    }
    CHECK(cell.reclaim() == 0);
}

TEST_CASE("the ring hands slots over in order, refuses when full, and says when to wake") {
    SpscRing<int> ring{4};
    for (int i = 0; i < 4; ++i) {
        *ring.claim() = i;
        CHECK(ring.publish() == (i == 0));
    }
    CHECK(ring.claim() == nullptr);
    for (int i = 0; i < 4; ++i) {
        CHECK(*ring.front() == i);
        ring.release();
    }
    CHECK(ring.front() == nullptr);
}

TEST_CASE("too big: the sender of an IPv4 packet hears the MTU") {
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    FrameSpec spec;
    const Bytes frame = make_frame(spec, pattern(1460));
    const auto answer = too_big_answer(ByteView{frame}.first(256), 1400, router);
    REQUIRE(answer.has_value());
    const auto packet = parse_frame(*answer);
    REQUIRE(packet->version == 4);
    CHECK(mac_at(answer->data()) == spec.from);
    CHECK(mac_at(answer->data() + 6) == router);
    CHECK(*destination_ip(*answer, *packet) == spec.source);
    CHECK(*source_ip(*answer, *packet) == spec.destination);
    const std::uint8_t* icmp = answer->data() + packet->l4;
    CHECK(icmp[0] == 3);
    CHECK(icmp[1] == 4);
    CHECK(load_be16(icmp + 6) == 1400);
    CHECK(std::equal(icmp + 8, icmp + 8 + 28, frame.begin() + 14));
}

TEST_CASE("too big: the sender of an IPv6 packet hears the MTU") {
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    FrameSpec spec;
    spec.source = *IpAddress::parse("fd00::10");
    spec.destination = *IpAddress::parse("fd00::11");
    const Bytes frame = make_frame(spec, pattern(1460));
    const auto answer = too_big_answer(ByteView{frame}.first(256), 1380, router);
    REQUIRE(answer.has_value());
    const auto packet = parse_frame(*answer);
    REQUIRE(packet->version == 6);
    const std::uint8_t* icmp = answer->data() + packet->l4;
    CHECK(icmp[0] == 2);
    CHECK(load_be32(icmp + 4) == 1380);
    CHECK(std::equal(icmp + 8, icmp + 8 + 40, frame.begin() + 14));
    const std::size_t size = packet->end - packet->l4;
    CHECK(fold(sum_words({icmp, size}, pseudo_sum(*answer, *packet)) +
               network_word(static_cast<std::uint16_t>(size))) == 0xffff);
}

TEST_CASE("too big: errors, group addresses and what is no IP get no answer") {
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    FrameSpec spec;
    spec.protocol = 1;
    Bytes error = make_frame(spec, pattern(100));
    error[34] = 3;
    CHECK_FALSE(too_big_answer(error, 1400, router).has_value());
    spec.protocol = kProtocolUdp;
    spec.destination = *IpAddress::parse("224.0.0.1");
    spec.to = *MacAddress::parse("01:00:5e:00:00:01");
    CHECK_FALSE(too_big_answer(make_frame(spec, pattern(9)), 1400, router).has_value());
    CHECK_FALSE(too_big_answer(make_raw(spec.from, spec.to, 80), 1400, router).has_value());
    CHECK_FALSE(too_big_answer({}, 1400, router).has_value());
}

TEST_CASE("too big: IPv4-mapped addresses in IPv6 packets get no answer") {
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    const Bytes mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 32, 0, 5};
    FrameSpec spec;
    spec.source = *IpAddress::parse("fd00::a");
    spec.destination = *IpAddress::parse("fd00::b");
    for (const std::size_t address : {14u + 8u, 14u + 24u}) {
        Bytes frame = make_frame(spec, pattern(100));
        CHECK(too_big_answer(frame, 1400, router).has_value());
        std::copy(mapped.begin(), mapped.end(), &frame[address]);
        CHECK_FALSE(too_big_answer(frame, 1400, router).has_value());
    }
}

} // namespace weave::dataplane::test
