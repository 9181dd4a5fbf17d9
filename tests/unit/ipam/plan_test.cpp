// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/plan.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace weave;
using namespace weave::ipam;

namespace {

std::string texts(const std::vector<Prefix>& prefixes) {
    std::string out;
    for (const Prefix& prefix : prefixes) {
        out += (out.empty() ? "" : " ") + prefix.text();
    }
    return out;
}

} // namespace

TEST_CASE("a place is one address of each family") {
    Plan plan(*Prefix::parse("10.32.0.0/12"), std::nullopt);
    CHECK(texts(plan.addresses(5, plan.default_subnet())) == "10.32.0.5/12");
    plan.add_v6(*IpAddress::parse("fd01:203:405::"));
    CHECK(plan.range6()->text() == "fd01:203:405::/108");
    CHECK(texts(plan.addresses(5, plan.default_subnet())) == "10.32.0.5/12 fd01:203:405::5/108");
    CHECK(texts(plan.addresses(0xfffff, {0xff000, 0x100000})) ==
          "10.47.255.255/20 fd01:203:405::f:ffff/116");
    CHECK(plan.place_of(*IpAddress::parse("10.47.255.255")) == 0xfffff);
    CHECK(plan.place_of(*IpAddress::parse("fd01:203:405::f:ffff")) == 0xfffff);
    CHECK_FALSE(plan.place_of(*IpAddress::parse("10.48.0.0")));
    CHECK_FALSE(plan.place_of(*IpAddress::parse("fd01:203:405::10:0")));
    CHECK_FALSE(plan.place_of(*IpAddress::parse("10.31.255.255")));
    CHECK(plan.address(256).text() == "10.32.1.0");
}

TEST_CASE("subnets are parts of the range in either family") {
    Plan plan(*Prefix::parse("10.32.7.9/16"), Prefix::parse("10.32.4.0/24"));
    plan.add_v6(*IpAddress::parse("fd00::"));
    CHECK(plan.range().text() == "10.32.0.0/16");
    CHECK(plan.default_subnet() == Run{0x400, 0x500});
    CHECK(texts(plan.subnets()) == "10.32.4.0/24 fd00::400/120");
    CHECK(plan.places_of(*Prefix::parse("10.32.8.0/22")) == Run{0x800, 0xc00});
    CHECK(plan.places_of(*Prefix::parse("fd00::800/118")) == Run{0x800, 0xc00});
    CHECK_FALSE(plan.places_of(*Prefix::parse("10.32.0.0/12")));
    CHECK_FALSE(plan.places_of(*Prefix::parse("fd00::/64")));
    CHECK_FALSE(plan.places_of(*Prefix::parse("10.33.0.0/24")));
}

TEST_CASE("a range that cannot be one is refused with a sentence") {
    for (const char* bad : {"10.0.0.0/31", "10.0.0.0/7", "fd00::/108"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(Plan(*Prefix::parse(bad), std::nullopt), std::invalid_argument);
    }
    CHECK_THROWS_AS(Plan(*Prefix::parse("10.32.0.0/12"), Prefix::parse("10.48.0.0/24")),
                    std::invalid_argument);
    CHECK_THROWS_AS(Plan(*Prefix::parse("10.32.0.0/12"), Prefix::parse("10.32.0.0/31")),
                    std::invalid_argument);
    CHECK_NOTHROW(Plan(*Prefix::parse("10.0.0.0/8"), std::nullopt));
    CHECK_NOTHROW(Plan(*Prefix::parse("10.0.0.0/30"), std::nullopt));
}

TEST_CASE("what may be asked for") {
    using Kind = Request::Kind;
    CHECK(parse_request("net:default") == Request{});
    CHECK(parse_request("net:10.40.0.9/16") == Request{Kind::any, Prefix::parse("10.40.0.0/16")});
    CHECK(parse_request("10.32.0.5/12") == Request{Kind::fixed, Prefix::parse("10.32.0.5/12")});
    CHECK(parse_request("ip:10.32.0.5/12") == Request{Kind::place, Prefix::parse("10.32.0.5/12")});
    CHECK(parse_request("ip:10.32.0.5") == Request{Kind::place, Prefix::parse("10.32.0.5/32")});
    CHECK(parse_request("ip:fd00::5") == Request{Kind::place, Prefix::parse("fd00::5/128")});
    for (const char* bad :
         {"", "10.32.0.5", "net:", "net:10.40.0.0", "ip:", "ip:x", "net:x/8", "x"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_request(bad));
    }
}
