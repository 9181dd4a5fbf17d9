// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/init.hpp"
#include "daemon/options.hpp"
#include "daemon/targets.hpp"

#include <boost/asio.hpp>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

using namespace weave;
using namespace weave::daemon;

namespace {

struct Bench {
    explicit Bench(net::NameLookup::Lookup lookup = net::NameLookup::system_lookup)
        : folder((crypto::init(), std::filesystem::temp_directory_path() / "weave-targets-test"))
        , state(((void)std::filesystem::remove_all(folder), folder.string()))
        , connector(state.identity().id(), [](ByteSpan out) { crypto::random_bytes(out); })
        , targets(
              io, 6783, state, connector, [] {}, std::move(lookup)) {}

    ~Bench() { std::filesystem::remove_all(folder); }

    /** The targets' endpoints, in the order in which they were given. */
    [[nodiscard]] std::vector<Endpoint> dialled() const {
        std::vector<Endpoint> out;
        for (const mesh::ConnectionStatus& status : connector.status(Clock::now())) {
            if (status.target) {
                out.push_back(status.endpoint);
            }
        }
        return out;
    }

    std::filesystem::path folder;
    boost::asio::io_context io;
    NodeState state;
    mesh::Connector connector;
    Targets targets;
};

Endpoint at(std::uint8_t last, std::uint16_t port = 6783) {
    return {IpAddress::v4({10, 0, 0, last}), port};
}

} // namespace

TEST_CASE("a target has one spelling") {
    CHECK(target_text("10.0.0.1", 6783) == "10.0.0.1");
    CHECK(target_text("10.0.0.1:6783", 6783) == "10.0.0.1");
    CHECK(target_text("10.0.0.1:7000", 6783) == "10.0.0.1:7000");
    CHECK(target_text("[FD00:0::1]:6783", 6783) == "fd00::1");
    CHECK(target_text("[fd00::1]:7000", 6783) == "[fd00::1]:7000");
    CHECK(target_text("Node.Example:6783", 6783) == "node.example");
    CHECK(target_text("node:7000", 6783) == "node:7000");
}

TEST_CASE("a target given in two spellings is one, and forgotten by either") {
    Bench bench;
    CHECK(bench.targets.connect({"10.0.0.1"}, false, "start") == 1);
    CHECK(bench.targets.connect({"10.0.0.1:6783", "10.0.0.2"}, false, "connect") == 1);
    CHECK(bench.dialled() == std::vector{at(1), at(2)});
    CHECK(bench.targets.forget({"10.0.0.3"}) == std::vector<std::string>{"10.0.0.3"});
    CHECK(bench.targets.forget({"10.0.0.1:6783"}).empty());
    CHECK(bench.dialled() == std::vector{at(2)});
    CHECK(bench.state.targets() == std::vector<std::string>{"10.0.0.2"});
}

TEST_CASE("what a name and an address share goes when neither has it; names are asked again") {
    std::vector<IpAddress> answer{at(1).address, at(2).address};
    Bench bench([&](const std::string&) { return net::NameLookup::Answer{answer, {}}; });
    const auto keep = boost::asio::make_work_guard(bench.io);
    bench.targets.connect({"10.0.0.1", "some.name"}, false, "start");
    CHECK(bench.targets.all().at("some.name").reason == "resolving the name");
    CHECK_FALSE(bench.targets.resolved_all());
    bench.io.run_one();
    CHECK(bench.dialled() == std::vector{at(1), at(2)});
    SUBCASE("the address is forgotten") {
        bench.targets.forget({"10.0.0.1"});
        CHECK(bench.dialled() == std::vector{at(1), at(2)});
        bench.targets.forget({"some.name"});
        CHECK(bench.dialled().empty());
    }
    SUBCASE("the name leads elsewhere") {
        answer = {at(3).address};
        bench.targets.tick(Clock::now());
        bench.io.run_one();
        CHECK(bench.dialled() == std::vector{at(1), at(3)});
    }
    SUBCASE("the name leads nowhere for a while") {
        answer.clear();
        bench.targets.tick(Clock::now());
        bench.io.run_one();
        CHECK(bench.dialled() == std::vector{at(1), at(2)});
        CHECK_FALSE(bench.targets.all().at("some.name").reason.empty());
    }
    SUBCASE("it is forgotten while it is asked for") {
        answer = {at(4).address};
        bench.targets.tick(Clock::now());
        bench.targets.forget({"some.name"});
        bench.io.run_one();
        CHECK(bench.dialled() == std::vector{at(1)});
    }
    SUBCASE("replaced, only what is named stays") {
        bench.targets.connect({"10.0.0.2"}, true, "connect");
        CHECK(bench.dialled() == std::vector{at(2)});
        CHECK(bench.state.targets() == std::vector<std::string>{"10.0.0.2"});
    }
}

TEST_CASE("more targets than are dialled are refused, and nothing changes") {
    Bench bench;
    std::vector<std::string> many;
    for (int i = 0; i < 1025; ++i) {
        many.push_back(fmt::format("10.1.{}.{}", i / 256, i % 256));
    }
    CHECK_THROWS_AS(bench.targets.connect(many, false, "connect"), ConfigError);
    CHECK(bench.targets.all().empty());
    many.pop_back();
    CHECK(bench.targets.connect(many, false, "connect") == 1024);
    CHECK(bench.targets.connect({"10.0.0.1"}, true, "connect") == 1);
    CHECK(bench.dialled() == std::vector{at(1)});
}
