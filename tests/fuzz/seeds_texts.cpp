// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What is text: addresses, files, the control protocol, HTTP.
#include "api/codec.hpp"
#include "api/status.hpp"
#include "crypto/identity.hpp"
#include "seeds.hpp"

#include <string>
#include <tuple>

namespace weave::fuzz {
namespace {

using nlohmann::json;

void seed_addresses() {
    for (const char* text : {"10.32.0.1",
                             "2001:DB8::1",
                             "::ffff:10.0.0.1",
                             "fe80::1",
                             "192.0.2.1:6783",
                             "[2001:db8::1]:6783",
                             "[::1]",
                             "10.32.0.1/12",
                             "fd00::1/64",
                             "::ffff:10.0.0.0/8",
                             "02:11:22:33:44:55",
                             "10.0.0.0/8 10.32.0.1/12",
                             "fd00::/8 fd00::1/128"}) {
        seed("address", std::string_view(text));
    }
    seed("address", std::string_view("10.32.0.1\0.2", 12));
}

void seed_cluster_files() {
    const std::string id(32, 'a');
    const std::string key(64, '5');
    const auto file = [&](const json& secrets) {
        return json{{"weavemesh_cluster", 1}, {"id", id}, {"secrets", secrets}}.dump();
    };
    const json first{{"id", 1}, {"key", key}};
    const json second{{"id", 2}, {"key", std::string(64, 'F')}};
    seed("cluster_file", file({first}));
    seed("cluster_file", file({first, second}));
    seed("cluster_file", file({first, first}));
    seed("cluster_file", file(json::array()));
    seed("cluster_file", file({{{"id", 4294967297}, {"key", key}}}));
    seed("cluster_file", file({{{"id", 1}, {"key", "short"}}}));
    seed("cluster_file", std::string_view("{\"weavemesh_cluster\":2}"));
    seed("cluster_file", std::string_view("no JSON"));
}

void seed_state_files() {
    const std::string key(64, '7');
    crypto::Key32 raw;
    std::ignore = from_hex(key, raw.span());
    const std::string identity =
        key + "\nnode " + crypto::Identity::from_seed(std::move(raw)).id().text() + '\n';
    const auto folder =
        [&](std::string_view epoch, std::string_view targets, std::string_view exposed) {
            wire::ByteWriter out;
            put_part(out.u8(1), as_bytes(identity));
            put_part(out.u8(2), as_bytes(epoch));
            put_part(out.u8(2), as_bytes(targets));
            put_part(out.u8(2), as_bytes(exposed));
            seed("state_files", out.take());
        };
    folder("7\n", "192.0.2.1:6783\nhost.example\n", "10.32.0.1/12\nfd00::1/64\n");
    folder("18446744073709551615\n", "", "");
    folder("9\n3\n", "a\n\n\nb", "10.32.0.1\n");
    wire::ByteWriter out;
    out.u8(0).u16(0).u8(1).u16(1).u8('5').u8(1).u16(2).u8('x').u8('\n').u8(0).u16(0);
    seed("state_files", out.take());
    seed("state_files", Bytes{1, 3, 0, 'x', 'y', 'z'});
}

std::string with(char which, std::string_view text) {
    return which + std::string(text);
}

void seed_requests() {
    const json peers{{"peers", {"192.0.2.1", "host"}}, {"replace", true}};
    const std::string stream =
        api::encode_request(1, "status", json::object()) + api::encode_request(2, "connect", peers);
    for (const char piece : {'\1', '\7', '\177'}) {
        seed("api_codec", with('\0', piece + stream));
    }
    seed("api_codec", with('\0', std::string("\11\377\377\377\377{}", 7)));
    seed("api_codec",
         with('\1', R"({"v":1,"id":7,"method":"expose","params":{"addresses":["10.32.0.1/12"]}})"));
    seed("api_codec", with('\1', R"({"v":2,"id":7,"method":"status"})"));
    seed("api_codec", with('\1', R"({"v":1,"id":-7,"method":"status","params":[]})"));
    seed("api_codec", with('\1', R"({"v":1,"id":7,"method":"\u00e9\u0000"})"));
    wire::ByteWriter reply;
    put_part(reply.u8(3).u64(7), as_bytes("hello")).u8(4).bytes(as_bytes("busy"));
    seed("api_codec", reply.bytes(as_bytes("\377\200 too many")).take());
}

void seed_rows() {
    NodeStatus status;
    status.name = "node-1";
    status.addresses = {"192.0.2.1:6783"};
    status.warnings = {"one", "two\x1b[2J"};
    PeerRow peer;
    peer.name = "node-2";
    peer.addresses = {"192.0.2.2:6783"};
    peer.rtt_ms = 1.5;
    peer.key_age_seconds = 90061;
    ConnectionRow connection;
    connection.state = "established";
    connection.rtt_ms = 0.25;
    TargetRow target;
    target.target = "host.example";
    DropRow drop;
    drop.name = "no_route";
    drop.count = 3;
    AttachmentRow attachment;
    attachment.addresses = {"10.32.0.5/12"};
    for (const json& row :
         {json(status), json(peer), json(connection), json(target), json(drop), json(attachment)}) {
        seed("api_codec", with('\2', row.dump()));
    }
}

void seed_http() {
    const std::string get = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const char piece : {'\1', '\10', '\377'}) {
        seed("http_request",
             piece + get +
                 "HEAD /metrics?format=json&x HTTP/1.1\r\nHost: x\r\n"
                 "Accept: application/json\r\nConnection: close\r\n\r\n");
    }
    seed("http_request", "\377POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + get);
    seed("http_request",
         "\377GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    seed("http_request", std::string_view("\377OPTIONS * HTTP/1.1\r\n\r\n"));
    seed("http_request", std::string_view("\377GET http://x/ HTTP/1.0\r\nA: b\r\n c\r\n\r\n"));
    seed("http_request", "\377GET /" + std::string(8300, 'a') + " HTTP/1.1\r\n\r\n");
    seed("http_request", std::string_view("\377\x16\x03\x01\x02\x00"));
}

void seed_cni() {
    const json previous{
        {"cniVersion", "1.0.0"},
        {"interfaces", {{{"name", "eth0"}, {"mac", "02:11:22:33:44:55"}, {"sandbox", "/n"}}}},
        {"ips", {{{"address", "10.32.0.5/12"}, {"gateway", "10.32.0.1"}, {"interface", 0}}}},
        {"routes", {{{"dst", "0.0.0.0/0"}, {"gw", "10.32.0.1"}, {"mtu", 1300}}}},
        {"dns", {{"nameservers", {"9.9.9.9"}}, {"search", {"a"}}}}};
    json config{{"cniVersion", "1.1.0"},
                {"name", "weave"},
                {"type", "weave-cni"},
                {"mode", "routed"},
                {"mtu", 1300},
                {"socket", "/s"},
                {"ipam",
                 {{"subnet", "10.40.0.0/16"},
                  {"gateway", {"10.40.0.1"}},
                  {"routes", {{{"dst", "10.96.0.0/12"}}}}}},
                {"args", {{"cni", {{"ips", {"10.40.0.9"}}, {"mac", "02:11:22:33:44:66"}}}}},
                {"runtimeConfig",
                 {{"dns", {{"Servers", {"10.96.0.10"}}}}, {"aliases", {{"weave", {"a"}}}}}},
                {"cni.dev/valid-attachments", {{{"containerID", "c"}, {"ifname", "eth0"}}}}};
    const std::string args = "IgnoreUnknown=1;IP=10.40.0.9,fd00::5/64;MAC=02:11:22:33:44:55";
    const std::string length(1, static_cast<char>(args.size()));
    for (const char verb : {'\0', '\1', '\2', '\3', '\4'}) {
        seed("cni", verb + length + args + config.dump());
    }
    config["prevResult"] = previous;
    config.erase("args");
    seed("cni", std::string(1, '\0') + length + args + config.dump());
    config["ipam"] = {{"type", "host-local"}};
    config["runtimeConfig"] = {{"ips", {"10.32.0.9/12"}}};
    seed("cni", std::string(2, '\0') + config.dump());
    config["cniVersion"] = "0.2.0";
    seed("cni", std::string(2, '\0') + config.dump());
    seed("cni", std::string(2, '\0') + R"({"cniVersion":"0.3.1","name":"a/b","mode":5})");
}

} // namespace

void seed_texts() {
    seed_addresses();
    seed_cluster_files();
    seed_state_files();
    seed_requests();
    seed_rows();
    seed_http();
    seed_cni();
}

} // namespace weave::fuzz
