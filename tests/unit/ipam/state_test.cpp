// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/manager.hpp"
#include "ipam/position.hpp"
#include "mesh.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::ipam;
using namespace weave::ipam::test;
using namespace std::chrono_literals;
using Outcome = Answer::Outcome;

namespace {

constexpr TimePoint kStart = TimePoint{} + 1h;

AllocatorState sample() {
    AllocatorState out;
    out.range = *Prefix::parse("10.32.0.0/12");
    out.ring = {{{0, 100}, {node_at(1), {0, 1}}}, {{100, 1048576}, {node_at(2), {3, 4}}}};
    out.given = {{{50, 60}, {node_at(3), {0, 2}}}};
    out.leases = {{7, "pod-7"}, {9, ""}};
    out.outside = {{*IpAddress::parse("10.1.2.3"), "old"}, {*IpAddress::parse("fd00::1"), "old"}};
    out.resting = {12, 11};
    out.lent = {{20, node_at(2)}};
    out.taken = {{30, 40}};
    out.away = {node_at(4)};
    return out;
}

ManagerState whole() {
    ManagerState out;
    out.allocator = sample();
    wire::MemberSet set{3, node_at(1), 60, {7}, {{2, node_at(2), 9}}, {node_at(1), node_at(2)}, {}};
    out.members.accepted = {{set, true}, {set, false}};
    out.members.lease_until = kStart;
    out.members.forgot = true;
    out.members.fence = 2;
    out.members.highest = 3;
    out.members.overruled = {node_at(8)};
    out.members.lineages = {{node_at(2), 7}};
    out.boot = "boot";
    return out;
}

ManagerSettings manager_of(const std::string& range) {
    ManagerSettings out;
    out.allocator.self = node_at(5);
    out.allocator.range = *Prefix::parse(range);
    return out;
}

AllocatorSettings settings_of(const std::string& range) {
    AllocatorSettings out;
    out.self = node_at(5);
    out.range = *Prefix::parse(range);
    return out;
}

} // namespace

TEST_CASE("a state comes back as it was") {
    const auto back = decode_state(encode_state(whole()));
    REQUIRE(back.has_value());
    CHECK(*back == whole());
    ManagerState bare;
    bare.allocator.range = *Prefix::parse("fd00::/104");
    const auto small = decode_state(encode_state(bare));
    REQUIRE(small.has_value());
    CHECK(*small == bare);
}

TEST_CASE("a state cut short, or with more behind it, is refused") {
    Bytes good = encode_state(whole());
    for (std::size_t size = 0; size < good.size(); ++size) {
        CHECK_FALSE(decode_state(ByteView(good).first(size)).has_value());
    }
    good.push_back(0);
    CHECK_FALSE(decode_state(good).has_value());
}

TEST_CASE("a state with a bit flipped is refused, or makes a node that works") {
    const Bytes good = encode_state(whole());
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        Bytes bad = good;
        bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
        const auto state = decode_state(bad);
        if (!state) {
            continue;
        }
        Manager node(manager_of("10.32.0.0/12"), kStart);
        node.restore(*state, kStart);
        node.claim("a", 70, false, kStart);
        node.allocate("b", node.allocator().range(), kStart);
        node.tick(kStart + 1min);
        CHECK(decode_state(encode_state(node.state())).has_value());
        CHECK(node.record().claims.size() <= wire::kMaxClaims);
    }
}

TEST_CASE("a count that the bytes cannot hold sets nothing aside") {
    ManagerState bare;
    bare.allocator.range = *Prefix::parse("10.0.0.0/8");
    Bytes bytes = encode_state(bare);
    std::fill(bytes.begin() + 7, bytes.begin() + 11, std::uint8_t{0xff}); // pieces of the ring
    CHECK_FALSE(decode_state(bytes).has_value());
}

TEST_CASE(
    "a range that shrank: leases outside are kept and reported, and go when they are released") {
    Allocator wide(settings_of("10.32.0.0/16"), false, kStart);
    wide.claim("in", 20, false, kStart);
    wide.claim("out", 300, false, kStart);
    wide.claim("out", 21, false, kStart);
    Allocator node(settings_of("10.32.0.0/24"), false, kStart);
    const Restored restored = node.restore(wide.state(), kStart);
    CHECK_FALSE(restored.all);
    CHECK(restored.outside == 1);
    CHECK(node.ring().empty()); // that was another ring
    CHECK(node.outside() == std::vector<Outside>{{*IpAddress::parse("10.32.1.44"), "out"}});
    CHECK(node.allocate("in", node.range(), kStart).index == 20);
    // Twice through the disk, and back in the wide range.
    Allocator again(settings_of("10.32.0.0/24"), false, kStart);
    CHECK(again.restore(node.state(), kStart).all);
    CHECK(again.outside() == node.outside());
    Allocator back(settings_of("10.32.0.0/16"), false, kStart);
    CHECK(back.restore(again.state(), kStart).outside == 0);
    CHECK(back.leases().held_by("out") == std::vector<Index>{21, 300});

    const Released released = node.release_all("out", kStart);
    CHECK(released.indices == std::vector<Index>{21});
    CHECK(released.outside == std::vector<IpAddress>{*IpAddress::parse("10.32.1.44")});
    CHECK(node.outside().empty());
    CHECK(node.changed().state);
}

TEST_CASE("a range that moved: leases are where their addresses are") {
    Allocator one(settings_of("10.32.0.0/24"), false, kStart);
    one.claim("a", 20, false, kStart);
    Allocator other(settings_of("10.0.0.0/8"), false, kStart);
    CHECK(other.restore(one.state(), kStart).outside == 0);
    CHECK(other.leases().held_by("a") == std::vector<Index>{(32U << 16U) + 20});
    CHECK(address_at(*Prefix::parse("10.0.0.0/8"), (32U << 16U) + 20).text() == "10.32.0.20");
    CHECK(index_of(*Prefix::parse("fd00::1234/104"), *IpAddress::parse("fd00::ff:1")) == 0xff0001U);
    CHECK_FALSE(index_of(*Prefix::parse("fd00::/104"), *IpAddress::parse("10.0.0.1")));
}
