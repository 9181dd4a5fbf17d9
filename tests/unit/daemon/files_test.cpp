// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The cluster file and the state folder, whole and damaged.
#include "crypto/init.hpp"
#include "daemon/cluster_file.hpp"
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

using namespace weave;
using namespace weave::daemon;

namespace {

/** A folder of its own, gone at the end of the test. */
struct Scratch {
    std::string path;

    Scratch() {
        crypto::init();
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weave-state-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }

    ~Scratch() { std::filesystem::remove_all(path); }

    [[nodiscard]] std::string operator/(const std::string& name) const { return path + '/' + name; }
};

std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
}

/** Starts and ends: the lock is free again. */
NodeId start(const Scratch& folder) {
    return NodeState(folder.path).identity().id();
}

Prefix prefix(const char* text) {
    return *Prefix::parse(text);
}

const MacAddress kMac{{2, 1, 2, 3, 4, 5}};
const MacAddress kPodMac{{2, 9, 9, 9, 9, 9}};
const std::string kKey(64, 'a');
const std::string kId(32, '5');

std::string cluster_text(const std::string& secrets) {
    return R"({"weavemesh_cluster":1,"id":")" + kId + R"(","secrets":[)" + secrets + "]}";
}

std::string secret_text(const std::string& id, const std::string& key) {
    return R"({"id":)" + id + R"(,"key":")" + key + R"("})";
}

} // namespace

TEST_CASE("the identity survives, the boot epoch rises, what was saved is there") {
    const Scratch folder;
    const NodeId id = start(folder);
    std::uint64_t epoch = 0;
    {
        NodeState state(folder.path);
        CHECK(state.identity().id() == id);
        epoch = state.boot_epoch();
        state.save_targets({"192.0.2.1", "host.example:1"});
        state.save_exposed({prefix("10.32.0.1/12"), prefix("fd00::1/64")});
        CHECK(state.given().empty());
        state.save_given({{"wv1", {kMac, kPodMac, {prefix("10.32.0.2/12"), prefix("fd00::2/64")}}},
                          {"wv2", {{}, {}, {}}}});
        CHECK(state.take_notices().empty());
    }
    NodeState state(folder.path);
    CHECK(state.boot_epoch() > epoch);
    CHECK(state.targets() == std::vector<std::string>{"192.0.2.1", "host.example:1"});
    CHECK(state.exposed() == std::vector{prefix("10.32.0.1/12"), prefix("fd00::1/64")});
    REQUIRE(state.given().size() == 2);
    CHECK(state.given().at("wv1").host_mac == kMac);
    CHECK(state.given().at("wv1").mac == kPodMac);
    CHECK_FALSE(state.given().at("wv2").mac);
    CHECK(state.given().at("wv1").addresses ==
          std::vector{prefix("10.32.0.2/12"), prefix("fd00::2/64")});
    CHECK(state.given().at("wv2").addresses.empty());
    state.raise_boot_epoch(1000);
    CHECK(state.boot_epoch() == 1001);
    CHECK(state.take_notices().empty());
}

TEST_CASE("one weaved at a time has a state folder") {
    const Scratch folder;
    const NodeState state(folder.path);
    CHECK_THROWS_WITH_AS(
        NodeState{folder.path}, doctest::Contains("uses this state folder"), std::system_error);
}

TEST_CASE("any change of the identity file is noticed, and the file is left alone") {
    const Scratch folder;
    const NodeId id = start(folder);
    const std::string path = folder / "identity.key";
    const std::string whole = read(path);
    const auto refused = [&](const std::string& text) {
        write(path, text);
        CHECK_THROWS_WITH_AS(
            NodeState{folder.path}, doctest::Contains("is damaged: restore it"), ConfigError);
        CHECK(read(path) == text);
    };
    for (std::size_t at = 0; at < whole.size(); ++at) {
        // Bit 5 is the case of a letter, which may be either in the seed.
        for (const int bit : {0, 1, 2, 3, 4, 6, 7}) {
            std::string text = whole;
            text[at] = static_cast<char>(text[at] ^ 1 << bit);
            refused(text);
        }
        refused(whole.substr(0, at));
    }
    refused(whole + "\n");
    write(path, whole);
    CHECK(start(folder) == id);
}

TEST_CASE("an identity that is gone is not replaced without a word") {
    const Scratch folder;
    const NodeId id = start(folder);
    std::filesystem::remove(folder / "identity.key");
    NodeState state(folder.path);
    CHECK(state.identity().id() != id);
    const auto notices = state.take_notices();
    REQUIRE(notices.size() == 1);
    CHECK(notices.front().find("identity.key is gone") != std::string::npos);
}

