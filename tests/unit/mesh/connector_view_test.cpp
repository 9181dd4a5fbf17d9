// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The connector in a mesh that is too large for links between all.
#include "mesh/connector.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;
using State = ConnectionStatus::State;

namespace {

Endpoint at(std::size_t number) {
    const auto high = static_cast<std::uint8_t>(number >> 8);
    return {IpAddress::v4({10, 0, high, static_cast<std::uint8_t>(number & 0xff)}), 6783};
}

ConnectorSettings without_visits() {
    ConnectorSettings settings;
    settings.view.visit_every = 1000h;
    return settings;
}

/** The connector of node 0 in a mesh of numbers; each has one address. */
struct Bench {
    explicit Bench(std::size_t known_in, ConnectorSettings settings = without_visits())
        : known(known_in)
        , connector(node_of(0), fake_ports({}, random).random, settings) {
        for (std::size_t i = 0; i < 2000; ++i) {
            numbers[node_of(i)] = i;
            by_address[at(i)] = i;
        }
        connector.set_directory({
            .size = [this] { return known; },
            .at = [](std::size_t i) { return node_of(i); },
            .knows =
                [this](const NodeId& node) {
                    return numbers.at(node) < known && !forgotten.contains(numbers.at(node));
                },
            .endpoints = [this](const NodeId& node) { return std::vector{at(numbers.at(node))}; },
            .reachable = {},
        });
        discover_all();
    }

    void discover_all() {
        for (std::size_t i = 0; i < known; ++i) {
            connector.on_discovered(node_of(i), {at(i)}, now);
        }
    }

    void pass(Duration span) {
        const TimePoint end = now + span;
        tick();
        while (now < end) {
            now = std::min(end, std::max(now + 1ms, connector.next_deadline()));
            tick();
        }
    }

    void tick() {
        connector.tick(now);
        for (const ConnectorAction& action : connector.take_actions()) {
            obey(action);
        }
    }

    void obey(const ConnectorAction& action) {
        if (const auto* dial = std::get_if<Dial>(&action)) {
            const std::size_t number = by_address.at(dial->endpoint);
            dialled.push_back(number);
            if (down.contains(number) || all_down) {
                connector.on_failed(dial->dial, Failure::unreachable, "no luck", now);
            } else if (!silent) {
                links[number] = connect(number, dial->dial);
            }
        } else if (std::holds_alternative<CancelDial>(action)) {
            ++cancelled;
        } else if (const auto* close = std::get_if<Close>(&action)) {
            closed.push_back(*close);
            std::erase_if(links, [&](const auto& it) { return it.second == close->link; });
            if (close->code != wire::NoticeCode::crowded) {
                connector.on_closed(close->link, Failure::duplicate, close->reason, now);
            }
        }
    }

    LinkId connect(std::size_t number, std::optional<DialId> dial = std::nullopt) {
        Connected connected;
        connected.link = next_link++;
        connected.dial = dial;
        connected.node = node_of(number);
        connected.remote = at(number);
        connected.local_nonce = random();
        connected.remote_instance = 1;
        connector.on_connected(connected, now);
        return connected.link;
    }

    /** Nodes that dialled this one. */
    void come(std::size_t first, std::size_t count) {
        for (std::size_t i = first; i < first + count; ++i) {
            links[i] = connect(i);
        }
    }

    void lose(std::size_t number, Failure failure) {
        const LinkId link = links.at(number);
        links.erase(number);
        connector.on_closed(link, failure, "lost", now);
    }

    [[nodiscard]] std::size_t times(std::size_t number) const {
        return static_cast<std::size_t>(std::ranges::count(dialled, number));
    }

    ConnectionStatus target() {
        for (const ConnectionStatus& status : connector.status(now)) {
            if (status.target) {
                return status;
            }
        }
        return {};
    }

    std::size_t known;
    std::set<std::size_t> forgotten;
    std::set<std::size_t> down;
    bool all_down = false;
    bool silent = false;
    std::mt19937_64 random{3};
    std::map<NodeId, std::size_t> numbers;
    std::map<Endpoint, std::size_t> by_address;
    Connector connector;
    TimePoint now = TimePoint{} + 1h;
    LinkId next_link = 1;
    std::map<std::size_t, LinkId> links;
    std::vector<std::size_t> dialled;
    std::size_t cancelled = 0;
    std::vector<Close> closed;
};

} // namespace

TEST_CASE("in a large mesh a few nodes are dialled, and no others remembered") {
    Bench bench(1000);
    CHECK(bench.connector.sizes().nodes == 0);
    bench.silent = true;
    bench.pass(1ms);
    CHECK(bench.connector.partial());
    CHECK(bench.dialled.size() == 8);
    CHECK(bench.connector.sizes().nodes == 8);
    CHECK(bench.connector.status(bench.now).size() == 8);
    Bench other(1000);
    other.pass(1h);
    CHECK(other.dialled.size() == 8);
    CHECK(other.links.size() == 8);
    CHECK(other.connector.sizes().nodes == 0);
    CHECK(other.connector.status(other.now).size() == 8);
    CHECK(other.connector.wants(node_of(other.dialled[0])));
    CHECK(other.connector.neighbours()->size() == 4);
}

