// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/underlay.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace weave;

namespace {

os::Link link(unsigned index, const char* name) {
    os::Link out;
    out.index = index;
    out.name = name;
    return out;
}

os::LinkAddress on(unsigned index, const char* prefix) {
    os::LinkAddress out;
    out.index = index;
    out.prefix = *Prefix::parse(prefix);
    return out;
}

std::string told(const daemon::Options& options, unsigned outward = 2) {
    std::string out;
    std::vector<os::Link> links{link(1, "lo"),
                                link(2, "eth0"),
                                link(3, "weave"),
                                link(4, "wg0"),
                                link(5, "docker0"),
                                link(6, "br0")};
    const std::vector<os::LinkAddress> addresses{on(1, "127.0.0.1/8"),
                                                 on(2, "192.168.1.5/24"),
                                                 on(2, "fe80::5/64"),
                                                 on(2, "fd00::5/64"),
                                                 on(3, "172.20.0.1/16"),
                                                 on(4, "10.40.0.1/16"),
                                                 on(5, "172.17.0.1/16"),
                                                 on(6, "10.9.0.1/24")};
    links[4].kind = links[5].kind = "bridge";
    os::Route out_by;
    out_by.destination = *Prefix::parse("0.0.0.0/0");
    out_by.index = outward;
    for (const Endpoint& endpoint :
         daemon::underlay_endpoints(options, links, addresses, {out_by})) {
        out += endpoint.text() + ' ';
    }
    return out;
}

} // namespace

TEST_CASE("peers are told global addresses, none of the pods' nor of the bridge") {
    daemon::Options options;
    CHECK(told(options) == "192.168.1.5:6783 [fd00::5]:6783 ");
    options.ipalloc_range = "10.2.0.0/16";
    CHECK(told(options) == "10.40.0.1:6783 192.168.1.5:6783 [fd00::5]:6783 ");
}

TEST_CASE("addresses of other bridges are not told, unless the host's way out leads over one") {
    daemon::Options options;
    CHECK(told(options, 2).find("10.9.0.1") == std::string::npos);
    CHECK(told(options, 6) == "10.9.0.1:6783 192.168.1.5:6783 [fd00::5]:6783 ");
}

TEST_CASE("only what is listened on is told") {
    daemon::Options options;
    options.listen = {"fd00::5"};
    CHECK(told(options) == "[fd00::5]:6783 ");
    options.listen = {"FD00:0:0::0:5"};
    CHECK(told(options) == "[fd00::5]:6783 ");
    options.listen = {"0.0.0.0"};
    CHECK(told(options) == "192.168.1.5:6783 ");
    options.listen = {"::"};
    CHECK(told(options) == "[fd00::5]:6783 ");
}

TEST_CASE("what the user advertises is told, and nothing else") {
    daemon::Options options;
    options.advertise = {"203.0.113.7", "203.0.113.7:7000"};
    CHECK(told(options) == "203.0.113.7:6783 203.0.113.7:7000 ");
}

TEST_CASE("the pods' MTU leaves room for an IPv6 underlay where one is in sight") {
    const Endpoint v4 = *Endpoint::parse("192.0.2.1", 6783);
    const Endpoint v6 = *Endpoint::parse("[2001:db8::1]", 6783);
    CHECK(daemon::automatic_mtu({v4}, {"192.0.2.2", "host.example"}, 0) == 1376);
    CHECK(daemon::automatic_mtu({v4, v6}, {}, 0) == 1356);
    CHECK(daemon::automatic_mtu({v4}, {"[2001:db8::2]:6783"}, 0) == 1356);
    CHECK(daemon::automatic_mtu({v4}, {"2001:db8::2"}, 0) == 1356);
    // What pods have already stays; what somebody else chose does not bind.
    CHECK(daemon::automatic_mtu({v4, v6}, {}, 1376) == 1376);
    CHECK(daemon::automatic_mtu({v4}, {}, 1356) == 1356);
    CHECK(daemon::automatic_mtu({v4}, {}, 1500) == 1376);
}
