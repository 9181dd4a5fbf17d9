// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Calls as runtimes make them, as far as they need no namespace.
#include "calls.hpp"
#include "cni/attach_plugin.hpp"
#include "cni/ipam_plugin.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::test;

namespace {

bool has(const json& answer, const char* part) {
    return answer.at("msg").get<std::string>().find(part) != std::string::npos;
}

const json kVersions{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

} // namespace

TEST_CASE("plugin: VERSION, whatever else is wrong") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    // As podman does it before every ADD and DEL.
    calls.variables = {{"CNI_IFNAME", "dummy"}, {"CNI_NETNS", "dummy"}, {"CNI_PATH", "dummy"}};
    CHECK(calls.raw("VERSION", R"({"cniVersion":"1.0.0"})") ==
          json{{"cniVersion", "1.0.0"}, {"supportedVersions", kVersions}});
    CHECK(calls.status == 0);
    for (const char* input : {"", "{", "[]", R"({"cniVersion":5})"}) {
        CHECK(calls.raw("VERSION", input) ==
              json{{"cniVersion", "1.1.0"}, {"supportedVersions", kVersions}});
        CHECK(calls.status == 0);
    }
    // The version asked about comes back, though it is none of ours.
    CHECK(calls.raw("VERSION", R"({"cniVersion":"9.0.0"})")["cniVersion"] == "9.0.0");
}

TEST_CASE("plugin: errors are objects of the configuration's version") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    for (const char* command : {"ADD", "DEL", "CHECK", "STATUS", "GC"}) {
        for (const char* input : {"", "{", "[]", "null", "{} x", "\"a\""}) {
            const json answer = calls.raw(command, input);
            CHECK(calls.status == 1);
            CHECK(answer.at("code") == 6);
            CHECK(answer.at("cniVersion") == "1.1.0");
        }
        CHECK(calls.raw(command, R"({"cniVersion":"0.2.0","name":"weave"})").at("code") == 1);
        CHECK(calls.raw(command, R"({"name":"weave"})").at("code") == 1);
    }
    calls.version = "0.4.0";
    const json answer = calls("ADD", {{"name", "not/a name"}});
    CHECK(answer.at("cniVersion") == "0.4.0");
    CHECK(answer.at("code") == 7);
    CHECK(calls("CHECK").at("code") == 7); // without prevResult
    calls.variables.erase("CNI_IFNAME");
    CHECK(calls("ADD").at("code") == 4);
}

TEST_CASE("plugin: text that is not UTF-8 comes back as an error all the same") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    calls.variables["CNI_IFNAME"] = "a\xff/b";
    CHECK(calls("ADD").at("code") == 4);
}

TEST_CASE("ADD: a namespace that is gone, or is none, or the plugin's own") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    FakeWeaved weaved(calls.socket());
    json answer = calls("ADD");
    CHECK(answer.at("code") == 4);
    CHECK(has(answer, "CNI_NETNS"));
    calls.variables["CNI_NETNS"] = "/dev/null";
    CHECK(calls("ADD").at("code") == 4);
    calls.variables["CNI_NETNS"] = "/proc/self/ns/uts";
    CHECK(calls("ADD").at("code") == 4);
    calls.variables["CNI_NETNS"] = "/proc/self/ns/net";
    answer = calls("ADD");
    CHECK(answer.at("code") == 8);
    CHECK(calls("CHECK", {{"prevResult", json::object()}}).at("code") == 8);
    CHECK(weaved.methods().empty());
}

TEST_CASE("ADD: names that are too long to keep") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    calls.variables["CNI_CONTAINERID"] = std::string(64, 'c');
    CHECK(calls("ADD", {{"name", std::string(60, 'n')}}).at("code") == 7);
    CHECK(calls("DEL", {{"name", std::string(60, 'n')}}).is_null());
    CHECK(calls.status == 0);
}

TEST_CASE("DEL: what is gone already is no error, however often and with however little") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    FakeWeaved weaved(calls.socket());
    calls.variables.erase("CNI_NETNS"); // containerd, after it was restarted
    for (int i = 0; i < 3; ++i) {
        CHECK(calls("DEL").is_null());
        CHECK(calls.status == 0);
    }
    CHECK(weaved.params("detach") == json{{"id", "cni/weave/c1"}, {"ifname", "eth0"}});
    CHECK(weaved.params("ipam_release") == json{{"holder", "cni/weave/c1/eth0"}});
    CHECK(calls.tombstones().empty());
    calls.variables["CNI_NETNS"] = "/proc/self/ns/net";
    CHECK(calls("DEL").is_null());
}

