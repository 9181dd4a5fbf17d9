// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;
using State = ConnectionStatus::State;

namespace {

Endpoint at(std::uint8_t host) {
    return {IpAddress::v4({10, 0, 0, host}), 6783};
}

/** A connector, and what it asked for. */
struct Bench {
    explicit Bench(ConnectorSettings settings = {}, NodeId self = low())
        : random(9)
        , connector(self, fake_ports({}, random).random, settings) {}

    static NodeId low() { return NodeId{}; }

    static NodeId high() {
        NodeId node;
        node.octets.fill(0xff);
        return node;
    }

    void pass(Duration span) {
        const TimePoint end = now + span;
        do {
            now = std::min(end, std::max(now + 1ms, connector.next_deadline()));
            connector.tick(now);
            for (const ConnectorAction& action : connector.take_actions()) {
                if (const auto* dial = std::get_if<Dial>(&action)) {
                    dials.push_back({*dial, now});
                    if (refuse) {
                        connector.on_failed(dial->dial, *refuse, "no luck", now);
                    }
                } else if (const auto* cancel = std::get_if<CancelDial>(&action)) {
                    cancelled.push_back(cancel->dial);
                } else if (const auto* close = std::get_if<Close>(&action)) {
                    closed.push_back(close->link);
                }
            }
        } while (now < end);
    }

    /** The last dial ends in a link to this node. */
    LinkId connect(const NodeId& node) {
        Connected connected;
        connected.link = next_link++;
        connected.dial = dials.back().first.dial;
        connected.node = node;
        connected.remote = dials.back().first.endpoint;
        connected.local_nonce = random();
        connector.on_connected(connected, now);
        return connected.link;
    }

    ConnectionStatus only_status() {
        const auto all = connector.status(now);
        REQUIRE(all.size() == 1);
        return all[0];
    }

    std::mt19937_64 random;
    Connector connector;
    TimePoint now = TimePoint{} + 1h;
    std::optional<Failure> refuse;
    LinkId next_link = 1;
    std::vector<std::pair<Dial, TimePoint>> dials;
    std::vector<DialId> cancelled;
    std::vector<LinkId> closed;
};

/** Pauses between the dials so far. */
std::vector<Duration> gaps(const Bench& bench) {
    std::vector<Duration> out;
    for (std::size_t i = 1; i < bench.dials.size(); ++i) {
        out.push_back(bench.dials[i].second - bench.dials[i - 1].second);
    }
    return out;
}

} // namespace

TEST_CASE("a target is dialled at once, and no more once it is connected") {
    Bench bench;
    CHECK(bench.connector.add_target(at(2), bench.now));
    CHECK_FALSE(bench.connector.add_target(at(2), bench.now));
    bench.pass(0ms);
    REQUIRE(bench.dials.size() == 1);
    CHECK(bench.dials[0].first.endpoint == at(2));
    CHECK(bench.only_status().state == State::connecting);
    const LinkId link = bench.connect(node_of(2));
    bench.pass(1h);
    CHECK(bench.dials.size() == 1);
    const auto status = bench.only_status();
    CHECK(status.state == State::established);
    CHECK(status.direction == ConnectionStatus::Direction::outbound);
    CHECK(status.node == node_of(2));
    CHECK(status.target);
    CHECK(status.link == link);
    CHECK(bench.connector.link_to(node_of(2)) == link);
}

TEST_CASE("failures are followed by longer and longer pauses, never the same") {
    Bench bench;
    bench.refuse = Failure::unreachable;
    bench.connector.add_target(at(2), bench.now);
    bench.pass(20min);
    const auto pauses = gaps(bench);
    REQUIRE(pauses.size() > 15);
    double expected = 2;
    for (const Duration pause : pauses) {
        const double seconds = std::chrono::duration<double>(pause).count();
        CHECK(seconds >= expected * 0.5 - 0.01);
        CHECK(seconds <= expected * 1.5 + 0.01);
        expected = std::min(expected * 1.5, 60.0);
    }
    CHECK(pauses[12] != pauses[13]);
    CHECK(bench.only_status().state == State::retrying);
    CHECK(bench.only_status().reason == "no luck");
    CHECK(bench.only_status().next_retry_in > Duration::zero());
    CHECK(bench.only_status().attempts == bench.dials.size());
    bench.refuse.reset();
    while (bench.only_status().state != State::connecting) {
        bench.pass(1s);
    }
    bench.connect(node_of(2));
    CHECK(bench.only_status().state == State::established);
    CHECK(bench.only_status().attempts == 0);
}

TEST_CASE("nodes nobody asked for are retried more seldom in the end") {
    Bench bench;
    bench.refuse = Failure::unreachable;
    bench.connector.on_discovered(node_of(2), {at(2)}, bench.now);
    bench.pass(5h);
    CHECK(bench.connector.failing(node_of(2)));
    bench.dials.clear();
    bench.pass(1h);
    CHECK(bench.dials.size() >= 6);
    CHECK(bench.dials.size() <= 21);
}

