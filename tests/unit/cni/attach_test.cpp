// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// ADD of weave-cni in network namespaces, with a weaved that only makes links.
#include "scene.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::test;

TEST_CASE("ADD: the result names both ends, the addresses and a default route, in every version") {
    for (const std::string_view version : cni::kSpecVersions) {
        Scene scene;
        scene.calls.version = version;
        const json answer = scene.calls("ADD", {{"dns", {{"nameservers", {"9.9.9.9"}}}}});
        REQUIRE(scene.weaved.attached().size() == 1);
        const json made = scene.weaved.attached().begin()->second;
        json host{{"name", made.at("host_ifname")}, {"mac", "02:00:00:00:00:01"}};
        json eth0{{"name", "eth0"}, {"mac", "02:00:00:00:00:02"}, {"sandbox", scene.netns}};
        json ip{{"address", "10.32.0.2/12"}, {"gateway", "10.32.0.1"}, {"interface", 1}};
        if (version == "1.1.0") {
            host["mtu"] = 1376;
            eth0["mtu"] = 1376;
        }
        if (version < "1.0.0") {
            ip["version"] = "4";
        }
        CHECK(answer == json{{"cniVersion", version},
                             {"interfaces", {host, eth0}},
                             {"ips", {ip}},
                             {"routes", {{{"dst", "0.0.0.0/0"}, {"gw", "10.32.0.1"}}}},
                             {"dns", {{"nameservers", {"9.9.9.9"}}}}});
        CHECK(
            scene.weaved.params("attach") ==
            json{{"id", "cni/weave/c1"}, {"ifname", "eth0"}, {"mode", "bridge"}, {"routes", true}});
        CHECK(scene.calls("DEL").is_null());
        CHECK_FALSE(scene.pod.link("eth0").has_value());
    }
}

TEST_CASE("ADD: what is asked for reaches weaved") {
    Scene scene;
    scene.calls.variables["CNI_ARGS"] = "MAC=02:11:22:33:44:55;IgnoreUnknown=1";
    const json answer = scene.calls(
        "ADD", {{"mtu", 1300}, {"mode", "routed"}, {"runtimeConfig", {{"ips", {"10.32.9.9/12"}}}}});
    CHECK(scene.weaved.params("attach") == json{{"id", "cni/weave/c1"},
                                                {"ifname", "eth0"},
                                                {"addresses", {"ip:10.32.9.9/12"}},
                                                {"mac", "02:11:22:33:44:55"},
                                                {"mtu", 1300},
                                                {"mode", "routed"},
                                                {"routes", true}});
    CHECK(answer.at("interfaces").at(1).at("mac") == "02:11:22:33:44:55");
    CHECK(answer.at("ips").at(0).at("address") == "10.32.9.9/32");
}

TEST_CASE("ADD: routes and a gateway of the configuration's own") {
    Scene scene;
    const json answer = scene.calls(
        "ADD",
        {{"ipam",
          {{"gateway", "10.32.0.77"},
           {"routes",
            {{{"dst", "10.96.0.0/12"}, {"gw", "10.32.0.78"}}, {{"dst", "192.0.2.0/24"}}}}}}});
    CHECK(scene.weaved.params("attach").at("routes") == false);
    CHECK(answer.at("ips").at(0).at("gateway") == "10.32.0.77");
    CHECK(answer.at("routes") ==
          json{{{"dst", "10.96.0.0/12"}, {"gw", "10.32.0.78"}}, {{"dst", "192.0.2.0/24"}}});
    CHECK(scene.has_route("10.96.0.0/12", "10.32.0.78"));
    CHECK(scene.has_route("192.0.2.0/24", "10.32.0.77"));
    CHECK_FALSE(scene.has_route("0.0.0.0/0", "10.32.0.1"));
    CHECK(scene.calls("CHECK", {{"prevResult", answer}}).is_null());
}