TEST_CASE("DEL: a configuration that changed since") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    FakeWeaved weaved(calls.socket());
    CHECK(calls("DEL",
                {{"mode", "tree"},
                 {"mtu", "many"},
                 {"prevResult", {{"ips", 5}}},
                 {"ipam", {{"subnet", "x"}}},
                 {"runtimeConfig", 7}})
              .is_null());
    CHECK(calls.status == 0);
}

TEST_CASE("DEL: without weaved a tombstone is left, which the next call works off") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    CHECK(calls("DEL").is_null());
    CHECK(calls("DEL").is_null()); // again
    CHECK(calls.status == 0);
    REQUIRE(calls.tombstones() == std::vector<std::string>{"weave,c1,eth0.json"});
    CHECK(json::parse(calls.read("state/tombstones/weave,c1,eth0.json")) ==
          json{{"id", "cni/weave/c1"}, {"ifname", "eth0"}, {"holder", "cni/weave/c1/eth0"}});
    FakeWeaved weaved(calls.socket());
    calls.variables["CNI_CONTAINERID"] = "c2";
    CHECK(calls("DEL").is_null());
    CHECK(calls.tombstones().empty());
    CHECK(weaved.params("detach").at("id") == "cni/weave/c1");
}

TEST_CASE("DEL: a weaved that cannot serve it now is as good as none; one that refuses is not") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    FakeWeaved weaved(calls.socket());
    weaved.refuse("detach", "unavailable", "still starting");
    CHECK(calls("DEL").is_null());
    CHECK(calls.tombstones().size() == 1);
    weaved.refuse("detach", "internal", "the disk is full");
    const json answer = calls("DEL");
    CHECK(answer.at("code") == 100);
    CHECK(has(answer, "the disk is full"));
}

TEST_CASE("DEL: a tombstone that cannot be written is an error") {
    cni::AttachPlugin plugin(kShort);
    Calls calls(plugin);
    std::ofstream(calls.state_dir()) << "no folder";
    CHECK(calls("DEL").at("code") == 5);
}

TEST_CASE("STATUS: ready or not, and why") {
    cni::AttachPlugin attach(kShort);
    cni::IpamPlugin ipam(kShort);
    for (cni::Plugin* plugin : std::initializer_list<cni::Plugin*>{&attach, &ipam}) {
        Calls calls(*plugin);
        json answer = calls("STATUS");
        CHECK(answer.at("code") == 50);
        CHECK(has(answer, "weaved is not running"));
        FakeWeaved weaved(calls.socket());
        CHECK(calls("STATUS").is_null());
        CHECK(calls.status == 0);
        weaved.answer("ready", [](api::Request&) {
            return api::Reply::ok({{"ready", false}, {"reason", "no peer is connected"}});
        });
        answer = calls("STATUS");
        CHECK(answer.at("code") == 50);
        CHECK(answer.at("msg") == "no peer is connected");
        calls.version = "1.0.0";
        CHECK(calls("STATUS").at("code") == 1);
    }
}

TEST_CASE("GC: what the runtime does not know is released, of this network alone") {
    cni::IpamPlugin ipam(kShort);
    Calls calls(ipam);
    FakeWeaved weaved(calls.socket());
    for (const char* id : {"c1", "c2", "c3"}) {
        calls.variables["CNI_CONTAINERID"] = id;
        calls("ADD");
        REQUIRE(calls.status == 0);
    }
    calls("ADD", {{"name", "other"}});
    cni::AttachPlugin attach(kShort);
    Calls collector(attach);
    const json mine{{"socket", calls.socket()}, {"stateDir", calls.state_dir()}};
    json config = mine;
    CHECK(collector("GC", config).at("code") == 7);
    CHECK(weaved.holders().size() == 4);
    config["cni.dev/valid-attachments"] = {{{"containerID", "c2"}, {"ifname", "eth0"}}};
    CHECK(collector("GC", config).is_null());
    CHECK(collector.status == 0);
    const auto left = weaved.holders();
    CHECK(left.size() == 2);
    CHECK(left.contains("cni/weave/c2/eth0"));
    CHECK(left.contains("cni/other/c3/eth0"));
    config["cni.dev/valid-attachments"] = nullptr; // an empty list of Go
    CHECK(collector("GC", config).is_null());
    CHECK(weaved.holders().size() == 1);
}

