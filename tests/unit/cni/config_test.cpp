// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/config.hpp"
#include "cni/errors.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::cni;
using nlohmann::json;
using Texts = std::vector<std::string>;

namespace {

Environment add_with(const std::string& args = {}) {
    Environment out;
    out.verb = Verb::add;
    out.args = args;
    return out;
}

/** The smallest configuration with more keys. */
json config_with(const json& more = json::object()) {
    json out{{"cniVersion", "1.0.0"}, {"name", "weave"}, {"type", "weave-cni"}};
    out.update(more.is_null() ? json::object() : more);
    return out;
}

template <class Work> unsigned code_of(const Work& work, std::string* sentence = nullptr) {
    try {
        work();
    } catch (const Failure& failure) {
        if (sentence != nullptr) {
            *sentence = failure.what();
        }
        return failure.code();
    }
    return 0;
}

unsigned config_code(const json& more, const Environment& environment = add_with()) {
    return code_of([&] { read_config(config_with(more), environment); });
}

unsigned link_code(const json& more, const Environment& environment = add_with()) {
    return code_of([&] { read_link_config(config_with(more), environment); });
}

Texts addresses(const json& more, const std::string& args = {}) {
    return read_config(config_with(more), add_with(args)).addresses;
}

} // namespace

TEST_CASE("config: the smallest one has defaults") {
    const NetworkConfig config = read_config(config_with(), add_with());
    CHECK(config.version == SpecVersion::v1_0_0);
    CHECK(config.name == "weave");
    CHECK(config.socket == "/run/weave/weave.sock");
    CHECK(config.state_dir == "/var/lib/weave");
    CHECK(config.addresses.empty());
    CHECK_FALSE(config.previous.has_value());
    CHECK_FALSE(config.delegates());
    const LinkConfig link = read_link_config(config_with(), add_with());
    CHECK(link.mode == kDefaultMode);
    CHECK(link.mtu == 0);
    CHECK(link.mac.empty());
}

TEST_CASE("config: versions, and the verbs they have") {
    std::string said;
    for (const std::string_view version : kSpecVersions) {
        CHECK(text_of(read_version({{"cniVersion", version}}, Verb::add)) == version);
        CHECK(text_of(read_version({{"cniVersion", version}}, Verb::del)) == version);
    }
    for (const char* version : {"", "0.1.0", "0.2.0", "1.2.0", "2.0.0", "x", "1.0"}) {
        CHECK(code_of([&] { read_version({{"cniVersion", version}}, Verb::add); }, &said) == 1);
        CHECK(said.find("0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0") != std::string::npos);
    }
    CHECK(code_of([] { read_version(json::object(), Verb::add); }) == 1);
    CHECK(code_of([] { read_version({{"cniVersion", 1}}, Verb::add); }) == 6);
    CHECK(code_of([] { read_version({{"cniVersion", "0.3.1"}}, Verb::check); }) == 1);
    CHECK(code_of([] { read_version({{"cniVersion", "0.4.0"}}, Verb::check); }) == 0);
    for (const Verb verb : {Verb::status, Verb::gc}) {
        CHECK(code_of([&] { read_version({{"cniVersion", "1.0.0"}}, verb); }) == 1);
        CHECK(code_of([&] { read_version({{"cniVersion", "1.1.0"}}, verb); }) == 0);
    }
}

TEST_CASE("config: its own keys") {
    const NetworkConfig config =
        read_config(config_with({{"socket", "/tmp/s"}, {"stateDir", "/tmp/d"}}), add_with());
    CHECK(config.socket == "/tmp/s");
    CHECK(config.state_dir == "/tmp/d");
    // Below "ipam" for weave-ipam: what is around it belongs to another plugin.
    const NetworkConfig inner = read_config(
        config_with({{"ipam", {{"type", "weave-ipam"}, {"socket", "/tmp/i"}}}}), add_with());
    CHECK(inner.socket == "/tmp/i");
    const NetworkConfig theirs = read_config(
        config_with({{"ipam", {{"type", "theirs"}, {"socket", "/tmp/i"}, {"stateDir", 5}}}}),
        add_with());
    CHECK(theirs.socket == NetworkConfig{}.socket);
    const LinkConfig link =
        read_link_config(config_with({{"mode", "routed"}, {"mtu", 1400}}), add_with());
    CHECK(link.mode == "routed");
    CHECK(link.mtu == 1400);
}

