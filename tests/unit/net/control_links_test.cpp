// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/init.hpp"
#include "net/control_links.hpp"

#include <boost/asio.hpp>
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <malloc.h>

using namespace weave;
using namespace std::chrono_literals;

namespace {

crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

/** Links of one node on loopback, and what they said, in order. */
struct End {
    End(boost::asio::io_context& io,
        std::uint8_t seed,
        std::uint8_t secret,
        net::LinkSettings settings = {},
        std::vector<std::uint32_t> secret_ids = {1})
        : identity((crypto::init(), crypto::Identity::from_seed(key_of(seed))))
        , links(
              io,
              settings,
              [this, secret, secret_ids](std::uint64_t nonce) {
                  session::ControlLocal local;
                  local.identity = &identity;
                  for (const std::uint32_t id : secret_ids) {
                      local.secrets.push_back({id, key_of(static_cast<std::uint8_t>(secret + id))});
                  }
                  local.name = "test";
                  local.nonce = nonce;
                  return local;
              },
              events()) {}

    net::LinkEvents events() {
        net::LinkEvents out;
        out.on_up = [this](const net::LinkUp& up) {
            said.push_back("up");
            link = up.link;
            if (!greeting.empty()) {
                links.send(up.link, as_bytes(greeting));
            }
        };
        out.on_message = [this](net::LinkId, ByteView message) {
            said.push_back("message " + std::string(message.begin(), message.end()));
        };
        out.on_down = [this](net::LinkId, const std::string& reason) {
            said.push_back("down " + reason);
        };
        out.on_pressure = [this](net::LinkId, bool pressed) {
            said.push_back(pressed ? "pressed" : "free");
        };
        out.on_failed = [this](net::LinkId,
                               const Endpoint&,
                               std::optional<session::ControlFailure>,
                               const std::string& reason) { said.push_back("failed " + reason); };
        out.on_refused = [this](const Endpoint&,
                                std::optional<session::ControlFailure>,
                                const std::string& reason) { said.push_back("refused " + reason); };
        return out;
    }

    crypto::Identity identity;
    std::string greeting;
    std::vector<std::string> said;
    net::LinkId link = 0;
    net::ControlLinks links;
};

/** Runs until the condition holds; a run that never gets there fails in the checks that follow. */
template <class Condition> void run_until(boost::asio::io_context& io, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!condition() && std::chrono::steady_clock::now() < end) {
        io.run_one_for(100ms);
        io.restart();
    }
}

const Endpoint kLoopback{IpAddress::v4({127, 0, 0, 1}), 0};

/** Two ends with a link between them that is up. */
struct Linked {
    explicit Linked(const net::LinkSettings& of_answering = {})
        : answering(io, 1, 0x51, of_answering)
        , dialling(io, 2, 0x51) {
        dialling.links.dial(answering.links.listen(kLoopback));
        until([&] { return !dialling.said.empty() && !answering.said.empty(); });
    }

    template <class Done> void until(Done done) { run_until(io, done); }

    boost::asio::io_context io;
    End answering;
    End dialling;
};

} // namespace