TEST_CASE("ADD: routes without a gateway lead to the host") {
    Scene scene;
    const json routes{{{"dst", "10.96.0.0/12"}}, {{"dst", "192.0.2.0/24"}, {"gw", "10.32.0.78"}}};
    const json answer = scene.calls("ADD", {{"ipam", {{"routes", routes}}}});
    CHECK(scene.weaved.params("attach").at("routes") == false);
    CHECK(scene.weaved.params("attach").at("gateway") == true);
    CHECK(answer.at("ips").at(0).at("gateway") == "10.32.0.1");
    CHECK(scene.has_route("10.96.0.0/12", "10.32.0.1"));
    CHECK(scene.has_route("192.0.2.0/24", "10.32.0.78"));
    CHECK_FALSE(scene.has_route("0.0.0.0/0", "10.32.0.1"));
    scene.calls.variables["CNI_IFNAME"] = "eth1";
    CHECK(scene.calls("ADD", {{"ipam", {{"routes", {routes.at(1)}}}}}).contains("ips"));
    CHECK_FALSE(scene.weaved.params("attach").contains("gateway"));
}

TEST_CASE("ADD: a route that the kernel refuses undoes everything") {
    Scene scene;
    const json answer = scene.calls(
        "ADD", {{"ipam", {{"routes", {{{"dst", "192.0.2.0/24"}, {"gw", "203.0.113.1"}}}}}}});
    CHECK(answer.at("code") == 5);
    CHECK(scene.weaved.attached().empty());
    CHECK(scene.weaved.holders().empty());
    CHECK_FALSE(scene.pod.link("eth0").has_value());
}

TEST_CASE("ADD: an interface that is there already") {
    Scene scene;
    REQUIRE(scene.calls("ADD").contains("ips"));
    const json answer = scene.calls("ADD");
    CHECK(answer.at("code") == 102);
    CHECK(answer.at("msg").get<std::string>().find("CNI_IFNAME 'eth0'") != std::string::npos);
    CHECK(scene.weaved.attached().size() == 1); // the one that was there is left alone
    CHECK(scene.pod.link("eth0").has_value());
    scene.calls.variables["CNI_IFNAME"] = "lo";
    CHECK(scene.calls("ADD").at("code") == 102);
    scene.calls.variables["CNI_IFNAME"] = "eth1";
    CHECK(scene.calls("ADD").contains("ips"));
}

TEST_CASE("ADD: DEL and ADD of one id, as podman reloads a network") {
    Scene scene;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(scene.calls("ADD").contains("ips"));
        REQUIRE(scene.calls("DEL").is_null());
    }
    // A DEL that weaved has not heard of yet: the interface is still there.
    REQUIRE(scene.calls("ADD").contains("ips"));
    scene.weaved.refuse("detach", "unavailable", "not now");
    REQUIRE(scene.calls("DEL").is_null());
    REQUIRE(scene.calls.tombstones().size() == 1);
    CHECK(scene.calls("ADD").at("code") == 11);
    CHECK(scene.calls.tombstones().size() == 1);
}

TEST_CASE("ADD: what weaved says becomes the runtime's code") {
    Scene scene;
    const std::vector<std::pair<const char*, unsigned>> codes{{"exhausted", 101},
                                                              {"conflict", 102},
                                                              {"unavailable", 11},
                                                              {"invalid", 7},
                                                              {"internal", 100}};
    for (const auto& [name, code] : codes) {
        scene.weaved.refuse("attach", name, "so it is");
        const json answer = scene.calls("ADD");
        CHECK_MESSAGE(answer.at("code") == code, name);
        CHECK(answer.at("msg") == "so it is");
    }
    const auto asked = scene.weaved.methods();
    CHECK(std::find(asked.begin(), asked.end(), "detach") == asked.end()); // nothing to undo
}

TEST_CASE("ADD: a weaved that does not know the mode is not taken at its word") {
    Scene scene;
    scene.weaved.answer("attach", [](api::Request& request) {
        return api::Reply::ok({{"ifname", request.params.at("ifname")}, {"mac", ""}});
    });
    CHECK(scene.calls("ADD", {{"mode", "routed"}}).at("code") == 2);
    CHECK(scene.weaved.methods() == std::vector<std::string>{"attach", "detach", "ipam_release"});
}

TEST_CASE("ADD: an answer that never comes is undone") {
    Scene scene;
    scene.weaved.answer("attach", [](api::Request&) { return api::Reply::ok("no object"); });
    CHECK(scene.calls("ADD").at("code") == 100);
    CHECK(scene.weaved.methods() == std::vector<std::string>{"attach", "detach", "ipam_release"});
}

