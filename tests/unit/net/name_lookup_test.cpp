// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "net/name_lookup.hpp"

#include <boost/asio.hpp>
#include <doctest/doctest.h>

#include <future>
#include <map>

using namespace weave;
using namespace std::chrono_literals;

namespace {

/** A name server that answers a question when the test says so. */
struct Server {
    net::NameLookup::Lookup lookup() {
        return [this](const std::string& host) {
            if (host == "silent") {
                released.get_future().wait();
            }
            ++answered;
            return net::NameLookup::Answer{{IpAddress::v4({10, 0, 0, 1})}, {}};
        };
    }

    std::promise<void> released;
    std::atomic<int> answered{0};
};

} // namespace

TEST_CASE("a name whose server is silent delays no other one, and not the end") {
    Server server;
    std::vector<std::string> answers;
    {
        boost::asio::io_context io;
        const auto keep = boost::asio::make_work_guard(io);
        net::NameLookup names(io, server.lookup());
        for (const std::string host : {"silent", "quick"}) {
            names.ask(host, [&answers, host](const net::NameLookup::Answer& answer) {
                answers.push_back(host + ' ' + answer.addresses.at(0).text());
            });
        }
        for (int i = 0; i < 100 && answers.empty(); ++i) {
            io.run_one_for(100ms);
        }
        CHECK(answers == std::vector<std::string>{"quick 10.0.0.1"});
    }
    server.released.set_value(); // into the void
    while (server.answered < 2) {
        std::this_thread::yield();
    }
    CHECK(answers.size() == 1);
}

TEST_CASE("many questions are answered by a bounded number of threads") {
    Server server;
    boost::asio::io_context io;
    const auto keep = boost::asio::make_work_guard(io);
    net::NameLookup names(io, server.lookup());
    std::size_t answers = 0;
    for (int i = 0; i < 100; ++i) {
        names.ask("quick", [&](const net::NameLookup::Answer&) { ++answers; });
    }
    for (int i = 0; i < 1000 && answers < 100; ++i) {
        io.run_one_for(100ms);
    }
    CHECK(answers == 100);
}

TEST_CASE("a name that does not exist says why") {
    CHECK_FALSE(net::NameLookup::system_lookup("-no-such-name-").error.empty());
    CHECK(net::NameLookup::system_lookup("127.0.0.1").addresses ==
          std::vector<IpAddress>{IpAddress::v4({127, 0, 0, 1})});
}
