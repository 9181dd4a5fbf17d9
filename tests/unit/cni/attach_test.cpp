// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// weave-cni in network namespaces, with a weaved that only makes links.
#include "calls.hpp"
#include "cni/attach_plugin.hpp"
#include "os/netlink.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <mutex>

using namespace weave;
using namespace weave::test;

namespace {

/** A container and a node. */
struct Scene {
    os::UniqueFd ns = new_netns();
    std::string netns = "/proc/self/fd/" + std::to_string(ns.get());
    cni::AttachPlugin plugin{kShort};
    Calls calls{plugin};
    FakeWeaved weaved{calls.socket()};
    os::Netlink pod = os::Netlink::open_in(ns.get());

    Scene() {
        calls.variables["CNI_NETNS"] = netns;
        weaved.made = [](int fd, const json& row) { make(fd, row); };
        weaved.removed = [](const json& row) {
            os::Netlink host = os::Netlink::open();
            if (const auto link = host.link(row.at("host_ifname").get<std::string>())) {
                host.delete_link(*link);
            }
        };
    }

    static void make(int fd, const json& row) {
        os::Netlink host = os::Netlink::open();
        os::Netlink inside = os::Netlink::open_in(fd);
        const std::string ifname = row.at("ifname");
        if (!inside.link(ifname)) {
            os::VethSpec spec;
            spec.name = row.at("host_ifname");
            spec.mac = MacAddress::parse(row.at("host_mac").get<std::string>()).value();
            spec.mtu = row.at("mtu");
            spec.peer_name = ifname;
            spec.peer_mac = MacAddress::parse(row.at("mac").get<std::string>()).value();
            spec.peer_netns_fd = fd;
            host.create_veth(spec);
            host.set_up(host.require_link(spec.name), true);
            inside.set_up(inside.require_link(ifname), true);
        }
        for (const json& address : row.at("addresses")) {
            inside.add_address(inside.require_link(ifname),
                               Prefix::parse(address.get<std::string>()).value());
        }
    }

    [[nodiscard]] bool has_route(const char* to, const char* via) {
        for (const os::Route& route : pod.routes()) {
            if (route.destination == Prefix::parse(to).value() &&
                route.gateway == IpAddress::parse(via)) {
                return true;
            }
        }
        return false;
    }

    /** A plugin that hands out 10.1.0.2/16 and writes down how it is called. */
    json delegated(const std::string& more = {}) {
        calls.write_plugin("ipam",
                           "echo $CNI_COMMAND >>${0%/*}/verbs\n" + more +
                               R"(echo '{"ips":[{"version":"4","address":"10.1.0.2/16",)"
                               R"("gateway":"10.1.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],)"
                               R"("dns":{"domain":"ipam"}}')");
        return {{"ipam", {{"type", "ipam"}}}};
    }
};

} // namespace

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
                                                {"addresses", {"10.32.9.9/12"}},
                                                {"mac", "02:11:22:33:44:55"},
                                                {"mtu", 1300},
                                                {"mode", "routed"},
                                                {"routes", true}});
    CHECK(answer.at("interfaces").at(1).at("mac") == "02:11:22:33:44:55");
    CHECK(answer.at("ips").at(0).at("address") == "10.32.9.9/12");
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