TEST_CASE("a refusal is shown, and tried again at the slowest pace") {
    Bench bench;
    bench.refuse = Failure::refused;
    bench.connector.add_target(at(2), bench.now);
    bench.pass(29s);
    CHECK(bench.dials.size() == 1);
    CHECK(bench.only_status().state == State::failed);
    CHECK(bench.only_status().reason == "no luck");
    bench.pass(2min);
    CHECK(bench.dials.size() >= 2);
    CHECK(bench.dials.size() <= 5);
    bench.refuse.reset();
    const std::size_t before = bench.dials.size();
    while (bench.dials.size() == before) {
        bench.pass(1s);
    }
    bench.connect(node_of(2));
    CHECK(bench.only_status().state == State::established);
}

TEST_CASE("asking again for a target ends the waiting") {
    Bench bench;
    bench.refuse = Failure::refused;
    bench.connector.add_target(at(2), bench.now);
    bench.pass(1s);
    bench.connector.add_target(at(2), bench.now);
    bench.pass(1ms);
    CHECK(bench.dials.size() == 2);
}

TEST_CASE("a forgotten target is dialled no more; its link stays") {
    Bench bench;
    bench.connector.add_target(at(2), bench.now);
    bench.pass(0ms);
    SUBCASE("while it is being dialled") {
        CHECK(bench.connector.forget(at(2)));
        bench.pass(1h);
        CHECK(bench.cancelled == std::vector{bench.dials[0].first.dial});
        CHECK(bench.connector.status(bench.now).empty());
    }
    SUBCASE("when it is connected") {
        const LinkId link = bench.connect(node_of(2));
        CHECK(bench.connector.forget(at(2)));
        bench.pass(1s);
        CHECK(bench.closed.empty());
        CHECK_FALSE(bench.only_status().target);
        bench.connector.on_closed(link, Failure::unreachable, "gone", bench.now);
        bench.pass(1h);
        CHECK(bench.connector.status(bench.now).empty());
    }
    CHECK(bench.dials.size() == 1);
    CHECK_FALSE(bench.connector.forget(at(2)));
    // An answer that comes too late is nobody's.
    bench.connector.on_failed(bench.dials[0].first.dial, Failure::refused, "late", bench.now);
}

TEST_CASE("a node that meets itself says so and does not try again for a while") {
    Bench bench;
    bench.connector.add_target(at(1), bench.now);
    bench.pass(0ms);
    const LinkId link = bench.connect(Bench::low());
    bench.connector.on_discovered(node_of(2), {at(1), at(2)}, bench.now);
    bench.pass(4min);
    CHECK(bench.closed == std::vector{link});
    for (std::size_t i = 1; i < bench.dials.size(); ++i) {
        CHECK(bench.dials[i].first.endpoint == at(2));
    }
    const auto status = bench.connector.status(bench.now);
    CHECK(status[0].state == State::self);
    CHECK(status[0].reason == "this address is the node itself");
    CHECK_FALSE(status[0].next_retry_in);
    const auto tried = [&] {
        return std::count_if(bench.dials.begin() + 1, bench.dials.end(), [](const auto& it) {
            return it.first.endpoint == at(1);
        });
    };
    SUBCASE("the address may be another node's later") {
        bench.pass(2min);
        CHECK(tried() > 0);
    }
    SUBCASE("asked for again it is tried at once") {
        bench.connector.add_target(at(1), bench.now);
        bench.pass(1s);
        CHECK(tried() > 0);
        CHECK(bench.connector.status(bench.now)[0].state == State::self);
    }
    SUBCASE("it is tried when this host's addresses change") {
        bench.connector.forget_self(bench.now);
        bench.pass(1s);
        CHECK(tried() > 0);
        CHECK(bench.connector.status(bench.now)[0].state == State::self);
    }
}

TEST_CASE("the lower id dials, the higher one waits a little") {
    Bench low;
    low.connector.on_discovered(node_of(2), {at(2)}, low.now);
    low.pass(0ms);
    CHECK(low.dials.size() == 1);
    Bench high({}, Bench::high());
    high.connector.on_discovered(node_of(2), {at(2)}, high.now);
    high.pass(1900ms);
    CHECK(high.dials.empty());
    high.pass(200ms);
    CHECK(high.dials.size() == 1);
}

TEST_CASE("of a node's addresses v6 comes first, the next one a moment later") {
    Bench bench;
    const Endpoint v6{*IpAddress::parse("2001:db8::2"), 6783};
    bench.connector.on_discovered(node_of(2), {at(2), at(3), v6, at(2)}, bench.now);
    bench.pass(2s);
    REQUIRE(bench.dials.size() == 3);
    CHECK(bench.dials[0].first.endpoint == v6);
    CHECK(bench.dials[1].first.endpoint == at(2));
    CHECK(bench.dials[2].first.endpoint == at(3));
    CHECK(gaps(bench) == std::vector<Duration>{250ms, 250ms});
}