TEST_CASE("ADD: behind another plugin, whose result stays in front") {
    Scene scene;
    const json answer =
        scene.calls("ADD",
                    {{"prevResult",
                      {{"cniVersion", "1.1.0"},
                       {"interfaces", {{{"name", "net1"}, {"sandbox", scene.netns}}}},
                       {"ips", {{{"address", "172.16.0.2/24"}, {"interface", 0}}}},
                       {"dns", {{"domain", "first"}}}}}});
    REQUIRE(answer.at("interfaces").size() == 3);
    CHECK(answer.at("interfaces").at(0).at("name") == "net1");
    CHECK(answer.at("ips").at(1).at("interface") == 2);
    CHECK(answer.at("dns").at("domain") == "first");
}

TEST_CASE("ADD: with another plugin's addresses") {
    Scene scene;
    const json config = scene.delegated();
    const json answer = scene.calls("ADD", config);
    REQUIRE(answer.contains("ips"));
    CHECK(scene.weaved.params("attach") == json{{"id", "cni/weave/c1"},
                                                {"ifname", "eth0"},
                                                {"addresses", {"10.1.0.2/16"}},
                                                {"mode", "bridge"},
                                                {"routes", false}});
    CHECK(answer.at("ips") ==
          json{{{"address", "10.1.0.2/16"}, {"gateway", "10.1.0.1"}, {"interface", 1}}});
    CHECK(answer.at("routes") == json{{{"dst", "0.0.0.0/0"}}});
    CHECK(answer.at("dns") == json{{"domain", "ipam"}});
    CHECK(scene.has_route("0.0.0.0/0", "10.1.0.1"));
    json check = config;
    check["prevResult"] = answer;
    CHECK(scene.calls("CHECK", check).is_null());
    CHECK(scene.calls("DEL", config).is_null());
    CHECK(scene.calls.read("verbs") == "ADD\nCHECK\nDEL\n");
}

TEST_CASE("ADD: a routed pod with another plugin's address has the node for a gateway") {
    Scene scene;
    json config = scene.delegated();
    config["mode"] = "routed";
    scene.weaved.made = [](int fd, const json& row) {
        Scene::make(fd, row);
        os::Netlink inside = os::Netlink::open_in(fd); // the gateway is on the link
        os::Route gateway;
        gateway.destination = Prefix::parse("10.32.0.1/32").value();
        gateway.index = inside.require_link("eth0").index;
        inside.add_route(gateway);
    };
    const json answer = scene.calls("ADD", config);
    REQUIRE(answer.contains("ips"));
    CHECK(answer.at("ips") ==
          json{{{"address", "10.1.0.2/32"}, {"gateway", "10.32.0.1"}, {"interface", 1}}});
    CHECK(scene.has_route("0.0.0.0/0", "10.32.0.1"));
}

TEST_CASE("ADD: routes of a routed pod lead to the node, whatever gateway they name") {
    Scene scene;
    scene.weaved.made = [](int fd, const json& row) {
        Scene::make(fd, row);
        os::Netlink inside = os::Netlink::open_in(fd);
        os::Route gateway;
        gateway.destination = Prefix::parse("10.32.0.1/32").value();
        gateway.index = inside.require_link("eth0").index;
        inside.add_route(gateway);
        Scene::add_default(inside, "eth0", "10.32.0.1"); // as weaved does for routed pods
    };
    const json config{{"mode", "routed"},
                      {"ipam",
                       {{"gateway", "10.32.0.77"},
                        {"routes", {{{"dst", "10.96.0.0/12"}, {"gw", "10.32.0.78"}}}}}}};
    const json answer = scene.calls("ADD", config);
    REQUIRE(answer.contains("ips"));
    CHECK(answer.at("ips").at(0).at("gateway") == "10.32.0.1");
    CHECK(answer.at("routes") == json{{{"dst", "10.96.0.0/12"}, {"gw", "10.32.0.1"}},
                                      {{"dst", "0.0.0.0/0"}, {"gw", "10.32.0.1"}}});
    CHECK(scene.has_route("10.96.0.0/12", "10.32.0.1"));
}