TEST_CASE("other damaged files are kept aside and named, the node stays the same") {
    for (const std::string name : {"boot-epoch", "targets", "exposed", "attachments"}) {
        for (const bool folder_instead : {false, true}) {
            CAPTURE(name);
            const Scratch folder;
            const NodeId id = start(folder);
            {
                NodeState state(folder.path);
                state.save_targets({"192.0.2.1"});
                state.save_exposed({prefix("10.32.0.1/12")});
                state.save_given({{"wv1", {kMac, kPodMac, {prefix("10.32.0.2/12")}}}});
            }
            const std::string path = folder / name;
            const std::string half = read(path).substr(0, 5);
            std::filesystem::remove(path);
            folder_instead ? void(std::filesystem::create_directory(path)) : write(path, half);
            NodeState state(folder.path);
            CHECK(state.identity().id() == id);
            CHECK(state.targets().empty() == (name == "targets"));
            CHECK(state.exposed().empty() == (name == "exposed"));
            const auto notices = state.take_notices();
            REQUIRE(notices.size() == 1);
            CHECK(notices.front() == path + " was damaged and is kept as " + path + ".corrupt");
            CHECK(std::filesystem::exists(path + ".corrupt"));
        }
    }
}

TEST_CASE("what cannot be written changes nothing, in memory or on disk") {
    const Scratch folder;
    NodeState state(folder.path);
    state.save_targets({"192.0.2.1"});
    state.save_exposed({prefix("10.32.0.1/12")});
    // In the place of the file that is written before it is renamed: root may write anywhere.
    for (const char* name : {"targets.tmp", "exposed.tmp"}) {
        std::filesystem::create_directories(folder / name + "/full");
    }
    CHECK_THROWS_WITH_AS(
        state.save_targets({"192.0.2.2"}), doctest::Contains("targets"), std::system_error);
    CHECK_THROWS_WITH_AS(state.save_exposed({}), doctest::Contains("exposed"), std::system_error);
    CHECK(state.targets() == std::vector<std::string>{"192.0.2.1"});
    CHECK(state.exposed() == std::vector{prefix("10.32.0.1/12")});
}

TEST_CASE("a cluster file with one or two secrets is read") {
    const Scratch folder;
    const std::string path = folder / "cluster.json";
    write(path, cluster_text(secret_text("7", kKey) + "," + secret_text("8", kKey)));
    const Cluster cluster = read_cluster_file(path);
    CHECK(to_hex(cluster.id) == kId);
    REQUIRE(cluster.secrets.size() == 2);
    CHECK(cluster.secrets[0].id == 7);
    // BLAKE2b-256 of nothing under the key, with salt 1 and personalization "clstrpsk".
    CHECK(to_hex(cluster.secrets[1].key->view()) ==
          "64dba1881b5a98494a46828b097ae331eea8910a284f5d2a36eef9eb3b384886");
    CHECK_FALSE(cluster.secrets[1].of_password);
}

TEST_CASE("a cluster file that cannot be one is refused by name, its secret not repeated") {
    const Scratch folder;
    const std::string path = folder / "cluster.json";
    const auto refused = [&](const std::string& text) {
        CAPTURE(text);
        write(path, text);
        try {
            static_cast<void>(read_cluster_file(path));
            FAIL("it was accepted");
        } catch (const ConfigError& error) {
            const std::string said = error.what();
            CHECK(said.find(path) != std::string::npos);
            CHECK(said.find(kKey.substr(0, 16)) == std::string::npos);
            CHECK(said.find('\n') == std::string::npos);
        }
    };
    const std::string good = cluster_text(secret_text("1", kKey));
    for (std::size_t size = 0; size < good.size(); ++size) {
        refused(good.substr(0, size));
    }
    refused("null");
    refused(std::string(100'000, '[').substr(0, 60'000));
    refused(cluster_text(""));
    refused(cluster_text(secret_text("1", kKey) + "," + secret_text("1", kKey)));
    refused(cluster_text(secret_text("4294967297", kKey)));
    refused(cluster_text(secret_text("-1", kKey)));
    refused(cluster_text(secret_text("\"1\"", kKey)));
    refused(cluster_text(secret_text("1", kKey + "aa")));
    refused(cluster_text(secret_text("1", kKey.substr(1) + "x")));
    refused(R"({"weavemesh_cluster":2,"id":")" + kId + R"(","secrets":[]})");
    std::filesystem::remove(path);
    CHECK_THROWS_WITH_AS(static_cast<void>(read_cluster_file(path)),
                         doctest::Contains("does not exist"),
                         ConfigError);
    write(path, good);
    REQUIRE(::chmod(path.c_str(), 0644) == 0);
    CHECK_THROWS_WITH_AS(static_cast<void>(read_cluster_file(path)),
                         doctest::Contains("chmod 600"),
                         std::system_error);
}
