// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/nftables_monitor.hpp"
#include "os/nftables_query.hpp"
#include "os/program.hpp"
#include "tests/support/test_netns.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace weave;
using namespace weave::os;

namespace {

struct World {
    UniqueFd ns = test::new_netns();
    std::unique_ptr<NftablesMonitor> monitor;
    std::unique_ptr<NftablesQuery> query;

    World() {
        run_in_netns(ns.get(), [&] {
            monitor = std::make_unique<NftablesMonitor>();
            query = std::make_unique<NftablesQuery>();
        });
    }

    /** Commands of nft(8), one transaction. */
    void nft(const std::string& commands) const {
        ProgramResult result;
        run_in_netns(ns.get(), [&] {
            result = run_program({"nft", "-f", "/dev/stdin"}, commands, std::chrono::seconds{10});
        });
        INFO(result.output);
        REQUIRE(result.status == 0);
    }

    /** All changes that wait: "+" or "-", table, chain, "!" for a chain on a hook. */
    [[nodiscard]] std::vector<std::string> changes() const {
        std::vector<std::string> out;
        monitor->drain([&](const NftablesChange& change) {
            out.push_back((change.removed ? '-' : '+') + std::string{change.table} + ' ' +
                          std::string{change.chain} + (change.base_chain ? "!" : ""));
            return false;
        });
        return out;
    }

    [[nodiscard]] bool concerned(const std::string& table) const {
        return monitor->drain([&](const NftablesChange& change) { return change.table == table; });
    }
};

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("each change is told with its table and chain") {
    const World world;
    CHECK(world.changes().empty());
    world.nft("add table inet a\nadd chain inet a one\n"
              "add chain inet a two { type filter hook forward priority 0; }\n");
    CHECK(world.changes() == Lines{"+a ", "+a one", "+a two!"});
    world.nft("add rule inet a one accept\nadd chain inet a two { policy drop; }\n");
    CHECK(world.changes() == Lines{"+a one", "+a two!"});
    world.nft("flush ruleset\n");
    const Lines removed = world.changes();
    CHECK(std::find(removed.begin(), removed.end(), "-a ") != removed.end());
    CHECK(std::find(removed.begin(), removed.end(), "-a one") != removed.end());
}

TEST_CASE("what we did ourselves is no news, and what others do at the same time is") {
    const World world;
    const std::uint32_t before = world.query->generation();
    world.nft("add table inet a\n");
    CHECK(world.query->generation() == before + 1);
    world.monitor->ignore(before + 1);
    CHECK(!world.concerned("a"));
    world.nft("add chain inet a one\n");
    CHECK(!world.concerned("b"));
    world.nft("add chain inet a two\n");
    world.nft("add chain inet a three\n");
    world.nft("add chain inet a four\n");
    world.monitor->ignore(before + 3);
    world.monitor->ignore(before + 5);
    CHECK(world.concerned("a"));
    CHECK(!world.concerned("a"));
}

TEST_CASE("more changes than wait count as one that concerns us") {
    const World world;
    std::string many = "add table inet a\n";
    for (int i = 0; i < 20000; ++i) {
        many += "add chain inet a c" + std::to_string(i) + '\n';
    }
    world.nft(many);
    CHECK(world.concerned("no such table"));
    CHECK(!world.concerned("no such table"));
}

TEST_CASE("counters are those of the tables of that name, in all families") {
    const World world;
    CHECK(world.query->counters("a").empty());
    world.nft(
        "add table inet a\nadd table bridge a\nadd table inet b\n"
        "add counter inet a x { packets 5 bytes 70 }\nadd counter bridge a x { packets 1 bytes 2 "
        "}\n"
        "add counter inet a y { packets 0 bytes 0 }\nadd counter inet b x { packets 9 bytes 9 }\n"
        "add quota inet a z { 10 mbytes }\n");
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    const auto counters = world.query->counters("a");
    CHECK(counters.size() == 3);
    for (const NftablesCounter& counter : counters) {
        packets += counter.name == "x" ? counter.packets : 0;
        bytes += counter.name == "x" ? counter.bytes : 0;
    }
    CHECK(packets == 6);
    CHECK(bytes == 72);
    CHECK_THROWS_AS(world.query->counters(std::string(600, 'x')), std::system_error);
}
