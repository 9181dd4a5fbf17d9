// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/ruleset.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::attach;

namespace {

FirewallSettings settings() {
    FirewallSettings out;
    out.ranges = {*Prefix::parse("10.32.0.1/12"), *Prefix::parse("fd32::/64")};
    return out;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

PortRules port(const std::vector<std::string>& addresses) {
    PortRules out{"wv0000000001", *MacAddress::parse("02:00:00:00:00:01"), {}};
    for (const std::string& address : addresses) {
        out.addresses.push_back(*IpAddress::parse(address));
    }
    return out;
}

} // namespace

TEST_CASE("masquerading takes random ports, and each family only when it has a range") {
    const std::string both = ruleset_text(settings(), {}, {});
    CHECK(has(both, "elements = { 10.32.0.0/12 }"));
    CHECK(has(
        both,
        "ip saddr @ranges4 ip daddr != @ranges4 ip daddr != 224.0.0.0/4 masquerade fully-random"));
    CHECK(has(both, "ip6 saddr @ranges6"));
    FirewallSettings some = settings();
    some.ranges.resize(1);
    CHECK(!has(ruleset_text(some, {}, {}), "ranges6"));
    some.masquerade = false;
    CHECK(!has(ruleset_text(some, {}, {}), "masquerade"));
    CHECK(!has(ruleset_text(some, {}, {}), "postrouting"));
}

TEST_CASE("interfaces without the ports' prefix pass before any look-up, in each table") {
    FirewallSettings other = settings();
    other.port_prefix = "pod";
    const std::string hook = "priority -350; policy accept;\n";
    const std::string gate = "        iifname != \"pod*\" accept\n";
    const std::string text = ruleset_text(other, {}, {});
    int tables = 0;
    for (auto at = text.find(hook); at != std::string::npos; at = text.find(hook, at + 1)) {
        CHECK(text.substr(at + hook.size(), gate.size()) == gate);
        ++tables;
    }
    CHECK(tables == 3);
}

TEST_CASE("a change of one port names what differs and nothing else") {
    CHECK(port_text(settings(), port({"10.32.0.2"}), port({"10.32.0.2"})).empty());
    CHECK(
        port_text(settings(), port({"10.32.0.2"}), port({"10.32.0.3"})) ==
        "delete element bridge weave addresses4 { \"wv0000000001\" . 10.32.0.2 . 02:00:00:00:00:01 "
        "}\n"
        "delete element inet weave addresses4 { \"wv0000000001\" . 10.32.0.2 . 02:00:00:00:00:01 "
        "}\n"
        "delete element arp weave addresses4 { \"wv0000000001\" . 10.32.0.2 . 02:00:00:00:00:01 }\n"
        "add element bridge weave addresses4 { \"wv0000000001\" . 10.32.0.3 . 02:00:00:00:00:01 }\n"
        "add element inet weave addresses4 { \"wv0000000001\" . 10.32.0.3 . 02:00:00:00:00:01 }\n"
        "add element arp weave addresses4 { \"wv0000000001\" . 10.32.0.3 . 02:00:00:00:00:01 }\n");
    CHECK(port_text(settings(), port({}), port({"fd32::2"})) ==
          "add element bridge weave addresses6 { \"wv0000000001\" . fd32::2 . 02:00:00:00:00:01 }\n"
          "add element inet weave addresses6 { \"wv0000000001\" . fd32::2 . 02:00:00:00:00:01 }\n"
          "add element bridge weave targets { \"wv0000000001\" . "
          "0xfd320000000000000000000000000002 }\n"
          "add element inet weave targets { \"wv0000000001\" . 0xfd320000000000000000000000000002 "
          "}\n");
    PortRules other = port({"10.32.0.2"});
    other.mac = *MacAddress::parse("02:00:00:00:00:02");
    const std::string moved = port_text(settings(), port({"10.32.0.2"}), other);
    CHECK(has(moved,
              "delete element inet weave addresses4 { \"wv0000000001\" . 10.32.0.2 . "
              "02:00:00:00:00:01 }"));
    CHECK(has(
        moved,
        "add element inet weave addresses4 { \"wv0000000001\" . 10.32.0.2 . 02:00:00:00:00:02 }"));
    CHECK(!has(moved, "ports"));
    const std::string gone = port_text(settings(), port({"10.32.0.2"}), {});
    CHECK(has(gone, "delete element arp weave ports { \"wv0000000001\" }"));
    CHECK(has(gone, "delete element bridge weave macs { \"wv0000000001\" . 02:00:00:00:00:01 }"));
    CHECK(!has(gone, "add element"));
}

TEST_CASE("a listing is taken apart into what is of the ports and what is not") {
    Listing listing;
    take_apart("inet",
               "table inet weave {\n"
               "\tset addresses4 {\n\t\ttype ifname . ipv4_addr\n"
               "\t\telements = { \"wva\" . 10.32.0.2,\n\t\t\t     \"wvb\" . 10.32.0.3 }\n\t}\n"
               "\tset ports {\n\t\telements = { \"wva\", \"wvb\" }\n\t}\n"
               "\tset ranges4 {\n\t\telements = { 10.32.0.0/12 }\n\t}\n}\n",
               listing);
    CHECK(listing.elements == std::set<std::string>{"inet addresses4 \"wva\" . 10.32.0.2",
                                                    "inet addresses4 \"wvb\" . 10.32.0.3",
                                                    "inet ports \"wva\"",
                                                    "inet ports \"wvb\""});
    CHECK(listing.skeleton ==
          "table inet weave {\n\tset addresses4 {\n\t\ttype ifname . ipv4_addr\n"
          "\t}\n\tset ports {\n\t}\n\tset ranges4 {\n"
          "\t\telements = { 10.32.0.0/12 }\n\t}\n}\n");
    const auto expected = expected_elements({port({"10.32.0.2", "64:ff9b::1", "::", "0.0.0.0"})});
    CHECK(expected.contains("inet targets \"wv0000000001\" . 0x64ff9b000000000000000000000001"));
    CHECK(expected.contains("arp addresses4 \"wv0000000001\" . 10.32.0.2 . 02:00:00:00:00:01"));
    CHECK(!expected.contains("arp addresses6 \"wv0000000001\" . 64:ff9b::1 . 02:00:00:00:00:01"));
    CHECK(expected.size() == 3 + 3 + 3 + 2 + 2);
}

TEST_CASE("names that nft would read as something else are refused") {
    const auto refused = [](const std::string& table, const std::string& bridge) {
        FirewallSettings out = settings();
        out.table = table;
        out.bridge = bridge;
        return !check_firewall(out).empty();
    };
    CHECK(!refused("weave", "weave"));
    CHECK(!refused("weave-2", "br0.5"));
    CHECK(refused("", "weave"));
    CHECK(refused("0weave", "weave"));
    CHECK(refused("weave }", "weave"));
    CHECK(refused("weave45678901234", "weave"));
    CHECK(refused("weave", ""));
    CHECK(refused("weave", "we*"));
    CHECK(refused("weave", "we\"ave"));
    CHECK(refused("weave", "weave56789012345"));
}
