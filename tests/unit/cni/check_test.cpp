// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// CHECK, GC and DEL of weave-cni in network namespaces, with a weaved that only makes links.
#include "scene.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::test;

TEST_CASE("CHECK: finds what somebody changed") {
    Scene scene;
    const json result = scene.calls("ADD");
    REQUIRE(result.contains("ips"));
    os::Route default_route; // which weaved makes
    default_route.destination = Prefix::parse("0.0.0.0/0").value();
    default_route.gateway = IpAddress::parse("10.32.0.1");
    default_route.index = scene.pod.require_link("eth0").index;
    const json config{{"prevResult", result}};
    const auto said = [&] {
        const json answer = scene.calls("CHECK", config);
        CHECK(answer.is_null() == (scene.calls.status == 0));
        CHECK((answer.is_null() || answer.at("code") == 103));
        return answer.is_null() ? "" : answer.at("msg").get<std::string>();
    };
    const auto mentions = [&](const char* part) { return said().find(part) != std::string::npos; };
    CHECK(said().empty());
    scene.pod.delete_route(default_route);
    CHECK(mentions("0.0.0.0/0 via 10.32.0.1"));
    scene.pod.add_route(default_route);
    CHECK(said().empty());
    // More of something is no error.
    const os::Link eth0 = scene.pod.require_link("eth0");
    scene.pod.add_address(eth0, Prefix::parse("172.16.0.1/24").value());
    CHECK(said().empty());
    scene.pod.set_mtu(eth0, 1280);
    CHECK(mentions("mtu 1280"));
    scene.pod.set_mtu(eth0, 1376);
    scene.pod.set_up(eth0, false);
    CHECK(mentions("down"));
    scene.pod.set_mac(eth0, MacAddress::parse("02:00:00:00:00:09").value());
    scene.pod.set_up(eth0, true);
    CHECK(mentions("02:00:00:00:00:09"));
    scene.pod.set_mac(eth0, MacAddress::parse("02:00:00:00:00:02").value());
    scene.pod.delete_address(eth0, Prefix::parse("10.32.0.2/12").value());
    CHECK(mentions("10.32.0.2/12"));
    scene.pod.delete_link(eth0);
    CHECK(mentions("gone"));
}

TEST_CASE("CHECK: weaved does not know the container, or has given its address away") {
    Scene scene;
    const json result = scene.calls("ADD", {{"ipam", {{"routes", json::array()}}}});
    const json config{{"prevResult", result}};
    CHECK(scene.calls("CHECK", config).is_null());
    scene.weaved.answer("ipam_check", [](api::Request&) {
        return api::Reply::ok({{"addresses", {"10.32.0.3/12"}}});
    });
    CHECK(scene.calls("CHECK", config).at("code") == 103);
    scene.weaved.answer("ipam_check", [](api::Request&) {
        return api::Reply::ok({{"addresses", {"10.32.0.2/32"}}}); // lengths are the interface's
    });
    CHECK(scene.calls("CHECK", config).is_null());
    scene.calls.variables["CNI_CONTAINERID"] = "c2";
    CHECK(scene.calls("CHECK", config).at("code") == 103);
}

TEST_CASE("CHECK: another namespace of the same path is found out") {
    Scene scene;
    const json result = scene.calls("ADD", {{"ipam", {{"routes", json::array()}}}});
    const os::UniqueFd other = new_netns();
    scene.calls.variables["CNI_NETNS"] = "/proc/self/fd/" + std::to_string(other.get());
    CHECK(scene.calls("CHECK", {{"prevResult", result}}).at("code") == 103);
}

TEST_CASE("GC: attachments with another plugin's addresses go too") {
    Scene scene;
    const json config = scene.delegated();
    REQUIRE(scene.calls("ADD", config).contains("ips"));
    scene.weaved.answer("ipam_gc", [](api::Request&) {
        return api::Reply::ok({{"released", json::array()}}); // not the allocator's
    });
    json collect = config;
    collect["cni.dev/valid-attachments"] = {{{"containerID", "c1"}, {"ifname", "eth0"}}};
    CHECK(scene.calls("GC", collect).is_null());
    CHECK(scene.pod.link("eth0").has_value());
    collect["cni.dev/valid-attachments"] = {{{"containerID", "c1"}, {"ifname", "eth1"}}};
    CHECK(scene.calls("GC", collect).is_null());
    CHECK_FALSE(scene.pod.link("eth0").has_value());
    CHECK(scene.calls.read("verbs") == "ADD\nGC\nGC\n");
}