TEST_CASE("a refused address does not hold up the next one") {
    Bench bench;
    bench.refuse = Failure::unreachable;
    bench.connector.on_discovered(node_of(2), {at(2), at(3)}, bench.now);
    bench.pass(2ms);
    CHECK(bench.dials.size() == 2);
}

TEST_CASE("new addresses of a node are tried at once") {
    Bench bench;
    bench.refuse = Failure::unreachable;
    bench.connector.on_discovered(node_of(2), {at(2)}, bench.now);
    bench.pass(1min);
    bench.dials.clear();
    bench.connector.on_discovered(node_of(2), {at(3)}, bench.now);
    bench.pass(1ms);
    REQUIRE(bench.dials.size() == 1);
    CHECK(bench.dials[0].first.endpoint == at(3));
    bench.connector.on_discovered(node_of(2), {at(3)}, bench.now);
    bench.pass(1ms);
    CHECK(bench.dials.size() == 1);
}

TEST_CASE("a link that lived long is replaced at once, a short-lived one after a pause") {
    Bench bench;
    bench.connector.add_target(at(2), bench.now);
    bench.pass(0ms);
    LinkId link = bench.connect(node_of(2));
    bench.pass(61s);
    bench.connector.on_closed(link, Failure::unreachable, "cut", bench.now);
    bench.pass(1ms);
    CHECK(bench.dials.size() == 2);
    link = bench.connect(node_of(2));
    bench.pass(1s);
    bench.connector.on_closed(link, Failure::unreachable, "cut", bench.now);
    bench.pass(900ms);
    CHECK(bench.dials.size() == 2);
    bench.pass(2200ms);
    CHECK(bench.dials.size() == 3);
}

TEST_CASE("who is told that its identity is used twice waits before it comes back") {
    Bench bench;
    bench.connector.add_target(at(1), bench.now);
    for (int round = 0; round < 20; ++round) {
        bench.pass(13s);
        REQUIRE(bench.dials.size() == static_cast<std::size_t>(round + 1));
        const LinkId link = bench.connect(node_of(2));
        bench.connector.on_closed(link, Failure::identity_twice, "copied", bench.now);
        CHECK(bench.only_status().reason == "copied");
        bench.pass(3s);
        CHECK(bench.dials.size() == static_cast<std::size_t>(round + 1));
    }
}

TEST_CASE("a dial nobody reports on is given up") {
    Bench bench;
    bench.connector.add_target(at(2), bench.now);
    bench.pass(29s);
    CHECK(bench.cancelled.empty());
    bench.pass(2s);
    CHECK(bench.cancelled.size() == 1);
    CHECK(bench.only_status().reason == "no answer in time");
    bench.pass(4s);
    CHECK(bench.dials.size() == 2);
}

TEST_CASE("an address where another node answers is said, and both are kept") {
    Bench bench;
    bench.connector.on_discovered(node_of(2), {at(2)}, bench.now);
    bench.pass(0ms);
    const LinkId link = bench.connect(node_of(3));
    CHECK(bench.connector.link_to(node_of(3)) == link);
    for (const auto& status : bench.connector.status(bench.now)) {
        if (status.node == node_of(2)) {
            CHECK(status.reason == "another node answers at 10.0.0.2:6783");
        }
    }
    bench.pass(4s);
    CHECK(bench.dials.size() == 2);
}

TEST_CASE("targets, nodes and dials at once are bounded, targets come before all others") {
    ConnectorSettings settings;
    settings.max_targets = 3;
    settings.max_nodes = 50;
    settings.max_dials = 10;
    Bench bench(settings);
    for (std::uint8_t i = 0; i < 200; ++i) {
        bench.connector.on_discovered(node_of(1000u + i), {at(i)}, bench.now);
    }
    bench.pass(5s);
    CHECK(bench.dials.size() == 10);
    CHECK(bench.connector.status(bench.now).size() == 50);
    for (std::uint8_t i = 210; i < 220; ++i) {
        bench.connector.add_target(at(i), bench.now);
    }
    bench.pass(1ms);
    CHECK(bench.dials.size() == 13);
    bench.refuse = Failure::unreachable;
    bench.pass(2min);
    std::set<Endpoint> tried;
    for (const auto& [dial, when] : bench.dials) {
        tried.insert(dial.endpoint);
    }
    CHECK(tried.size() == 53);
}

TEST_CASE("nothing to do, nothing due; and never due again at once") {
    Bench bench;
    CHECK(bench.connector.next_deadline() == TimePoint::max());
    bench.refuse = Failure::unreachable;
    for (std::uint8_t i = 2; i < 12; ++i) {
        bench.connector.on_discovered(node_of(i), {at(i), at(100)}, bench.now);
    }
    for (int i = 0; i < 2000; ++i) {
        bench.pass(0ms);
        bench.pass(0ms); // the second address, after the first was refused
        REQUIRE(bench.connector.next_deadline() > bench.now);
        bench.now = bench.connector.next_deadline();
    }
}
