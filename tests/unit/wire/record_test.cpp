// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/record.hpp"

#include <doctest/doctest.h>

namespace weave::wire {
namespace {

const MacAddress kOne{{2, 0, 0, 0, 0, 1}};
const MacAddress kTwo{{2, 0, 0, 0, 0, 2}};

Addresses two_pods() {
    Addresses out;
    out.macs = {kOne, kTwo};
    out.prefixes.push_back(*Prefix::parse("10.40.0.0/16"));
    out.add(*Prefix::parse("10.32.0.2/32"), kTwo);
    out.add(*Prefix::parse("fd32::1/128"), kOne);
    return out;
}

/** The TLVs without those of `type`, and with `more`. */
Bytes without(ByteView tlvs, std::uint8_t type, ByteView more) {
    Bytes out;
    const auto parts = split_tlvs(tlvs);
    REQUIRE(parts.has_value());
    for (const Tlv& tlv : *parts) {
        if (tlv.type != type) {
            const ByteView whole{tlv.value.data() - 3, tlv.value.size() + 3};
            out.insert(out.end(), whole.begin(), whole.end());
        }
    }
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

constexpr std::uint8_t kHoldersType = 4;

} // namespace

TEST_CASE("an address record says which MAC has which address") {
    const Addresses said = two_pods();
    const auto heard = decode_addresses(encode_addresses(said));
    REQUIRE(heard.has_value());
    CHECK(*heard == said);
    CHECK(heard->holder(0) == MacAddress{});
    CHECK(heard->holder(1) == kTwo);
    CHECK(heard->holder(2) == kOne);
    CHECK(heard->holder(3) == MacAddress{});
}

TEST_CASE("an address record says what somebody holds whose frames are not the node's") {
    Addresses said = two_pods();
    said.reserved = {*IpAddress::parse("10.32.0.9"), *IpAddress::parse("fd32::9")};
    CHECK(*decode_addresses(encode_addresses(said)) == said);
    constexpr std::uint8_t kReservedType = 6;
    const Bytes wrong{kReservedType, 3, 0, 10, 32, 0};
    CHECK_FALSE(decode_addresses(wrong).has_value());
}

TEST_CASE("a record that does not say it is read as before") {
    Addresses said = two_pods();
    said.holders.clear();
    const Bytes bytes = encode_addresses(said);
    CHECK(bytes == without(encode_addresses(two_pods()), kHoldersType, {}));
    CHECK(*decode_addresses(bytes) == said);
    said.holders = {MacAddress{{2, 0, 0, 0, 0, 9}}}; // none of the node's MACs
    CHECK(encode_addresses(said) == bytes);
}

TEST_CASE("holders that are none of the MACs, or not one for each address, are malformed") {
    const Bytes bytes = encode_addresses(two_pods());
    const auto with = [&](const Bytes& value) {
        Bytes tlv{kHoldersType, static_cast<std::uint8_t>(value.size()), 0};
        tlv.insert(tlv.end(), value.begin(), value.end());
        return decode_addresses(without(bytes, kHoldersType, tlv));
    };
    REQUIRE(with({0xff, 0xff, 1, 0, 0, 0}).has_value());
    CHECK(*with({0xff, 0xff, 1, 0, 0, 0}) == two_pods());
    CHECK(with({0xff, 0xff, 0xff, 0xff, 0xff, 0xff})->holders.empty());
    CHECK_FALSE(with({0xff, 0xff, 2, 0, 0, 0}).has_value());
    CHECK_FALSE(with({0xff, 0xff, 1, 0}).has_value());
    CHECK_FALSE(with({0xff, 0xff, 1, 0, 0, 0, 0}).has_value());
    CHECK_FALSE(with({}).has_value());
    // Where it stands among the others does not matter.
    Bytes first{kHoldersType, 6, 0, 0xff, 0xff, 1, 0, 0, 0};
    const Bytes rest = without(bytes, kHoldersType, {});
    first.insert(first.end(), rest.begin(), rest.end());
    CHECK(*decode_addresses(first) == two_pods());
}

TEST_CASE("learned MACs are told apart, and bounded") {
    Addresses said = two_pods();
    said.learned.push_back(MacAddress{{2, 0, 0, 0, 0, 3}});
    CHECK(*decode_addresses(encode_addresses(said)) == said);
    for (std::size_t i = 0; i < 2 * kMaxLearned; ++i) {
        said.learned.push_back(
            {{2, 1, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}});
    }
    CHECK(decode_addresses(encode_addresses(said))->learned.size() == kMaxLearned);
}

TEST_CASE("a topology that names no neighbours is another one than one that does not say") {
    Topology topology;
    topology.name = "n";
    CHECK_FALSE(decode_topology(encode_topology(topology))->neighbours.has_value());
    topology.neighbours.emplace();
    CHECK(decode_topology(encode_topology(topology))->neighbours == std::vector<NodeId>{});
    for (std::uint8_t i = 0; i < kMaxNeighbours + 3; ++i) {
        topology.neighbours->push_back(NodeId{{i}});
    }
    const auto many = decode_topology(encode_topology(topology));
    REQUIRE(many.has_value());
    CHECK(many->neighbours->size() == kMaxNeighbours);
    CHECK(many->neighbours->back() == NodeId{{kMaxNeighbours - 1}});
    const Bytes short_one{9, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    CHECK_FALSE(decode_topology(short_one).has_value());
}

TEST_CASE("a shared record carries its topology, decoded") {
    const auto record =
        sign_record({}, {}, {1, 1}, kTopologyKind, encode_topology({}), [](ByteView) {
            return RecordSignature{};
        });
    REQUIRE(record.has_value());
    REQUIRE(record->topology != nullptr);
    const auto identify = [](const RecordKey&) { return NodeId{}; };
    const auto shared = decode_shared(record->raw, identify);
    REQUIRE(shared.has_value());
    CHECK((*(*shared)->topology == *record->topology));
    CHECK(decode_shared(Bytes{1, 2}, identify).error() == std::errc::bad_message);
}

} // namespace weave::wire
