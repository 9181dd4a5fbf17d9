// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/foreign_chain.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <map>

using namespace weave::attach;
using nlohmann::json;

namespace {

/** One chain of iptables -S, without "-A FORWARD ". */
ForeignChain forward(const std::string& rule) {
    return chain_from_text("-P INPUT DROP\n-P FORWARD ACCEPT\n-N OTHER\n-A OTHER -j DROP\n"
                           "-A FORWARD " +
                               rule + '\n',
                           "FORWARD",
                           "weave");
}

ForeignChain forward_json(const char* statements) {
    json listing =
        json::parse(R"([{"metainfo":{}},{"chain":{"name":"FORWARD","policy":"accept"}}])");
    listing.push_back({{"rule", {{"handle", 7}, {"expr", json::parse(statements)}}}});
    return chain_from_json(listing, "weave");
}

} // namespace

TEST_CASE("what iptables -S tells of a chain") {
    CHECK(chain_from_text("-P FORWARD DROP\n", "FORWARD", "weave").drops());
    CHECK(!chain_from_text("-P FORWARD ACCEPT", "FORWARD", "weave").drops());
    CHECK(!chain_from_text("-P INPUT DROP\n", "FORWARD", "weave").exists);
    CHECK(chain_from_text("-N X\n", "X", "weave").exists);
    CHECK(forward("-j REJECT --reject-with icmp-port-unreachable").drops());
    CHECK(forward("-m comment --comment \"say \\\"no\\\" -j ACCEPT\" -j DROP").drops());
    CHECK(!forward("-p tcp -m tcp --dport 9 -j DROP").drops());
    CHECK(!forward("! -i eth0 -j DROP").drops());
    CHECK(!forward("-f -j DROP").drops());
    CHECK(!forward("-j ACCEPT").drops());
    CHECK(forward("-j DOCKER-USER").jumps_to("DOCKER-USER"));
    CHECK(!forward("-j DOCKER-USER").jumps_to("DOCKER"));
    CHECK(forward("-i weave -j ACCEPT").names_us);
    CHECK(!forward("-i weave2 -j ACCEPT").names_us);
}

TEST_CASE("what nft -j list chain tells of one") {
    CHECK(forward_json(R"([{"counter":{"packets":0}},{"drop":null}])").drops());
    CHECK(forward_json(R"([{"log":null},{"reject":{"type":"icmpx"}}])").drops());
    CHECK(
        forward_json(
            R"([{"xt":{"type":"match","name":"comment"}},{"xt":{"type":"target","name":"REJECT"}}])")
            .drops());
    CHECK(
        !forward_json(
             R"([{"xt":{"type":"match","name":"physdev"}},{"xt":{"type":"target","name":"REJECT"}}])")
             .drops());
    CHECK(!forward_json(R"([{"match":{"op":"==","right":"tcp"}},{"drop":null}])").drops());
    CHECK(!forward_json(R"([{"limit":{"rate":5}},{"drop":null}])").drops());
    CHECK(!forward_json(R"([{"xt":null},{"drop":null}])").drops());
    CHECK(!forward_json(R"([{"accept":null}])").drops());
    const ForeignChain jump = forward_json(R"([{"counter":null},{"jump":{"target":"ours"}}])");
    CHECK(jump.jumps_to("ours"));
    CHECK(jump.rules[0].handle == 7);
    CHECK(forward_json(R"([{"match":{"right":"weave"}},{"accept":null}])").names_us);
    CHECK(!forward_json(R"([{"match":{"right":"weave1"}},{"accept":null}])").names_us);
    CHECK(chain_from_json(json::parse(R"([{"chain":{"policy":"drop"}}])"), "weave").drops());
}

TEST_CASE("the place is the tool's own when FORWARD comes to it") {
    std::map<std::string, ForeignChain> chains;
    const auto chain = [&](const std::string& name) { return chains[name]; };
    const auto add = [&](const std::string& name, const std::string& jump) {
        chains[name].exists = true;
        if (!jump.empty()) {
            chains[name].rules.push_back({jump});
        }
    };
    add("DOCKER-USER", "");
    add("ufw-user-forward", "");
    CHECK(accept_place(false, chain) == "FORWARD"); // left over: nothing comes there
    add("FORWARD", "ufw-before-forward");
    add("ufw-before-forward", "ufw-user-forward");
    CHECK(accept_place(false, chain) == "ufw-user-forward");
    CHECK(accept_place(true, chain) == "FORWARD");
    add("FORWARD", "DOCKER-USER");
    CHECK(accept_place(false, chain) == "DOCKER-USER");
}

TEST_CASE("chains of several routers on one host have different names that iptables takes") {
    FirewallSettings settings;
    CHECK(accept_chain(settings) == "WEAVE-FORWARD");
    settings.table = "weave4567890123";
    CHECK(check_firewall(settings).empty());
    CHECK(accept_chain(settings).size() <= 28);
}