TEST_CASE("config: values that are not supported, or make no sense") {
    std::string said;
    CHECK(code_of([] { read_link_config(config_with({{"mode", "l2"}}), add_with()); }, &said) == 2);
    CHECK(said.find("'mode'") != std::string::npos);
    CHECK(said.find("'l2'") != std::string::npos);
    CHECK(link_code({{"mtu", 67}}) == 7);
    CHECK(link_code({{"mtu", 65536}}) == 7);
    CHECK(link_code({{"mtu", "1400"}}) == 6);
    CHECK(link_code({{"mtu", -1}}) == 6);
    CHECK(link_code({{"mode", 1}}) == 6);
    CHECK(config_code({{"name", ""}}) == 7);
    CHECK(config_code({{"name", "a/b"}}) == 7);
    CHECK(config_code({{"name", 5}}) == 6);
    CHECK(config_code({{"ipam", "weave-ipam"}}) == 6);
    CHECK(config_code({{"ipam", {{"subnet", "10.40.0.0"}}}}) == 7);
    CHECK(config_code({{"ipam", {{"gateway", "10.40.0.1/16"}}}}) == 7);
    CHECK(config_code({{"ipam", {{"routes", {{{"dst", "0.0.0.0/0"}, {"gw", "x"}}}}}}}) == 7);
    CHECK(config_code({{"dns", {{"nameservers", "9.9.9.9"}}}}) == 6);
    CHECK(config_code({{"runtimeConfig", 1}}) == 6);
    CHECK(config_code({{"prevResult", "x"}}) == 6);
    CHECK(code_of(
              [] {
                  read_config(
                      config_with(
                          {{"ipam", {{"routes", {{{"dst", "0.0.0.0/0"}, {"priority", 5}}}}}}}),
                      add_with());
              },
              &said) == 2);
    CHECK(said.find("'priority'") != std::string::npos);
    CHECK(said.find("5") != std::string::npos);
}

TEST_CASE("config: addresses asked for, the newest way first") {
    // "ip:" brings the address of the other family along.
    CHECK(addresses({}, "IP=10.32.0.5/12") == Texts{"ip:10.32.0.5/12"});
    CHECK(addresses({}, "IP=10.32.0.5/12,fd00::5/64") == Texts{"10.32.0.5/12", "fd00::5/64"});
    CHECK(addresses({}, "IgnoreUnknown=1;IP=10.32.0.5,fd00::5/64") ==
          Texts{"ip:10.32.0.5", "fd00::5/64"});
    const json args{{"args", {{"cni", {{"ips", {"10.32.0.6/12"}}}}}}};
    CHECK(addresses(args, "IP=10.32.0.5/12") == Texts{"ip:10.32.0.6/12"});
    json both = args;
    both["runtimeConfig"] = {{"ips", {"10.32.0.7/12", "fd00::7/64"}}};
    CHECK(addresses(both, "IP=10.32.0.5/12") == Texts{"10.32.0.7/12", "fd00::7/64"});
    CHECK(addresses({{"runtimeConfig", {{"IPs", {"10.32.0.7/12"}}}}}) == Texts{"ip:10.32.0.7/12"});
    CHECK(config_code({}, add_with("IP=10.32.0")) == 4);
    CHECK(config_code({}, add_with("IP")) == 4);
    CHECK(config_code({{"runtimeConfig", {{"ips", {"10.32.0"}}}}}) == 7);
}

TEST_CASE("config: one address of a subnet, and lengths that subnets give") {
    CHECK(addresses({{"ipam", {{"subnet", "10.40.0.0/16"}}}}) == Texts{"net:10.40.0.0/16"});
    CHECK(addresses({{"ipam", {{"subnet", {"10.40.0.0/16", "fd00::/64"}}}}}) ==
          Texts{"net:10.40.0.0/16", "net:fd00::/64"});
    CHECK(addresses({{"ipam", {{"subnet", "10.40.0.0/16"}}}}, "IP=10.40.0.9") ==
          Texts{"ip:10.40.0.9/16"});
    CHECK(addresses({{"ipam", {{"subnet", "10.40.0.0/16"}}}}, "IP=10.41.0.9") ==
          Texts{"ip:10.41.0.9"});
}