TEST_CASE("weave-ipam: addresses for the plugins of others") {
    cni::IpamPlugin plugin(kShort);
    Calls calls(plugin);
    FakeWeaved weaved(calls.socket());
    for (const std::string_view version : cni::kSpecVersions) {
        calls.version = version;
        json ip{{"address", "10.32.0.2/12"}, {"gateway", "10.32.0.1"}};
        if (version < "1.0.0") {
            ip["version"] = "4";
        }
        // A macvlan's configuration, whose "mode" is none of ours.
        CHECK(calls("ADD",
                    {{"type", "macvlan"},
                     {"mode", "private"},
                     {"ipam", {{"type", "weave-ipam"}, {"routes", {{{"dst", "10.0.0.0/8"}}}}}}}) ==
              json{{"cniVersion", version},
                   {"dns", json::object()},
                   {"ips", {ip}},
                   {"routes", {{{"dst", "10.0.0.0/8"}}}}});
    }
    CHECK(weaved.params("ipam_allocate") == json{{"holder", "cni/weave/c1/eth0"}});
    calls.version = "1.1.0";
    const json previous{{"ips", {{{"address", "10.32.0.2/12"}}}}};
    CHECK(calls("CHECK", {{"prevResult", previous}}).is_null());
    CHECK(calls("CHECK", {{"prevResult", {{"ips", {{{"address", "10.32.0.9/12"}}}}}}}).at("code") ==
          103);
    CHECK(calls("DEL").is_null());
    CHECK(weaved.holders().empty());
    CHECK(calls("CHECK", {{"prevResult", previous}}).at("code") == 103);
}

TEST_CASE("weave-ipam: an address asked for, and one that cannot be had") {
    cni::IpamPlugin plugin(kShort);
    Calls calls(plugin);
    FakeWeaved weaved(calls.socket());
    calls.variables["CNI_ARGS"] = "IgnoreUnknown=1;IP=10.40.0.9";
    const json answer =
        calls("ADD", {{"ipam", {{"subnet", "10.40.0.0/16"}, {"gateway", "10.40.0.254"}}}});
    CHECK(answer.at("ips") == json{{{"address", "10.40.0.9/16"}, {"gateway", "10.40.0.254"}}});
    weaved.refuse("ipam_allocate", "exhausted", "node-2 and node-3 have none either");
    CHECK(calls("ADD") == json{{"cniVersion", "1.1.0"},
                               {"code", 101},
                               {"msg", "node-2 and node-3 have none either"}});
    weaved.refuse("ipam_allocate", "conflict", "it is in use");
    CHECK(calls("ADD").at("code") == 102);
    weaved.refuse("ipam_allocate", "unavailable", "ask again");
    CHECK(calls("ADD").at("code") == 11);
}

TEST_CASE("ADD: waits for weaved a while, and then says to try again") {
    cni::IpamPlugin plugin({2000ms, 200ms, 1000ms});
    Calls calls(plugin);
    std::unique_ptr<FakeWeaved> weaved;
    std::thread late([&] {
        std::this_thread::sleep_for(300ms);
        weaved = std::make_unique<FakeWeaved>(calls.socket());
    });
    CHECK(calls("ADD").contains("ips"));
    late.join();
    weaved.reset();
    cni::IpamPlugin impatient(kShort);
    Calls others(impatient);
    const json answer = others("ADD");
    CHECK(answer.at("code") == 11);
    CHECK(has(answer, "weaved is not running"));
}

TEST_CASE("ADD: the tombstone of the same attachment is settled first") {
    cni::IpamPlugin plugin(kShort);
    Calls calls(plugin);
    calls("DEL");
    REQUIRE(calls.tombstones().size() == 1);
    FakeWeaved weaved(calls.socket());
    CHECK(calls("ADD").contains("ips"));
    CHECK(calls.tombstones().empty());
    CHECK(weaved.methods() == std::vector<std::string>{"detach", "ipam_release", "ipam_allocate"});
    CHECK(weaved.holders().size() == 1);
}

TEST_CASE("ADD: fifty at a time") {
    Folder folder;
    FakeWeaved weaved(folder.path + "/weave.sock");
    std::vector<std::thread> threads;
    std::array<json, 50> answers;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        threads.emplace_back([&, i] {
            cni::IpamPlugin plugin;
            Calls calls(plugin);
            calls.variables["CNI_CONTAINERID"] = "c" + std::to_string(i);
            answers[i] = calls("ADD", {{"socket", folder.path + "/weave.sock"}});
        });
    }
    std::map<std::string, int> seen;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        threads[i].join();
        ++seen[answers[i].at("ips").at(0).at("address")];
    }
    CHECK(seen.size() == answers.size());
}