TEST_CASE("CHECK: finds what somebody changed at the host's end") {
    Scene scene;
    const json result = scene.calls("ADD");
    REQUIRE(result.contains("ips"));
    const std::string name = result.at("interfaces").at(0).at("name");
    os::Netlink host = os::Netlink::open();
    const auto finds = [&](const std::string& part) {
        const json answer = scene.check(result);
        REQUIRE(answer.is_object());
        CHECK(answer.at("code") == 103);
        CHECK_MESSAGE(answer.at("msg").get<std::string>().find(part) != std::string::npos,
                      answer.at("msg"));
    };
    CHECK(scene.check(result).is_null());
    const os::Link port = host.require_link(name);
    host.set_master(port, 0);
    finds(name + " of the host is on no bridge");
    host.create_bridge({"other", MacAddress::parse("02:00:00:00:00:0c").value(), 1376});
    host.set_master(port, host.require_link("other").index);
    finds("not weaved's");
    host.delete_link(host.require_link("other"));
    host.set_master(port, host.require_link(kBridge).index);
    CHECK(scene.check(result).is_null());
    host.set_up(port, false);
    finds(name + " of the host is down");
    host.set_mac(port, MacAddress::parse("02:00:00:00:00:09").value());
    host.set_up(port, true);
    finds("02:00:00:00:00:09, not 02:00:00:00:00:01");
    json other = result;
    other.at("interfaces").at(0).at("name") = "wv0";
    CHECK(scene.check(other).at("msg").get<std::string>().find(name) != std::string::npos);
}

TEST_CASE("CHECK: the host's routes to a routed pod") {
    Scene scene;
    json config{{"mode", "routed"}};
    const json result = scene.calls("ADD", config);
    REQUIRE(result.contains("ips"));
    config["prevResult"] = result;
    const json answer = scene.calls("CHECK", config);
    CHECK(answer.at("code") == 103);
    CHECK(answer.at("msg").get<std::string>().find("no route to 10.32.0.2") != std::string::npos);
    os::Netlink host = os::Netlink::open();
    os::Route route;
    route.destination = Prefix::parse("10.32.0.2/32").value();
    route.index = host.require_link(result.at("interfaces").at(0).at("name")).index;
    host.add_route(route);
    CHECK(scene.calls("CHECK", config).is_null());
}

TEST_CASE("GC: goes on after a failure, and tells the first") {
    Scene scene;
    const json config = scene.delegated();
    for (const char* ifname : {"eth0", "eth1", "eth2"}) {
        scene.calls.variables["CNI_IFNAME"] = ifname;
        json each = config;
        each["ipam"]["type"] = "ipam";
        REQUIRE(scene.calls("ADD", each).contains("ips"));
    }
    scene.weaved.refuse("ipam_gc", "internal", "the state cannot be written");
    scene.weaved.answer("detach", [&, asked = 0](api::Request&) mutable {
        return ++asked == 1 ? api::Reply::error("internal", "the first cannot go")
                            : api::Reply::ok();
    });
    json collect = config;
    collect["cni.dev/valid-attachments"] = json::array();
    const json answer = scene.calls("GC", collect);
    CHECK(answer.at("code") == 100);
    CHECK(answer.at("msg") == "the state cannot be written");
    const auto asked = scene.weaved.methods();
    CHECK(std::count(asked.begin(), asked.end(), "detach") == 3);
    CHECK(scene.calls.read("verbs") == "ADD\nADD\nADD\nGC\n");
}

TEST_CASE("DEL: the other plugin is asked though no tombstone can be written") {
    Scene scene;
    const json config = scene.delegated();
    scene.weaved.refuse("detach", "unavailable", "not now");
    std::ofstream(scene.calls.state_dir()) << "no folder";
    CHECK(scene.calls("DEL", config).at("code") == 5);
    CHECK(scene.calls.read("verbs") == "DEL\n");
}
