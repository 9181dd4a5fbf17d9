// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/owners.hpp"

#include <doctest/doctest.h>

using namespace weave;
using daemon::Owners;
using dataplane::kLocalPeer;
using dataplane::kNoPeer;

namespace {

NodeId node(std::uint8_t number) {
    NodeId id;
    id.octets.fill(number);
    return id;
}

wire::Addresses owning(std::initializer_list<const char*> prefixes) {
    wire::Addresses out;
    for (const char* text : prefixes) {
        out.prefixes.push_back(*Prefix::parse(text));
    }
    return out;
}

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

} // namespace

TEST_CASE("an address belongs to who says so, until it no longer does") {
    Owners owners;
    owners.set_local(owning({"10.32.0.1/32"}));
    owners.set(node(1), 7, owning({"10.32.0.2/32", "fd32::2/128"}));
    CHECK(owners.table()->owner(ip("10.32.0.1")) == kLocalPeer);
    CHECK(owners.table()->owner(ip("10.32.0.2")) == 7);
    CHECK(owners.table()->owner(ip("fd32::2")) == 7);
    CHECK(owners.macs_of(node(1)).empty());
    owners.set(node(1), 7, owning({"fd32::2/128", "10.32.0.3/32"}));
    CHECK(owners.table()->owner(ip("10.32.0.2")) == kNoPeer);
    CHECK(owners.table()->owner(ip("10.32.0.3")) == 7);
    owners.forget(node(1));
    CHECK(owners.table()->owner(ip("fd32::2")) == kNoPeer);
    CHECK(owners.table()->prefixes() == 1);
    owners.set_local({});
    CHECK(owners.table()->prefixes() == 0);
}

TEST_CASE("nobody takes an address by claiming it too") {
    Owners owners;
    owners.set(node(2), 2, owning({"10.32.0.2/32"}));
    owners.set(node(1), 1, owning({"10.32.0.2/32"}));
    CHECK(owners.table()->owner(ip("10.32.0.2")) == 2);
    REQUIRE(owners.contests().size() == 1);
    CHECK(owners.contests()[0].address == "10.32.0.2");
    CHECK(owners.contests()[0].owner == node(2));
    CHECK(owners.contests()[0].other == node(1));
    SUBCASE("the next gets it when it is given up") {
        owners.set(node(2), 2, {});
        CHECK(owners.table()->owner(ip("10.32.0.2")) == 1);
    }
    SUBCASE("the next gets it when its holder is gone") {
        owners.forget(node(2));
        CHECK(owners.table()->owner(ip("10.32.0.2")) == 1);
    }
    SUBCASE("this node goes before all others") {
        owners.set_local(owning({"10.32.0.2/32"}));
        CHECK(owners.table()->owner(ip("10.32.0.2")) == kLocalPeer);
        owners.set_local({});
        CHECK(owners.table()->owner(ip("10.32.0.2")) == 2);
        owners.set(node(2), 2, {});
    }
    owners.forget(node(1));
    CHECK(owners.contested() == 0);
}

TEST_CASE("a record that comes before its node counts once the node has a place") {
    Owners owners;
    owners.set(node(1), kNoPeer, owning({"10.32.0.2/32"}));
    CHECK(owners.table()->owner(ip("10.32.0.2")) == kNoPeer);
    owners.set_index(node(1), 4);
    CHECK(owners.table()->owner(ip("10.32.0.2")) == 4);
}

TEST_CASE("the same address twice, and with host bits, is one address") {
    Owners owners;
    wire::Addresses twice = owning({"10.32.1.5/24", "10.32.1.0/24"});
    twice.macs = {MacAddress{{2, 0, 0, 0, 0, 1}}, MacAddress{{2, 0, 0, 0, 0, 1}}};
    owners.set(node(1), 1, twice);
    CHECK(owners.table()->prefixes() == 1);
    CHECK(owners.table()->macs() == 1);
    CHECK(owners.macs_of(node(1)).size() == 1);
    owners.set(node(1), 1, owning({"10.32.1.0/24"}));
    CHECK(owners.table()->prefixes() == 1);
    CHECK(owners.table()->macs() == 0);
}

TEST_CASE("what did not change is not published again") {
    Owners owners;
    owners.set(node(1), 1, owning({"10.32.0.2/32"}));
    const auto before = owners.table();
    owners.set(node(1), 1, owning({"10.32.0.2/32"}));
    CHECK(owners.table() == before);
}
