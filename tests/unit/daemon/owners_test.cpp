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

const MacAddress kOld{{2, 0, 0, 0, 0, 1}};
const MacAddress kNew{{2, 0, 0, 0, 0, 2}};

/** One pod with one address. */
wire::Addresses pod(const char* address, const MacAddress& mac) {
    wire::Addresses out;
    out.macs.push_back(mac);
    out.add(*Prefix::parse(address), mac);
    return out;
}

wire::Addresses learned(const MacAddress& mac) {
    wire::Addresses out;
    out.learned.push_back(mac);
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

TEST_CASE("the table says which MAC has an address") {
    using dataplane::Neighbour;
    Owners owners;
    owners.set(node(1), 1, pod("10.32.0.2/32", kOld));
    CHECK(owners.table()->neighbour(ip("10.32.0.2")) == Neighbour{1, kOld});
    CHECK(owners.table()->neighbour(ip("10.32.0.3")) == Neighbour{});
    SUBCASE("of the owner, not of who claims it too") {
        owners.set(node(2), 2, pod("10.32.0.2/32", kNew));
        CHECK(owners.table()->neighbour(ip("10.32.0.2")) == Neighbour{1, kOld});
        owners.forget(node(1));
        CHECK(owners.table()->neighbour(ip("10.32.0.2")) == Neighbour{2, kNew});
    }
    SUBCASE("as it is now, and the place among claimants is kept") {
        owners.set(node(2), 2, pod("10.32.0.2/32", kOld));
        owners.set(node(1), 1, pod("10.32.0.2/32", kNew));
        CHECK(owners.table()->neighbour(ip("10.32.0.2")) == Neighbour{1, kNew});
    }
    SUBCASE("a prefix that contains it has no MAC") {
        owners.set(node(1), 1, owning({"10.32.0.0/16"}));
        CHECK(owners.table()->owner(ip("10.32.0.2")) == 1);
        CHECK(owners.table()->neighbour(ip("10.32.0.2")) == Neighbour{});
    }
    SUBCASE("a group MAC answers for nobody") {
        owners.set(
            node(1), 1, pod("10.32.0.2/32", MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}));
        CHECK(owners.table()->neighbour(ip("10.32.0.2")) == Neighbour{1, {}});
    }
}

TEST_CASE("what a host routes to is at the router's MAC, and moves there and back") {
    Owners owners;
    wire::Addresses routed = owning({"10.32.0.1/32"});
    routed.router_mac = kNew;
    owners.set_local(routed);
    CHECK(owners.table()->neighbour(ip("10.32.0.1")).mac == MacAddress{}); // it is asked itself
    owners.set_local({});
    owners.set(node(1), 7, pod("10.32.0.1/32", kOld));
    owners.take_moves();
    owners.set(node(1), 7, {});
    owners.set(node(2), 8, routed);
    CHECK(owners.table()->neighbour(ip("10.32.0.1")).mac == kNew);
    const auto moves = owners.take_moves();
    REQUIRE(moves.size() == 1);
    CHECK(moves[0] == daemon::AddressMove{ip("10.32.0.1"), kNew});
}

TEST_CASE("which MACs others say that their pods have") {
    Owners owners;
    owners.set_local(pod("10.32.0.1/32", kNew));
    owners.set(node(1), 7, learned(kOld));
    CHECK_FALSE(owners.is_attached_elsewhere(kNew));
    CHECK_FALSE(owners.is_attached_elsewhere(kOld));
    CHECK(owners.is_others(kOld));
    owners.set(node(1), 7, pod("10.32.0.2/32", kOld));
    CHECK(owners.is_attached_elsewhere(kOld));
}

