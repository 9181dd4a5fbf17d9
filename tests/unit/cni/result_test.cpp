// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/errors.hpp"
#include "cni/result.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::cni;
using nlohmann::json;

namespace {

Prefix prefix(const char* text) {
    return Prefix::parse(text).value();
}

/** Everything that a result can say. */
Result whole() {
    Result out;
    out.interfaces.push_back({"wv1", "02:00:00:00:00:01", 1376, "", "", ""});
    out.interfaces.push_back({"eth0", "02:00:00:00:00:02", 1376, "/run/netns/a", "/s", "0000:01"});
    out.ips.push_back({prefix("10.32.0.5/12"), IpAddress::parse("10.32.0.1"), 1});
    out.ips.push_back({prefix("fd00::5/64"), std::nullopt, 1});
    Route route;
    route.destination = prefix("0.0.0.0/0");
    route.gateway = IpAddress::parse("10.32.0.1");
    route.mtu = 1300;
    route.advmss = 1200;
    route.priority = 7;
    route.table = 100;
    route.scope = 253;
    out.routes.push_back(route);
    out.dns = {{"10.32.0.1"}, "weave.local", {"a", "b"}, {"ndots:1"}};
    return out;
}

const json kInterfaces{
    {{"name", "wv1"}, {"mac", "02:00:00:00:00:01"}},
    {{"name", "eth0"}, {"mac", "02:00:00:00:00:02"}, {"sandbox", "/run/netns/a"}}};
const json kDns{{"nameservers", {"10.32.0.1"}},
                {"domain", "weave.local"},
                {"search", {"a", "b"}},
                {"options", {"ndots:1"}}};

} // namespace

TEST_CASE("result: versions before 1.0.0 tell the family of an address") {
    for (const char* version : {"0.3.0", "0.3.1", "0.4.0"}) {
        CHECK(render(whole(), parse_version(version).value()) ==
              json{{"cniVersion", version},
                   {"interfaces", kInterfaces},
                   {"ips",
                    {{{"version", "4"},
                      {"address", "10.32.0.5/12"},
                      {"gateway", "10.32.0.1"},
                      {"interface", 1}},
                     {{"version", "6"}, {"address", "fd00::5/64"}, {"interface", 1}}}},
                   {"routes", {{{"dst", "0.0.0.0/0"}, {"gw", "10.32.0.1"}}}},
                   {"dns", kDns}});
    }
}

TEST_CASE("result: 1.0.0 leaves the family out") {
    CHECK(render(whole(), SpecVersion::v1_0_0) ==
          json{{"cniVersion", "1.0.0"},
               {"interfaces", kInterfaces},
               {"ips",
                {{{"address", "10.32.0.5/12"}, {"gateway", "10.32.0.1"}, {"interface", 1}},
                 {{"address", "fd00::5/64"}, {"interface", 1}}}},
               {"routes", {{{"dst", "0.0.0.0/0"}, {"gw", "10.32.0.1"}}}},
               {"dns", kDns}});
}

TEST_CASE("result: 1.1.0 has attributes of interfaces and routes") {
    json interfaces = kInterfaces;
    interfaces[0]["mtu"] = 1376;
    interfaces[1]["mtu"] = 1376;
    interfaces[1]["socketPath"] = "/s";
    interfaces[1]["pciID"] = "0000:01";
    const json got = render(whole(), SpecVersion::v1_1_0);
    CHECK(got["interfaces"] == interfaces);
    CHECK(got["routes"] == json{{{"dst", "0.0.0.0/0"},
                                 {"gw", "10.32.0.1"},
                                 {"mtu", 1300},
                                 {"advmss", 1200},
                                 {"priority", 7},
                                 {"table", 100},
                                 {"scope", 253}}});
    CHECK(got["ips"] == render(whole(), SpecVersion::v1_0_0)["ips"]);
}

TEST_CASE("result: what is rendered is read again, in every version") {
    for (const std::string_view text : kSpecVersions) {
        const SpecVersion version = parse_version(text).value();
        const json once = render(whole(), version);
        CHECK(render(parse_result(once), version) == once);
    }
}

TEST_CASE("result: an empty one, as a runtime likes it") {
    CHECK(render({}, SpecVersion::v1_0_0) ==
          json{{"cniVersion", "1.0.0"}, {"dns", json::object()}});
    CHECK(parse_result(json::object()).ips.empty());
    CHECK(parse_result({{"ips", nullptr}, {"interfaces", nullptr}}).interfaces.empty());
}

TEST_CASE("result: one that cannot be") {
    const auto code = [](const json& in) {
        try {
            parse_result(in);
        } catch (const Failure& failure) {
            return failure.code();
        }
        return 0U;
    };
    CHECK(code({{"cniVersion", "0.2.0"}}) == 1);
    CHECK(code({{"ips", "10.0.0.1"}}) == 6);
    CHECK(code({{"ips", {"10.0.0.1"}}}) == 6);
    CHECK(code({{"ips", {{{"address", 5}}}}}) == 6);
    CHECK(code({{"ips", {{{"address", "10.0.0.1"}}}}}) == 7);
    CHECK(code({{"ips", {{{"address", "10.0.0.1/8"}, {"gateway", "x"}}}}}) == 7);
    CHECK(code({{"routes", {{{"gw", "10.0.0.1"}}}}}) == 7);
    CHECK(code({{"interfaces", {{{"name", "a"}}}},
                {"ips", {{{"address", "10.0.0.1/8"}, {"interface", 1}}}}}) == 7);
    // Without interfaces an index points at nothing, and hurts nobody.
    CHECK(code({{"ips", {{{"address", "10.0.0.1/8"}, {"interface", 1}}}}}) == 0);
}

TEST_CASE("result: ours comes behind what was there") {
    Result before = whole();
    before.dns = {{"9.9.9.9"}, "before", {}, {}};
    Result own = whole();
    own.dns = {{"10.32.0.1"}, "", {"own"}, {}};
    const Result all = append(before, own);
    REQUIRE(all.interfaces.size() == 4);
    REQUIRE(all.ips.size() == 4);
    CHECK(all.ips[0].interface == 1);
    CHECK(all.ips[2].interface == 3);
    CHECK(all.routes.size() == 2);
    CHECK(all.dns.nameservers == std::vector<std::string>{"10.32.0.1"});
    CHECK(all.dns.domain == "before");
    CHECK(all.dns.search == std::vector<std::string>{"own"});
}