TEST_CASE("who cannot be reached is replaced, and so is who is lost or has enough links") {
    Bench bench(1000);
    for (std::size_t i = 1; i < 1000; i += 2) {
        bench.down.insert(i);
    }
    bench.pass(1min);
    CHECK(bench.links.size() == 8);
    const auto failed = std::ranges::find_if(bench.dialled, [](auto i) { return i % 2 == 1; });
    REQUIRE(failed != bench.dialled.end());
    CHECK(bench.connector.failing(node_of(*failed)));
    bench.down.clear();
    for (const Failure failure : {Failure::unreachable, Failure::crowded}) {
        const std::size_t lost = bench.links.begin()->first;
        const std::size_t before = bench.times(lost);
        bench.lose(lost, failure);
        bench.pass(1s);
        CHECK(bench.links.size() == 8);
        CHECK(bench.times(lost) == before);
        CHECK_FALSE(bench.connector.failing(node_of(lost)));
    }
    CHECK(bench.closed.empty());
}

TEST_CASE("whoever comes gets in; what is too much is closed later, and the peer told why") {
    Bench bench(1000);
    bench.pass(1ms);
    bench.come(1500, 10);
    bench.pass(3s);
    CHECK(bench.links.size() == 18);
    bench.pass(2s);
    CHECK(bench.links.size() == 12);
    CHECK(bench.connector.sizes().links == 12);
    REQUIRE(bench.closed.size() == 6);
    for (const Close& close : bench.closed) {
        CHECK(close.code == wire::NoticeCode::crowded);
        CHECK(close.reason == "the node has enough links");
    }
    for (const auto& [number, link] : bench.links) {
        CHECK(bench.connector.link_to(node_of(number)) == link);
    }
    bench.pass(1h);
    CHECK(bench.dialled.size() == 8);
    CHECK(bench.closed.size() == 6);
}

TEST_CASE("two links that come up at once in a large mesh are one in the end") {
    Bench bench(1000);
    bench.silent = true;
    bench.pass(1ms);
    const std::size_t both = bench.dialled[0];
    bench.come(both, 1);
    bench.pass(1s);
    CHECK(bench.cancelled == 0);
    CHECK(bench.connector.sizes().nodes == 7);
    bench.connect(both, DialId{1});
    bench.pass(1ms);
    CHECK(bench.closed.size() == 1);
    CHECK(bench.connector.sizes().links == 1);
    CHECK(bench.connector.link_to(node_of(both)));
}

TEST_CASE("a visit ends with the same farewell") {
    Bench bench(1000, ConnectorSettings{});
    bench.pass(1ms);
    bench.dialled.clear();
    bench.pass(10min);
    CHECK(bench.dialled.size() >= 20);
    CHECK(bench.closed.size() + 1 >= bench.dialled.size());
    CHECK(bench.closed[0].code == wire::NoticeCode::crowded);
    CHECK(bench.connector.sizes().nodes == 0);
}

TEST_CASE("a mesh that grew too large is dialled no more, one that shrank is dialled whole") {
    Bench bench(128);
    bench.silent = true;
    bench.pass(5s);
    CHECK(bench.connector.sizes().nodes == 127);
    CHECK(bench.dialled.size() == 127);
    bench.come(5, 3);
    bench.known = 129;
    bench.pass(1ms);
    CHECK(bench.cancelled >= 124 - 8);
    CHECK(bench.connector.sizes().nodes <= 8);
    CHECK(bench.connector.sizes().dials <= 8 + 3); // those to who has come are left to finish
    bench.silent = false;
    bench.pass(1min);
    bench.known = 112;
    bench.dialled.clear();
    bench.connector.on_discovered(node_of(111), {at(1111)}, bench.now);
    bench.pass(5s);
    CHECK_FALSE(bench.connector.partial());
    CHECK(bench.links.size() >= 110);
    CHECK(bench.connector.sizes().nodes == 111);
    for (std::size_t i = 1; i < 111; ++i) {
        CHECK(bench.links.contains(i));
    }
}

TEST_CASE("what was told of nodes while the mesh seemed large is not lost") {
    Bench bench(129);
    bench.known = 100;
    bench.pass(5s);
    CHECK(bench.links.size() == 99);
}