TEST_CASE("an address that comes up elsewhere at another MAC has moved") {
    Owners owners;
    const std::vector<daemon::AddressMove> moved{{ip("10.32.0.2"), kNew}};
    owners.set(node(1), 1, pod("10.32.0.2/32", kOld));
    CHECK(owners.take_moves().empty()); // nobody was told otherwise
    SUBCASE("after it was nowhere") {
        owners.set(node(1), 1, {});
        CHECK(owners.take_moves().empty());
        owners.set(node(2), 2, pod("10.32.0.2/32", kNew));
        CHECK(owners.take_moves() == moved);
        CHECK(owners.take_moves().empty());
        // And back.
        owners.set(node(2), 2, {});
        owners.set(node(1), 1, pod("10.32.0.2/32", kOld));
        CHECK(owners.take_moves() == std::vector<daemon::AddressMove>{{ip("10.32.0.2"), kOld}});
    }
    SUBCASE("when its holder gives it up to the next") {
        owners.set(node(2), 2, pod("10.32.0.2/32", kNew));
        CHECK(owners.take_moves().empty());
        owners.forget(node(1));
        CHECK(owners.take_moves() == moved);
    }
    SUBCASE("on the same node") {
        owners.set(node(1), 1, pod("10.32.0.2/32", kNew));
        CHECK(owners.take_moves() == moved);
    }
    SUBCASE("but not when it is back where it was") {
        owners.set(node(1), 1, {});
        owners.set(node(1), 1, pod("10.32.0.2/32", kOld));
        CHECK(owners.take_moves().empty());
    }
    SUBCASE("and not to this node, whose pods hear it themselves") {
        owners.set(node(1), 1, {});
        owners.set_local(pod("10.32.0.2/32", kNew));
        CHECK(owners.take_moves().empty());
        owners.set_local({});
        owners.set(node(1), 1, pod("10.32.0.2/32", kOld));
        CHECK(owners.take_moves() == std::vector<daemon::AddressMove>{{ip("10.32.0.2"), kOld}});
    }
}

TEST_CASE("what is remembered of addresses that nobody has is bounded") {
    Owners owners;
    const auto many = [](const MacAddress& mac) {
        wire::Addresses out;
        out.macs.push_back(mac);
        for (unsigned i = 0; i < 10000; ++i) {
            out.add({IpAddress::v4(
                         {10, 33, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}),
                     32},
                    mac);
        }
        return out;
    };
    owners.set(node(1), 1, many(kOld));
    owners.set(node(1), 1, {});
    owners.set(node(2), 2, many(kNew));
    CHECK(owners.take_moves().size() == Owners::kMaxMoves);
}

TEST_CASE("of learned MACs the first owner keeps it, and what is attached goes before") {
    Owners owners;
    owners.set(node(1), 1, learned(kOld));
    owners.set(node(2), 2, learned(kOld));
    CHECK(owners.table()->owner(kOld) == 1);
    CHECK(owners.contested() == 0);
    CHECK(owners.macs_of(node(1)).empty());
    SUBCASE("a move needs the owner's record") {
        owners.set(node(1), 1, {});
        CHECK(owners.table()->owner(kOld) == 2);
    }
    SUBCASE("or the owner's end") {
        owners.forget(node(1));
        CHECK(owners.table()->owner(kOld) == 2);
    }
    SUBCASE("a pod of that MAC is not shut out by who learned it") {
        owners.set(node(3), 3, pod("10.32.0.2/32", kOld));
        CHECK(owners.table()->owner(kOld) == 3);
        CHECK(owners.contested() == 0);
        // Not even here.
        owners.set_local(learned(kOld));
        CHECK(owners.table()->owner(kOld) == 3);
        owners.set(node(3), 3, learned(kOld));
        CHECK(owners.table()->owner(kOld) == kLocalPeer);
    }
    SUBCASE("of a MAC that is both, the attachment counts") {
        wire::Addresses both = learned(kOld);
        both.macs.push_back(kOld);
        owners.set(node(2), 2, both);
        CHECK(owners.table()->owner(kOld) == 2);
        CHECK(owners.macs_of(node(2)).size() == 1);
    }
}

TEST_CASE("of two nodes that learn a MAC at once the lower id keeps it, and both know") {
    Owners owners;
    const auto elsewhere = [&](std::uint8_t self) { return owners.is_elsewhere(kOld, node(self)); };
    CHECK_FALSE(elsewhere(2));
    owners.set(node(3), 3, learned(kOld));
    CHECK(elsewhere(2)); // who had it first keeps it, whatever its id
    owners.set_local(learned(kOld));
    CHECK_FALSE(elsewhere(2));
    CHECK(elsewhere(4));
    owners.set(node(3), 3, pod("10.32.0.2/32", kOld));
    CHECK(elsewhere(2)); // a pod's MAC is the pod's
}
