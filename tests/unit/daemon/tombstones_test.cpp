// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/tombstones.hpp"
#include "os/error.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

using namespace weave;
using namespace weave::daemon;

namespace {

struct Stones {
    std::string state;
    std::vector<std::string> settled;

    Stones() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weave-stones-XXXXXX").string();
        state = ::mkdtemp(pattern.data());
        std::filesystem::create_directory(state + "/tombstones");
    }

    ~Stones() { std::filesystem::remove_all(state); }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream(state + "/tombstones/" + name) << text;
    }

    void write_good(const std::string& name) const {
        write(name + ".json",
              R"({"id":"cni/n/)" + name + R"(","ifname":"eth0","holder":"cni/n/)" + name +
                  R"(/eth0"})" + "\n");
    }

    std::vector<std::string> settle() {
        return settle_tombstones(state, [&](const Tombstone& each) {
            settled.push_back(each.id + ' ' + each.ifname + ' ' + each.holder);
        });
    }

    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& each : std::filesystem::directory_iterator(state + "/tombstones")) {
            out.push_back(each.path().filename());
        }
        std::sort(out.begin(), out.end());
        return out;
    }
};

} // namespace

TEST_CASE("tombstones are settled once and are gone then") {
    Stones stones;
    stones.write_good("c1");
    stones.write_good("c2");
    stones.write("c3.json.tmp", "{"); // being written
    CHECK(stones.settle().empty());
    std::sort(stones.settled.begin(), stones.settled.end());
    CHECK(stones.settled ==
          std::vector<std::string>{"cni/n/c1 eth0 cni/n/c1/eth0", "cni/n/c2 eth0 cni/n/c2/eth0"});
    CHECK(stones.names() == std::vector<std::string>{"c3.json.tmp"});
    CHECK(stones.settle().empty());
    CHECK(stones.settled.size() == 2);
}

TEST_CASE("what is no tombstone is set aside, told once, and keeps nothing else from its end") {
    Stones stones;
    stones.write("a.json", "");
    stones.write("b.json", "{\"id\":\"cni/n/b\",\"ifname\":7,\"holder\":\"cni/n/b/eth0\"}");
    stones.write("c.json", std::string(5000, ' ') + "{}");
    stones.write("d.json", "{\"id\":\"\",\"ifname\":\"eth0\",\"holder\":\"\"}");
    stones.write("e.json", "[1]");
    std::filesystem::create_symlink("/etc/passwd", stones.state + "/tombstones/f.json");
    std::filesystem::create_directory(stones.state + "/tombstones/g.json");
    REQUIRE(::mkfifo((stones.state + "/tombstones/h.json").c_str(), 0600) == 0);
    stones.write_good("z");
    const auto told = stones.settle();
    REQUIRE(told.size() == 8);
    for (const std::string& each : told) {
        CHECK(each.find("is no tombstone, kept as ") != std::string::npos);
    }
    CHECK(stones.settled.size() == 1);
    CHECK(stones.names().size() == 8);
    CHECK(std::filesystem::exists(stones.state + "/tombstones/b.json.corrupt"));
    CHECK(stones.settle().empty());
}

TEST_CASE("a tombstone stays when what it stands for cannot be removed now") {
    Stones stones;
    stones.write_good("c1");
    const auto told = settle_tombstones(
        stones.state, [](const Tombstone&) { os::throw_sentence(EBUSY, "the kernel is busy"); });
    CHECK(told == std::vector<std::string>{"the kernel is busy"});
    CHECK(stones.names() == std::vector<std::string>{"c1.json"});
}

TEST_CASE("without a folder there are no tombstones") {
    CHECK(settle_tombstones("/nowhere", [](const Tombstone&) { FAIL("there is none"); }).empty());
}
