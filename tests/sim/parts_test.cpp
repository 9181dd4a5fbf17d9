// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the simulator itself is made of.
#include "sim/archive.hpp"
#include "support/fake_ports.hpp"

#include <doctest/doctest.h>

using weave::Bytes;
using weave::sim::Archive;

namespace {

Bytes signed_record(std::uint64_t owner, std::uint64_t version) {
    const auto key = weave::test::fake_key(owner);
    const auto sign = [&](weave::ByteView message) { return weave::test::fake_sign(key, message); };
    const auto node = weave::test::fake_identify(key);
    return weave::wire::sign_record(node, key, {1, version}, 77, {}, sign)->raw;
}

} // namespace

TEST_CASE("equal records are one object for as long as somebody holds it") {
    Archive archive;
    auto first = *archive.decode(signed_record(1, 1));
    CHECK(*archive.decode(signed_record(1, 1)) == first);
    const auto newer = *archive.decode(signed_record(1, 2));
    const auto other = *archive.decode(signed_record(2, 1));
    CHECK(newer != first);
    CHECK(newer->stamp.version == 2);
    CHECK(other->node != first->node);
    CHECK(archive.size() == 3);
    first.reset();
    CHECK(archive.size() == 2);
    CHECK((*archive.decode(signed_record(1, 1)))->stamp.version == 1);
    CHECK(archive.size() == 2);
}

TEST_CASE("the archive refuses what does not decode, and outlives itself in a record") {
    weave::wire::RecordPtr left;
    {
        Archive archive;
        CHECK(!archive.decode(Bytes(20, 9)));
        CHECK(archive.size() == 0);
        left = *archive.decode(signed_record(1, 1));
    }
    CHECK(left->raw == signed_record(1, 1));
}

TEST_CASE("one object is verified once, its copy and a forgery each for themselves") {
    Archive archive;
    const auto record = *archive.decode(signed_record(1, 1));
    CHECK(archive.verify(*record));
    CHECK(archive.verify(**archive.decode(signed_record(1, 1))));
    CHECK(archive.verified() == 1);
    const weave::wire::Record copy = *record;
    CHECK(archive.verify(copy));
    CHECK(archive.verified() == 2);
    Bytes forged = signed_record(1, 1);
    forged.back() ^= 1;
    const auto bad = *archive.decode(forged);
    CHECK(bad != record);
    CHECK(!archive.verify(*bad));
    CHECK(!archive.verify(*bad));
    CHECK(archive.verified() == 3);
}