TEST_CASE("ADD: a failure after the other plugin's ADD gives its address back") {
    Scene scene;
    scene.weaved.refuse("attach", "conflict", "10.1.0.2 is in use");
    CHECK(scene.calls("ADD", scene.delegated()).at("code") == 102);
    CHECK(scene.calls.read("verbs") == "ADD\nDEL\n");
    // One that fails itself is called again with DEL too (section 4 of the specification).
    std::filesystem::remove(scene.calls.folder.path + "/verbs");
    const json config = scene.delegated("echo '{\"code\":11,\"msg\":\"none\"}'; exit 1\n");
    CHECK(scene.calls("ADD", config).at("code") == 11);
    CHECK(scene.calls.read("verbs") == "ADD\nDEL\n");
}

TEST_CASE("ADD: dhcp gets the interface before the address") {
    Scene scene;
    json config = scene.delegated("");
    std::filesystem::rename(scene.calls.folder.path + "/ipam", scene.calls.folder.path + "/dhcp");
    config["ipam"]["type"] = "dhcp";
    const json answer = scene.calls("ADD", config);
    CHECK(scene.weaved.methods() == std::vector<std::string>{"attach", "attach"});
    CHECK(scene.weaved.params("attach").at("addresses") == json{"10.1.0.2/16"});
    config["mode"] = "routed";
    scene.calls.variables["CNI_IFNAME"] = "eth1";
    CHECK(scene.calls("ADD", config).at("code") == 2);
}

TEST_CASE("ADD: no default route is told where another interface has it") {
    Scene scene;
    REQUIRE(scene.calls("ADD").at("routes").size() == 1);
    scene.calls.variables["CNI_IFNAME"] = "net1";
    const json second = scene.calls("ADD");
    REQUIRE(second.contains("ips"));
    CHECK_FALSE(second.contains("routes"));
    CHECK(scene.check(second).is_null());
}

TEST_CASE("ADD: the attributes of another plugin's routes are the kernel's") {
    Scene scene;
    scene.calls.write_plugin(
        "ipam",
        R"(echo '{"ips":[{"address":"10.1.0.2/16","gateway":"10.1.0.1"}],"routes":[)"
        R"({"dst":"192.0.2.0/24","mtu":1300,"advmss":1200,"priority":77,"table":1000},)"
        R"({"dst":"198.51.100.0/24","scope":253}]}')");
    json config{{"ipam", {{"type", "ipam"}}}};
    const json answer = scene.calls("ADD", config);
    REQUIRE(answer.contains("ips"));
    CHECK(answer.at("routes").size() == 2);
    int found = 0;
    for (const os::Route& each : scene.pod.routes()) {
        if (each.destination == Prefix::parse("192.0.2.0/24").value()) {
            CHECK(each.mtu == 1300);
            CHECK(each.advmss == 1200);
            CHECK(each.metric == 77);
            CHECK(each.table == 1000);
            CHECK(each.gateway == IpAddress::parse("10.1.0.1"));
            ++found;
        } else if (each.destination == Prefix::parse("198.51.100.0/24").value()) {
            CHECK(each.scope == 253);
            CHECK_FALSE(each.gateway.has_value());
            ++found;
        }
    }
    CHECK(found == 2);
    config["prevResult"] = answer;
    CHECK(scene.calls("CHECK", config).is_null());
}

TEST_CASE("ADD: a route's attribute that the kernel refuses gives the address back") {
    Scene scene;
    json config = scene.delegated(
        R"([ $CNI_COMMAND = ADD ] && echo '{"ips":[{"address":"10.1.0.2/16"}],"routes":)"
        R"([{"dst":"192.0.2.0/24","scope":999}]}'; exit 0)"
        "\n");
    const json answer = scene.calls("ADD", config);
    CHECK(answer.at("code") == 2);
    CHECK(answer.at("msg").get<std::string>().find("'scope'") != std::string::npos);
    CHECK(scene.calls.read("verbs") == "ADD\nDEL\n");
    CHECK_FALSE(scene.pod.link("eth0").has_value());
}
