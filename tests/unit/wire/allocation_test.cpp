// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/allocation.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::wire;

namespace {

NodeId node_of(std::uint8_t fill) {
    NodeId node;
    node.octets.fill(fill);
    return node;
}

Allocation sample() {
    Allocation out;
    out.range = *Prefix::parse("10.32.0.0/12");
    out.claims.push_back({1, 2, 3, 4, std::nullopt});
    out.claims.push_back({0, 0xffffffff, 0, 1, node_of(7)});
    out.want = Allocation::Want{node_of(9), 10, 20};
    out.membership = Membership{3600, 5, 4, {{{3, node_of(1), 2}, true}}};
    out.unknown = {200, 1, 0, 42};
    return out;
}

} // namespace

TEST_CASE("an allocation comes back as it was") {
    const auto back = decode_allocation(encode_allocation(sample()));
    REQUIRE(back.has_value());
    CHECK(*back == sample());
    Allocation bare;
    bare.range = *Prefix::parse("fd00::/104");
    const auto small = decode_allocation(encode_allocation(bare));
    REQUIRE(small.has_value());
    CHECK(*small == bare);
}

TEST_CASE("an allocation cut short, or with a value of another size, is refused") {
    const Bytes good = encode_allocation(sample());
    for (std::size_t size = 0; size < good.size(); ++size) {
        const auto back = decode_allocation(ByteView(good).first(size));
        // Between two TLVs it may end: then what is missing is missing, but the range must be
        // there.
        CHECK((!back || back->range == sample().range));
    }
    CHECK_FALSE(decode_allocation({}).has_value()); // no range
    for (const std::size_t at : {std::size_t{1}, std::size_t{9}}) {
        Bytes bad = good;
        ++bad[at];
        CHECK_FALSE(decode_allocation(bad).has_value());
    }
}

TEST_CASE("an empty run is refused, and so are more claims than a record may have") {
    Allocation empty = sample();
    empty.claims[0].end = empty.claims[0].first;
    CHECK_FALSE(decode_allocation(encode_allocation(empty)).has_value());
    Allocation backwards = sample();
    backwards.want->end = 3;
    CHECK_FALSE(decode_allocation(encode_allocation(backwards)).has_value());
    Allocation many;
    many.range = *Prefix::parse("10.32.0.0/12");
    many.claims.assign(kMaxClaims, {1, 2, 0, 1, std::nullopt});
    CHECK(decode_allocation(encode_allocation(many)).has_value());
    many.claims.push_back({1, 2, 0, 1, std::nullopt});
    CHECK_FALSE(decode_allocation(encode_allocation(many)).has_value());
}
