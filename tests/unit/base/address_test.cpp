// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "base/address.hpp"

#include <doctest/doctest.h>

using namespace weave;

TEST_CASE("addresses parse and print in one spelling") {
    CHECK(IpAddress::parse("10.32.0.1")->text() == "10.32.0.1");
    CHECK(IpAddress::parse("2001:DB8::0:1")->text() == "2001:db8::1");
    CHECK(IpAddress::parse("::ffff:10.0.0.1")->is_v4());
    CHECK_FALSE(IpAddress::parse("10.32.0.256"));
    CHECK_FALSE(IpAddress::parse(std::string_view("10.32.0.1\0.2", 12)));
    CHECK_FALSE(Endpoint::parse(std::string_view("10.32.0.1\0:99", 13), 6783));
    CHECK(MacAddress::parse("02:AB:cd:00:00:01")->text() == "02:ab:cd:00:00:01");
    CHECK_FALSE(MacAddress::parse("02:ab:cd:00:00"));
}

TEST_CASE("endpoints take a default port and need brackets for IPv6 with a port") {
    CHECK(Endpoint::parse("192.0.2.1", 6783)->text() == "192.0.2.1:6783");
    CHECK(Endpoint::parse("192.0.2.1:99", 6783)->port == 99);
    CHECK(Endpoint::parse("[2001:db8::1]:99", 6783)->text() == "[2001:db8::1]:99");
    CHECK(Endpoint::parse("2001:db8::1", 6783)->port == 6783);
    CHECK_FALSE(Endpoint::parse("192.0.2.1:0", 6783));
    CHECK_FALSE(Endpoint::parse("192.0.2.1:65536", 6783));
    CHECK_FALSE(Endpoint::parse("[2001:db8::1", 6783));
    CHECK_FALSE(Endpoint::parse("host:1", 6783));
}

TEST_CASE("prefixes mask, contain and overlap") {
    const auto range = *Prefix::parse("10.32.5.9/12");
    CHECK(range.network().text() == "10.32.0.0/12");
    CHECK(range.contains(*IpAddress::parse("10.47.255.255")));
    CHECK_FALSE(range.contains(*IpAddress::parse("10.48.0.0")));
    CHECK(range.overlaps(*Prefix::parse("10.0.0.0/8")));
    CHECK_FALSE(range.overlaps(*Prefix::parse("fd00::/8")));
    CHECK_FALSE(Prefix::parse("10.0.0.0/33"));
    CHECK_FALSE(Prefix::parse("::ffff:10.0.0.0/8"));
    CHECK_FALSE(Prefix::parse("10.0.0.0"));
}