TEST_CASE("a link on which nothing happens holds little memory") {
    constexpr std::size_t kLinks = 32;
    Linked linked;
    const Endpoint listening = linked.answering.links.listen(kLoopback);
    const auto connect = [&] {
        const std::size_t up = linked.dialling.said.size() + 1;
        linked.dialling.links.dial(listening);
        linked.until([&] {
            return linked.dialling.said.size() >= up && linked.answering.said.size() >= up;
        });
        REQUIRE(linked.answering.said.size() == up);
    };
    connect();
    const std::size_t before = ::mallinfo2().uordblks;
    for (std::size_t i = 0; i < kLinks; ++i) {
        connect();
    }
    CHECK((::mallinfo2().uordblks - before) / kLinks < 16'384); // both ends of one
}

TEST_CASE("what a peer says right after the handshake comes after the news of the link") {
    boost::asio::io_context io;
    // Who answers sends its last handshake bytes and its first message in one go.
    for (int round = 0; round < 20; ++round) {
        End answering(io, 1, 0x51);
        End dialling(io, 2, 0x51);
        answering.greeting = "hello";
        dialling.greeting = "hi";
        dialling.links.dial(answering.links.listen(kLoopback));
        run_until(io, [&] { return dialling.said.size() >= 2 && answering.said.size() >= 2; });
        CHECK(dialling.said == std::vector<std::string>{"up", "message hello"});
        CHECK(answering.said == std::vector<std::string>{"up", "message hi"});
    }
}

TEST_CASE("both ends learn why a link did not come up") {
    boost::asio::io_context io;
    End answering(io, 1, 0x51);
    End dialling(io, 2, 0x52);
    dialling.links.dial(answering.links.listen(kLoopback));
    run_until(io, [&] { return !dialling.said.empty() && !answering.said.empty(); });
    REQUIRE(dialling.said.size() == 1);
    REQUIRE(answering.said.size() == 1);
    CHECK(dialling.said[0].starts_with("failed "));
    CHECK(answering.said[0].starts_with("refused "));
    CHECK(dialling.said[0].find("secret") != std::string::npos);
    CHECK(answering.said[0].find("secret") != std::string::npos);
}

TEST_CASE("connections that say nothing are bounded and end") {
    boost::asio::io_context io;
    net::LinkSettings settings;
    settings.max_half_open_per_source = 3;
    settings.handshake_timeout = 50ms;
    End answering(io, 1, 0x51, settings);
    const Endpoint at = answering.links.listen(kLoopback);
    std::vector<boost::asio::ip::tcp::socket> silent;
    for (int i = 0; i < 5; ++i) {
        silent.emplace_back(io).connect({boost::asio::ip::make_address("127.0.0.1"), at.port});
    }
    run_until(io, [&] { return answering.said.size() >= 2; });
    CHECK(answering.links.half_open() == 3);
    run_until(io, [&] { return answering.links.half_open() == 0; });
    CHECK(answering.links.half_open() == 0);
    CHECK(answering.said.size() == 5);
}

TEST_CASE("a link that is closed says no more; the other end learns it") {
    Linked pair;
    pair.dialling.links.close(pair.dialling.link);
    pair.until([&] { return pair.answering.said.size() >= 2; });
    CHECK(pair.answering.said == std::vector<std::string>{"up", "down closed by the peer"});
    CHECK(pair.dialling.said == std::vector<std::string>{"up"});
}

TEST_CASE("a farewell comes behind what was said before, and nothing after it") {
    Linked pair;
    pair.dialling.links.send(pair.dialling.link, as_bytes("first"));
    pair.dialling.links.close(pair.dialling.link, as_bytes("bye"));
    pair.dialling.links.send(pair.dialling.link, as_bytes("late"));
    // What crosses the farewell is not delivered, and does not make the connection break.
    pair.answering.links.send(pair.answering.link, as_bytes("crossing"));
    pair.until([&] { return pair.answering.said.size() >= 4; });
    CHECK(
        pair.answering.said ==
        std::vector<std::string>{"up", "message first", "message bye", "down closed by the peer"});
    CHECK(pair.dialling.said == std::vector<std::string>{"up"});
}

TEST_CASE("a farewell that nobody takes does not keep the link for long") {
    net::LinkSettings settings;
    settings.farewell_timeout = 50ms;
    Linked pair(settings);
    // More than the kernel takes of a peer that has no time to read.
    for (int i = 0; i < 100; ++i) {
        pair.answering.links.send(pair.answering.link, Bytes(60000, 'x'));
    }
    pair.answering.links.close(pair.answering.link, as_bytes("bye"));
    pair.until([&] { return pair.dialling.said.back().starts_with("down"); });
    CHECK(pair.dialling.said.back().starts_with("down"));
}

TEST_CASE("who stops says so to all, at once") {
    Linked pair;
    pair.answering.links.send(pair.answering.link, as_bytes("last news"));
    pair.answering.links.stop(as_bytes("bye"));
    pair.until([&] { return pair.dialling.said.size() >= 4; });
    REQUIRE(pair.dialling.said.size() == 4);
    CHECK(pair.dialling.said[1] == "message last news");
    CHECK(pair.dialling.said[2] == "message bye");
    CHECK(pair.answering.said == std::vector<std::string>{"up"});
}

TEST_CASE("a queue that grows long is told of, and again when it is short") {
    net::LinkSettings settings;
    settings.high_water = 300'000;
    settings.low_water = 100'000;
    Linked pair(settings);
    for (int i = 0; i < 10; ++i) {
        pair.answering.links.send(pair.answering.link, Bytes(60000, 'x'));
    }
    pair.until([&] { return pair.dialling.said.size() >= 11; });
    CHECK(pair.answering.said == std::vector<std::string>{"up", "pressed", "free"});
}

TEST_CASE("of two secrets the one that the other side has is found") {
    boost::asio::io_context io;
    End answering(io, 1, 0x51, {}, {2});
    End dialling(io, 2, 0x51, {}, {1, 2});
    dialling.links.dial(answering.links.listen(kLoopback));
    run_until(io, [&] { return !dialling.said.empty(); });
    CHECK(dialling.said == std::vector<std::string>{"up"});
    REQUIRE(answering.said.size() == 2);
    CHECK(answering.said[0].starts_with("refused "));
    CHECK(answering.said[1] == "up");
}

TEST_CASE("of many silent connections the oldest gives way") {
    boost::asio::io_context io;
    net::LinkSettings settings;
    settings.max_half_open = 3;
    End answering(io, 1, 0x51, settings);
    const Endpoint at = answering.links.listen(kLoopback);
    std::vector<boost::asio::ip::tcp::socket> silent;
    for (int i = 0; i < 5; ++i) {
        silent.emplace_back(io).connect({boost::asio::ip::make_address("127.0.0.1"), at.port});
    }
    run_until(io, [&] { return answering.said.size() >= 2; });
    CHECK(answering.said == std::vector<std::string>(2, "refused too many unfinished handshakes"));
    CHECK(answering.links.half_open() == 3);
    End dialling(io, 2, 0x51);
    dialling.links.dial(at);
    run_until(io, [&] { return !dialling.said.empty(); });
    CHECK(dialling.said == std::vector<std::string>{"up"});
}
