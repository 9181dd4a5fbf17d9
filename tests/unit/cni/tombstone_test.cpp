// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/tombstone.hpp"
#include "fake_weaved.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>

using namespace weave::cni;
using weave::test::Folder;
using namespace std::chrono_literals;

namespace {

std::size_t files(const Tombstones& tombstones) {
    std::error_code error;
    const std::filesystem::directory_iterator at(tombstones.folder(), error);
    return error ? 0 : static_cast<std::size_t>(std::distance(begin(at), end(at)));
}

const AttachmentName kName{"weave", "c1", "eth0"};

} // namespace

TEST_CASE("tombstone: is private, and there once however often it is written") {
    Folder folder;
    const Tombstones tombstones(folder.path + "/state");
    tombstones.write(kName);
    tombstones.write(kName);
    REQUIRE(files(tombstones) == 1);

    struct stat info {};

    REQUIRE(::stat((tombstones.folder() + "/weave,c1,eth0.json").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    REQUIRE(::stat(tombstones.folder().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE("tombstone: stays until what it stands for is removed") {
    Folder folder;
    const Tombstones tombstones(folder.path);
    CHECK(tombstones.settle(kName, [](const auto&...) { return false; })); // there is none
    tombstones.write(kName);
    CHECK_FALSE(tombstones.settle(kName, [](const auto&...) { return false; }));
    CHECK(files(tombstones) == 1);
    std::string all;
    CHECK(tombstones.settle(kName, [&](const auto& id, const auto& ifname, const auto& holder) {
        all = id + " " + ifname + " " + holder;
        return true;
    }));
    CHECK(all == "cni/weave/c1 eth0 cni/weave/c1/eth0");
    CHECK(files(tombstones) == 0);
}

TEST_CASE("tombstone: weaved may settle it while a plugin waits for weaved") {
    Folder folder;
    const Tombstones tombstones(folder.path);
    tombstones.write(kName);
    CHECK(tombstones.settle(kName, [&](const auto&...) {
        return std::filesystem::remove(tombstones.folder() + "/weave,c1,eth0.json");
    }));
}

TEST_CASE("tombstone: some are worked off, those of other makes are left alone") {
    Folder folder;
    const Tombstones tombstones(folder.path);
    for (int i = 0; i < 5; ++i) {
        tombstones.write({"weave", "c" + std::to_string(i), "eth0"});
    }
    for (const char* text : {"", "{", "[]", R"({"id":1,"ifname":"a","holder":"b"})"}) {
        std::ofstream(tombstones.folder() + "/x" + std::to_string(std::string_view(text).size()) +
                      ".json")
            << text;
    }
    std::filesystem::create_directory(tombstones.folder() + "/folder.json");
    std::filesystem::create_symlink("/etc/passwd", tombstones.folder() + "/link.json");
    int removed = 0;
    const auto count = [&](const auto&...) { return ++removed > 0; };
    tombstones.settle_some(2, count);
    CHECK(removed == 2);
    CHECK(files(tombstones) == 9);
    tombstones.settle_some(100, count);
    CHECK(removed == 5);
    CHECK(files(tombstones) == 6);
}

TEST_CASE("tombstone: the first that cannot be removed ends the round") {
    Folder folder;
    const Tombstones tombstones(folder.path);
    tombstones.write({"weave", "c1", "eth0"});
    tombstones.write({"weave", "c2", "eth0"});
    int tried = 0;
    tombstones.settle_some(9, [&](const auto&...) { return ++tried < 0; });
    CHECK(tried == 1);
    CHECK(files(tombstones) == 2);
}

TEST_CASE("tombstone: whoever settles one waits for another who has it in hand") {
    Folder folder;
    const Tombstones tombstones(folder.path);
    tombstones.write(kName);
    std::atomic<bool> begun{false};
    std::atomic<int> removed{0};
    std::thread sweeper([&] {
        tombstones.settle_some(1, [&](const auto&...) {
            begun = true;
            std::this_thread::sleep_for(100ms);
            return ++removed > 0;
        });
    });
    while (!begun) {
        std::this_thread::sleep_for(1ms);
    }
    // A round of another process passes it by; an ADD of the same attachment does not.
    tombstones.settle_some(1, [&](const auto&...) { return ++removed > 100; });
    CHECK(removed == 0);
    CHECK(tombstones.settle(kName, [&](const auto&...) { return ++removed > 100; }));
    CHECK(removed == 1);
    sweeper.join();
}
