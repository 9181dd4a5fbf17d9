// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/programs.hpp"
#include "os/boot_time.hpp"
#include "os/netns.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include <stdlib.h>

using namespace weave;
using namespace weave::daemon;

namespace {

struct Folder {
    Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }

    ~Folder() { std::filesystem::remove_all(path); }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string file() const { return path + "/programs"; }

    std::string path = "/tmp/weave-programs-XXXXXX";
};

Programs::Use use_in(std::uint64_t netns, const std::string& boot = os::boot_id()) {
    return {boot, netns, {*Prefix::parse("10.32.0.5/12"), *Prefix::parse("fd00::5/64")}};
}

} // namespace

TEST_CASE("what programs hold comes back after a restart, until it is forgotten") {
    const Folder folder;
    {
        Programs programs(folder.file());
        CHECK(programs.all().empty());
        programs.keep("i:net/a/eth0", use_in(7));
        programs.keep("i:net/b/eth0", use_in(8));
        programs.forget("i:net/b/eth0");
        programs.forget("i:net/never/eth0");
    }
    const Programs again(folder.file());
    CHECK(again.notice().empty());
    REQUIRE(again.all().size() == 1);
    CHECK(again.all().at("i:net/a/eth0").netns == 7);
    CHECK(again.all().at("i:net/a/eth0").addresses == use_in(7).addresses);
}

TEST_CASE("gone is whose namespace is gone, or of an earlier boot; who did not say is not") {
    const Folder folder;
    Programs programs(folder.file());
    const os::UniqueFd here = os::current_netns();
    const std::uint64_t inode = os::netns_inode(here.get());
    programs.keep("lives", use_in(inode));
    programs.keep("rebooted", use_in(inode, "another boot"));
    programs.keep("gone", use_in(1));
    programs.keep("silent", use_in(0));
    CHECK_FALSE(programs.is_gone("lives"));
    CHECK(programs.is_gone("rebooted"));
    CHECK(programs.is_gone("gone"));
    CHECK_FALSE(programs.is_gone("silent"));
    CHECK_FALSE(programs.is_gone("unknown"));
}

TEST_CASE("a damaged file is kept aside and told; so is one that makes no sense") {
    const Folder folder;
    Programs(folder.file()).keep("a", use_in(7));
    {
        std::fstream file(folder.file(), std::ios::in | std::ios::out);
        file.seekp(3);
        file.put('#');
    }
    const Programs again(folder.file());
    CHECK(again.all().empty());
    CHECK(again.notice().find("was damaged and is kept as") != std::string::npos);
    CHECK(std::filesystem::exists(folder.file() + ".corrupt"));
}
