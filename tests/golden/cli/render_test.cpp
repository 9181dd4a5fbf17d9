// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What people and programs read, kept in files: a change of the output is a change in the diff.
// WEAVE_ACCEPT=1 writes the files anew; such a run is skipped, so that none passes by accident.

#include "api/status.hpp"

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace weave;
using namespace weave::api;

namespace {

bool written_anew = false;

void check_golden(const std::string& name, const std::string& actual) {
    const std::string path = std::string(WEAVE_GOLDEN_DIR) + "/" + name;
    if (std::getenv("WEAVE_ACCEPT") != nullptr) {
        std::ofstream(path, std::ios::binary) << actual;
        written_anew = true;
        return;
    }
    std::ifstream file(path, std::ios::binary);
    const std::string expected{std::istreambuf_iterator<char>(file), {}};
    INFO("golden file ", path, " (WEAVE_ACCEPT=1 writes it anew)");
    CHECK(actual == expected);
}

NodeStatus make_status() {
    NodeStatus status;
    status.version = "0.1.0";
    status.name = "node1";
    status.node_id = "00112233445566778899aabbccddeeff";
    status.cluster_id = "ffeeddccbbaa99887766554433221100";
    status.addresses = {"192.0.2.1:6783", "[2001:db8::1]:6783"};
    status.port = 6783;
    status.cipher_provider = "ipsec-mb";
    status.uptime_seconds = 93784;
    status.lanes = 4;
    status.sparse_lanes = 4;
    status.peers_direct = 2;
    status.peers_relayed = 1;
    status.peers_unreachable = 1;
    status.connections_established = 3;
    status.connections_pending = 1;
    status.connections_failed = 1;
    status.targets = 5;
    status.attachments = 2;
    status.drops_total = 17;
    status.handshakes_total = 9;
    status.rekeys_total = 6;
    status.udp_socket_drops_total = 2;
    status.exposed = {"10.32.0.1/12"};
    status.warnings = {"UDP receive buffers are small: set net.core.rmem_max to 8388608"};
    status.ciphers = {{"AES-256-GCM", "ipsec-mb", "used", 112, 51},
                      {"AES-256-GCM", "openssl", "spare", 503, 270},
                      {"AES-256-GCM", "libsodium", "broken", 0, 0},
                      {"ChaCha20-Poly1305", "libsodium", "used", 1739, 430}};
    status.fast_path = "af_xdp";
    status.fast_paths = {
        {"eth0", "af_xdp native copy", "asked for", 1000, 2000, 3, 0},
        {"eth1", "sockets", "stalled: nothing that it was given was sent", 0, 0, 0, 1}};
    return status;
}

std::vector<ConnectionRow> make_connections() {
    return {
        {"out", "192.0.2.2:6783", "node2", "established", "direct", "AES-256-GCM", 1500, 0.412, ""},
        {"in",
         "[2001:db8::3]:40122",
         "node3",
         "established",
         "relay via node2",
         "ChaCha20-Poly1305",
         1420,
         12.5,
         ""},
        {"out",
         "192.0.2.9:6783",
         "",
         "failed",
         "",
         "",
         0,
         0,
         "the peer belongs to another cluster: give both the same cluster file"}};
}

std::vector<PeerRow> make_peers() {
    return {{"node2",
             "10112233445566778899aabbccddeeff",
             {"192.0.2.2:6783"},
             "direct",
             0.412,
             1500,
             123456789,
             98765,
             987654321,
             87654,
             42,
             12,
             "AES-256-GCM",
             "whole"},
            {"node3",
             "20112233445566778899aabbccddeeff",
             {"192.0.2.3:6783", "[2001:db8::3]:6783"},
             "relay via node2",
             12.5,
             1420,
             1,
             1,
             2,
             2,
             3700,
             3,
             "ChaCha20-Poly1305",
             "no_equal_tail"},
            // Such a name comes from another host: nothing of it may reach the terminal as it is.
            {"evil\x1b[2J \"name\"\n",
             "30112233445566778899aabbccddeeff",
             {},
             "unreachable",
             0,
             0,
             0,
             0,
             0,
             0,
             -1,
             0,
             "",
             "untested"}};
}

std::vector<TargetRow> make_targets() {
    return {{"192.0.2.2", "start", "connected", "node2", 1, 0, ""},
            {"node9.example.net", "connect", "waiting", "", 7, 4200, "the connection was refused"}};
}

std::vector<DropRow> make_drops() {
    return {{"replay", "a packet came twice", 4, {3, 1}},
            {"no_route", "no node has the address", 13, {}}};
}

std::vector<AttachmentRow> make_attachments() {
    return {{"4026532281-eth0",
             "eth0",
             "wv1a2b3c4d",
             "02:11:22:33:44:55",
             {"10.32.0.5/12", "fd00::5/64"},
             4026532281,
             "02:11:22:33:44:77",
             1376,
             "bridge",
             {"10.32.0.1", ""}},
            {"4026532300-net1",
             "net1",
             "wv5e6f7a8b",
             "02:11:22:33:44:66",
             {},
             4026532300,
             "02:11:22:33:44:88",
             1400,
             "routed",
             {}}};
}

std::vector<LaneRow> make_lanes() {
    return {{0, 10, 9, 8, 7, 6, 5, 4, 3, 2, 12, 11, 13}, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
}

NodeReport make_report() {
    return {make_status(),
            make_connections(),
            make_peers(),
            make_targets(),
            make_drops(),
            make_attachments(),
            make_lanes()};
}

} // namespace

TEST_CASE("text") {
    check_golden("status.txt", render_status(make_status()));
    check_golden("connections.txt", render_connections(make_connections()));
    check_golden("peers.txt", render_peers(make_peers()));
    check_golden("targets.txt", render_targets(make_targets()));
    check_golden("drops.txt", render_drops(make_drops()));
    check_golden("attachments.txt", render_attachments(make_attachments()));
}

TEST_CASE("a node that has nothing yet") {
    check_golden("empty.txt",
                 render_status({}) + render_connections({}) + render_peers({}) +
                     render_targets({}) + render_drops({}) + render_attachments({}));
}

TEST_CASE("encryption that is off is said everywhere") {
    NodeReport report;
    report.status.encryption = false;
    CHECK(render_status(report.status).find("\nencryption:   off\n") != std::string::npos);
    CHECK(json_text(report).find("\"encryption\": false") != std::string::npos);
    CHECK(render_prometheus(report).find("\nweave_encryption_enabled 0\n") != std::string::npos);
}

TEST_CASE("JSON") {
    check_golden("report.json", json_text(make_report()));
    check_golden("empty.json", json_text(NodeReport{}));
}

TEST_CASE("metrics") {
    check_golden("metrics.txt", render_prometheus(make_report()));
    check_golden("metrics_empty.txt", render_prometheus({}));
}

TEST_CASE("a name that is not UTF-8 does not cost the page") {
    NodeReport report;
    report.peers.resize(1);
    report.peers[0].name = "a\xff";
    CHECK(render_prometheus(report).find("{peer=\"a\xef\xbf\xbd\"}") != std::string::npos);
}

TEST_CASE("JSON and back is the same") {
    const auto back = [](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        return nlohmann::json(nlohmann::json(value).template get<T>()) == nlohmann::json(value);
    };
    const NodeReport report = make_report();
    CHECK(back(report.status));
    CHECK(back(report.connections));
    CHECK(back(report.peers));
    CHECK(back(report.targets));
    CHECK(back(report.drops));
    CHECK(back(report.attachments));
}

int main(int argc, char** argv) {
    const int result = doctest::Context{argc, argv}.run();
    if (result == 0 && written_anew) {
        std::puts("skipped: the golden files were written anew");
        return 77;
    }
    return result;
}