TEST_CASE("in a large mesh a target is dialled until its node is known") {
    Bench bench(1000);
    bench.all_down = true;
    bench.connector.add_target(at(1500), bench.now);
    bench.pass(5min);
    CHECK(bench.times(1500) > 5);
    bench.all_down = false;
    bench.pass(2min);
    REQUIRE(bench.links.contains(1500));
    CHECK(bench.target().state == State::established);
    SUBCASE("it is spare when it is one of many") {
        bench.known = 1600;
        bench.lose(1500, Failure::crowded);
        bench.dialled.clear();
        bench.pass(1h);
        CHECK(bench.times(1500) == 0);
        CHECK(bench.target().state == State::spare);
        CHECK_FALSE(bench.target().next_retry_in);
        SUBCASE("but not when nobody else is there") {
            bench.all_down = true;
            for (const auto& [number, link] : std::map(bench.links)) {
                bench.lose(number, Failure::unreachable);
            }
            CHECK(bench.target().state != State::spare);
            bench.pass(1s);
            CHECK(bench.times(1500) == 1);
        }
        SUBCASE("nor when the mesh forgets it") {
            bench.forgotten.insert(1500);
            bench.pass(1s);
            CHECK(bench.times(1500) == 1);
            CHECK(bench.links.contains(1500));
        }
        SUBCASE("nor when it is asked for again") {
            bench.connector.add_target(at(1500), bench.now);
            bench.pass(1s);
            CHECK(bench.times(1500) == 1);
        }
    }
    SUBCASE("it is tried again and again while it is not known") {
        bench.down.insert(1500);
        bench.lose(1500, Failure::unreachable);
        bench.dialled.clear();
        bench.pass(10min);
        CHECK(bench.times(1500) > 5);
    }
    SUBCASE("it is not bothered soon when it has enough and is not known") {
        bench.lose(1500, Failure::crowded);
        bench.dialled.clear();
        bench.pass(25s);
        CHECK(bench.times(1500) == 0);
        bench.pass(70s);
        CHECK(bench.times(1500) == 1);
    }
}

TEST_CASE("a node whose only link is closed as one too many is back within seconds") {
    SUBCASE("in a large mesh by others") {
        Bench bench(1000);
        bench.all_down = true;
        bench.pass(5min);
        bench.come(7, 1);
        bench.pass(4s);
        bench.all_down = false;
        bench.lose(7, Failure::crowded);
        bench.pass(1s);
        CHECK(bench.links.size() == 8);
    }
    SUBCASE("before it knows anybody, by the same") {
        Bench bench(1);
        bench.connector.add_target(at(9), bench.now);
        for (int round = 0; round < 5; ++round) {
            bench.pass(4s);
            REQUIRE(bench.links.size() == 1);
            bench.lose(9, Failure::crowded);
            bench.pass(900ms);
            CHECK(bench.links.empty());
        }
    }
    SUBCASE("in a mesh of full and large views by any of them") {
        Bench bench(60);
        bench.pass(5s);
        CHECK(bench.links.size() == 59);
        for (std::size_t i = 1; i < 60; ++i) {
            bench.lose(i, Failure::crowded);
        }
        bench.pass(4s);
        CHECK(bench.links.size() == 59);
    }
}

TEST_CASE("a node of a small mesh that has enough links is tried again, but seldom") {
    Bench bench(60);
    bench.pass(5s);
    bench.dialled.clear();
    bench.lose(7, Failure::crowded);
    CHECK_FALSE(bench.connector.failing(node_of(7)));
    bench.pass(2min);
    CHECK(bench.dialled.empty());
    bench.pass(8min);
    CHECK(bench.dialled == std::vector<std::size_t>{7});
    CHECK(bench.links.contains(7));
}

TEST_CASE("who names this node is named by it and keeps its link") {
    Bench bench(1000);
    for (std::size_t i = 1500; i < 1504; ++i) {
        bench.connector.on_names_us(node_of(i), true);
    }
    bench.come(1400, 200);
    bench.pass(1min);
    std::set<NodeId> namers;
    for (std::size_t i = 1500; i < 1504; ++i) {
        namers.insert(node_of(i));
        CHECK(bench.links.contains(i));
    }
    CHECK(bench.connector.neighbours() == namers);
    CHECK(bench.links.size() == 12);
    CHECK(bench.connector.sizes().namers == 4);
}

TEST_CASE("a connector of a large mesh is never due again at once") {
    Bench bench(300, ConnectorSettings{});
    for (std::size_t i = 1; i < 300; i += 3) {
        bench.down.insert(i);
    }
    bench.connector.add_target(at(1500), bench.now);
    for (int i = 0; i < 3000; ++i) {
        bench.pass(0ms);
        bench.pass(0ms);
        bench.pass(0ms);
        REQUIRE(bench.connector.next_deadline() > bench.now);
        bench.now = bench.connector.next_deadline();
        CHECK(bench.connector.sizes().nodes <= 9);
        if (i % 10 == 0 && !bench.links.empty()) {
            bench.lose(bench.links.begin()->first,
                       i % 20 == 0 ? Failure::crowded : Failure::unreachable);
        }
    }
}