TEST_CASE("config: MAC addresses asked for") {
    const auto mac = [](const json& more, const std::string& args = {}) {
        return read_link_config(config_with(more), add_with(args)).mac;
    };
    CHECK(mac({}, "MAC=02:11:22:33:44:AA") == "02:11:22:33:44:aa");
    const json args{{"args", {{"cni", {{"mac", "02:11:22:33:44:66"}}}}}};
    CHECK(mac(args, "MAC=02:11:22:33:44:55") == "02:11:22:33:44:66");
    CHECK(mac({{"runtimeConfig", {{"Mac", "02:11:22:33:44:77"}}}}, "MAC=02:11:22:33:44:55") ==
          "02:11:22:33:44:77");
    CHECK(link_code({}, add_with("MAC=x")) == 4);
    CHECK(link_code({}, add_with("MAC=01:00:5e:00:00:01")) == 4);
    CHECK(link_code({{"runtimeConfig", {{"mac", "00:00:00:00:00:00"}}}}) == 7);
}

TEST_CASE("config: what containerd 1.6 sends") {
    // Capitals, the greatest burst, and a list of port mappings that is portmap's.
    const json config = config_with(
        {{"capabilities", {{"dns", true}, {"portMappings", true}, {"bandwidth", true}}},
         {"runtimeConfig",
          {{"bandwidth",
            {{"IngressRate", 10000000}, {"IngressBurst", 4294967295}, {"EgressRate", 1}}},
           {"dns",
            {{"Servers", {"10.96.0.10"}}, {"Searches", {"default.svc"}}, {"Options", {"ndots:5"}}}},
           {"portMappings",
            {{{"HostPort", 18080}, {"ContainerPort", 8080}, {"Protocol", "tcp"}}}}}}});
    const NetworkConfig got = read_config(config, add_with("K8S_POD_NAME=p;IgnoreUnknown=1"));
    CHECK(got.dns.nameservers == Texts{"10.96.0.10"});
    CHECK(got.dns.search == Texts{"default.svc"});
    CHECK(got.dns.options == Texts{"ndots:5"});
}

TEST_CASE("config: the runtime's DNS settings come over the configured ones") {
    const NetworkConfig got =
        read_config(config_with({{"dns", {{"nameservers", {"9.9.9.9"}}, {"domain", "d"}}},
                                 {"runtimeConfig", {{"dns", {{"servers", {"10.96.0.10"}}}}}}}),
                    add_with());
    CHECK(got.dns.nameservers == Texts{"10.96.0.10"});
    CHECK(got.dns.domain == "d");
}

TEST_CASE("config: aliases as an object or a list, and keys nobody knows") {
    CHECK(config_code({{"runtimeConfig", {{"aliases", {{"weave", {"c1"}}}}}}}) == 0);
    CHECK(config_code({{"runtimeConfig", {{"aliases", {"c1"}}}}}) == 0);
    CHECK(config_code({{"cni.dev/something", 1}, {"other", {{"a", 1}}}}) == 0);
}

TEST_CASE("config: another plugin's addresses are its own business") {
    const NetworkConfig got = read_config(
        config_with({{"ipam", {{"type", "host-local"}, {"subnet", 5}, {"routes", "whatever"}}},
                     {"runtimeConfig", {{"ips", {"10.1.2.3"}}}}}),
        add_with("IP=not ours"));
    CHECK(got.delegates());
    CHECK(got.addresses.empty());
}

TEST_CASE("config: DEL reads no more than it needs") {
    Environment del;
    del.verb = Verb::del;
    del.args = "broken";
    const NetworkConfig got =
        read_config(config_with({{"ipam", {{"subnet", "x"}, {"type", "host-local"}}},
                                 {"dns", 5},
                                 {"prevResult", "y"},
                                 {"runtimeConfig", {{"ips", 5}}}}),
                    del);
    CHECK(got.ipam.type == "host-local");
}

TEST_CASE("config: attachments that are valid, from whoever says so") {
    CHECK(code_of([] { read_valid_attachments(config_with()); }) == 7);
    CHECK(read_valid_attachments(config_with({{"cni.dev/valid-attachments", nullptr}})).empty());
    const auto got = read_valid_attachments(config_with(
        {{"cni.dev/valid-attachments", {{{"containerID", "c1"}, {"ifname", "eth0"}}}}}));
    REQUIRE(got.size() == 1);
    CHECK(got[0].container_id == "c1");
    CHECK(got[0].ifname == "eth0");
    CHECK(code_of([] {
              read_valid_attachments(
                  config_with({{"cni.dev/valid-attachments", {{{"containerID", "c1"}}}}}));
          }) == 7);
    CHECK(code_of([] {
              read_valid_attachments(config_with({{"cni.dev/valid-attachments", "c1"}}));
          }) == 6);
}
