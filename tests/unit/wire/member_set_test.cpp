// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/member_set.hpp"
#include "wire/record.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::wire;

namespace {

NodeId node_of(std::size_t number) {
    NodeId node;
    node.octets[0] = static_cast<std::uint8_t>(number >> 8);
    node.octets[1] = static_cast<std::uint8_t>(number);
    return node;
}

MemberSet sample(std::size_t members = 3, std::size_t removed = 2) {
    MemberSet out{7, node_of(1), 3600, {4, 9}, {{6, node_of(2), 11}}, {}, {}};
    for (std::size_t i = 0; i < members; ++i) {
        out.members.push_back(node_of(i));
    }
    for (std::size_t i = 0; i < removed; ++i) {
        out.removed.push_back({node_of(members + i), 7});
    }
    return out;
}

Result<MemberSets> round(const MemberSet& set) {
    return decode_member_sets(encode_member_sets({{set}, {}}));
}

} // namespace

TEST_CASE("member sets come back as they were, with what is unknown") {
    const MemberSets said{{sample(), sample(1, 0)}, {200, 1, 0, 42}};
    const auto back = decode_member_sets(encode_member_sets(said));
    REQUIRE(back.has_value());
    CHECK(*back == said);
}

TEST_CASE("any change of a set changes its digest") {
    const SetRef ref = ref_of(sample());
    CHECK(ref == ref_of(sample()));
    MemberSet other = sample();
    other.removed.back().era = 6;
    CHECK(ref_of(other) != ref);
    other = sample();
    other.members.pop_back();
    CHECK(ref_of(other) != ref);
}

TEST_CASE("a set cut short, longer, out of order or beyond its limits is refused") {
    const Bytes good = encode_member_sets({{sample()}, {}});
    for (std::size_t size = 1; size < good.size(); ++size) {
        CHECK_FALSE(decode_member_sets(ByteView(good).first(size)).has_value());
    }
    Bytes longer = good;
    longer.push_back(0);
    ++longer[1];
    CHECK_FALSE(decode_member_sets(longer).has_value());
    MemberSet twice = sample();
    twice.members[1] = twice.members[0];
    CHECK_FALSE(round(twice).has_value());
    MemberSet backwards = sample();
    std::swap(backwards.removed[0], backwards.removed[1]);
    CHECK_FALSE(round(backwards).has_value());
    CHECK_FALSE(round(sample(0, 0)).has_value());
    CHECK_FALSE(round(sample(kMaxMembers + 1, 0)).has_value());
    CHECK_FALSE(round(sample(1, kMaxRemovals + 1)).has_value());
}

TEST_CASE("the largest set fits in a record; of more sets those that fit are told") {
    const MemberSet largest = sample(kMaxMembers, kMaxRemovals);
    const Bytes one = encode_member_sets({{largest, largest}, {}});
    CHECK(one.size() <= kMaxTlvBytes);
    CHECK(decode_member_sets(one)->sets == std::vector{largest});
    const MemberSet usual = sample(kMaxMembers, 5);
    CHECK(decode_member_sets(encode_member_sets({{usual, usual}, {}}))->sets.size() == 2);
}

TEST_CASE("who is in a set, and who is removed by it") {
    const MemberSet set = sample();
    CHECK(set.has(node_of(2)));
    CHECK_FALSE(set.has(node_of(3)));
    REQUIRE(set.removal(node_of(4)) != nullptr);
    CHECK(set.removal(node_of(4))->era == 7);
    CHECK(set.removal(node_of(2)) == nullptr);
}

TEST_CASE("a membership of a wrong size, or with too many sets, is refused") {
    const Membership said{60, 1, 2, {{{3, node_of(1), 4}, true}, {{5, node_of(2), 6}, false}}};
    const Bytes good = encode_membership(said);
    REQUIRE(decode_membership(good).has_value());
    CHECK(*decode_membership(good) == said);
    for (std::size_t size = 0; size < good.size(); ++size) {
        CHECK_FALSE(decode_membership(ByteView(good).first(size)).has_value());
    }
    Membership many = said;
    many.accepted.assign(kMaxAccepted + 1, said.accepted[0]);
    Bytes bytes = encode_membership(many); // leaves the last one out
    CHECK(decode_membership(bytes)->accepted.size() == kMaxAccepted);
    bytes.insert(bytes.end(), 29, 0);
    ++bytes[16];
    CHECK_FALSE(decode_membership(bytes).has_value());
}
