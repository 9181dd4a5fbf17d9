// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Whole nodes on virtual time. Signatures are fakes here; the mesh takes them as ports.
#include "sim/checks.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <vector>

using namespace std::chrono_literals;
using weave::sim::repeat;
using weave::sim::require_clean;
using weave::sim::require_converged;
using weave::sim::World;

TEST_CASE("fifty nodes that know one address become a full mesh") {
    World world(1, 50);
    weave::sim::boot(world);
    require_converged(world, 20s);
    CHECK(world.mesh(7).nodes().size() == 50);
    CHECK(*world.mesh(7).routes() == weave::mesh::Routes{});
    MESSAGE(world.events() << " steps, " << world.messages() << " messages, "
                           << world.message_bytes() / 1024 << " KiB");
}

TEST_CASE("fifty nodes get over loss, a partition, restarts and a clock step") {
    World world(2, 50);
    world.set_weather({.loss = 0.01, .duplication = 0.05, .delay_min = 1ms, .delay_max = 60ms});
    world.set_traffic(20ms);
    weave::sim::boot(world);
    world.cut({3, 5});
    world.run_for(4s);
    world.heal();
    world.stop(1, false);
    world.stop(7, true);
    world.run_for(1s);
    world.start(1);
    world.start(7);
    world.step_clock(11, 1h);
    world.set_weather({});
    world.set_traffic({});
    require_converged(world, 60s);
    CHECK(*world.mesh(7).routes() == weave::mesh::Routes{});
}

TEST_CASE("the same seed makes the same run") {
    std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>> runs;
    for (int i = 0; i < 2; ++i) {
        World world(91, 6);
        weave::sim::boot(world);
        weave::sim::storm(world, 10);
        runs.emplace(world.events(), world.messages(), world.message_bytes(), world.datagrams());
    }
    CHECK(runs.size() == 1);
}

TEST_CASE("what one node sends another one receives, and each counts its own") {
    World world(141, 3);
    weave::sim::boot(world);
    require_converged(world, 20s);
    // On its way, or lost with a link that was closed as one too many.
    const auto open = [&] {
        std::vector<std::uint64_t> out{
            2 * world.datagrams(), 2 * world.messages(), 2 * world.message_bytes()};
        for (std::size_t i = 0; i < world.size(); ++i) {
            out[0] -= world.carried(i).udp_datagrams;
            out[1] -= world.carried(i).tcp_messages;
            out[2] -= world.carried(i).tcp_bytes;
        }
        return out;
    };
    const auto least = [&] {
        auto out = open();
        for (int i = 0; i < 400; ++i) {
            world.run_for(5ms);
            out = std::min(out, open());
        }
        return out;
    };
    const auto lost = least();
    const std::uint64_t sent = world.messages();
    world.run_for(20s);
    CHECK(world.messages() > sent);
    CHECK((least() == lost));
    CHECK(lost[1] <= 2);
    const auto before = world.carried(1);
    CHECK(before.udp_bytes > before.udp_datagrams);
    world.stop(1, false);
    world.run_for(100ms);
    const auto stopped = world.carried(1);
    CHECK(stopped == before);
}

TEST_CASE("keys are renewed in time and nothing is lost meanwhile") {
    World world(101, 5);
    weave::sim::boot(world);
    require_converged(world, 20s);
    const std::uint64_t first = world.frames();
    const std::uint64_t sessions = world.counted("session.established");
    world.set_traffic(10ms);
    world.run_for(5min);
    world.set_traffic({});
    world.run_for(1s);
    CHECK(world.frames() - first > 20000);
    CHECK(world.undelivered(first) == "");
    CHECK(world.counted("session.established") >= sessions + 2 * 10);
    require_clean(world);
}

TEST_CASE("keys that are used up at once everywhere are replaced without loss") {
    World world(111, 8);
    weave::sim::boot(world);
    require_converged(world, 20s);
    const std::uint64_t first = world.frames();
    weave::sim::rekey_often(world);
    world.run_for(1s);
    CHECK(world.undelivered(first) == "");
    require_converged(world, 20s);
}

TEST_CASE("of the frames for a node that cannot be reached the last 64 wait, each once") {
    World world(115, 4);
    weave::sim::boot(world);
    require_converged(world, 20s);
    const std::uint64_t first = world.frames();
    weave::sim::backlog(world);
    CHECK(world.undelivered(first) != "");
    CHECK(world.undelivered(first + 100 - 64) == "");
    require_converged(world, 20s);
}

TEST_CASE("each pair of nodes finds how large its packets may be") {
    World world(121, 4);
    world.set_mtu(0, 1, 1400);
    weave::sim::boot(world);
    require_converged(world, 20s);
    world.run_for(10s);
    const auto narrow = world.plane(0).path(world.id(1))->mtu();
    CHECK(narrow <= 1400);
    CHECK(narrow > 1390);
    CHECK(world.plane(0).path(world.id(2))->mtu() == 1500);
}

TEST_CASE("nodes that all dial each other at once keep one link per pair") {
    World world(5, 20);
    weave::sim::boot_all_at_once(world);
    require_converged(world, 20s);
    world.run_for(5s);
    using State = weave::mesh::ConnectionStatus::State;
    for (const auto& status : world.connector(4).status(world.local_time(4))) {
        const bool self = status.endpoint.text() == "10.0.0.4:6783";
        CHECK(status.state == (self ? State::self : State::established));
    }
}

TEST_CASE("a bad hour leaves no trace") {
    for (const std::uint64_t seed : {11u, 12u}) {
        World world(seed, 12);
        weave::sim::boot(world);
        weave::sim::storm(world, 40);
        require_converged(world, 10min);
        CHECK(world.mesh(0).nodes().size() == 12);
        CHECK(world.calm_relays() > 0);
        MESSAGE(world.calm_relays() << " datagrams relayed in a calm");
        CHECK(world.counted("mesh_malformed_message") > 0);
    }
}

TEST_CASE("nodes that cannot reach each other are reached through others, without loops") {
    World world(21, 15);
    weave::sim::boot(world);
    require_converged(world, 20s);
    weave::sim::chain(world, 3);
    require_converged(world, 20s);
    CHECK(world.mesh(0).routes()->to(world.id(14))->hops == 4);
    CHECK(world.mesh(0).routes()->to(world.id(1))->hops == 1);
    weave::sim::ring(world, 1);
    require_converged(world, 20s);
    CHECK(world.mesh(0).routes()->to(world.id(14))->hops == 1);
    CHECK(world.mesh(0).routes()->to(world.id(8))->hops == 7);
}

TEST_CASE("a pair that hears each other in one direction only is relayed, and direct again later") {
    World world(131, 5);
    world.mute_udp(3, 1, true);
    weave::sim::boot(world);
    require_converged(world, 30s);
    CHECK(world.mesh(1).routes()->to(world.id(3))->hops == 2);
    world.mute_udp(0, 4, true);
    require_converged(world, 20s);
    CHECK(world.mesh(4).routes()->to(world.id(0))->hops == 2);
    world.mute_udp(3, 1, false);
    world.mute_udp(0, 4, false);
    require_converged(world, 20s);
    CHECK(world.mesh(1).routes()->to(world.id(3))->hops == 1);
}

TEST_CASE("gossip crosses a partial TCP mesh") {
    World world(31, 12);
    for (std::size_t a = 0; a < 12; ++a) {
        for (std::size_t b = 1; b < a; ++b) {
            world.block_tcp(a, b); // a star around node 0
        }
    }
    weave::sim::boot(world);
    require_converged(world, 30s);
    CHECK(world.mesh(11).nodes().size() == 12);
}

TEST_CASE("a node that forgot its boot epoch raises it above what the others know") {
    World world(41, 6);
    weave::sim::boot(world);
    world.change_addresses(3, {9, 1, 0, 1});
    require_converged(world, 20s);
    world.stop(3, true);
    world.run_for(2s);
    world.start(3, true);
    require_converged(world, 30s);
    CHECK(world.counted("epoch_raised") >= 1);
    CHECK(world.mesh(3).epoch() > 1);
}

TEST_CASE("a dead node is forgotten everywhere and may return") {
    World world(51, 8);
    weave::sim::boot(world);
    require_converged(world, 20s);
    world.stop(5, false);
    world.run_for(8min);
    for (std::size_t i = 0; i < 8; ++i) {
        if (i != 5) {
            CHECK(world.mesh(i).nodes().size() == 7);
        }
    }
    world.start(5);
    require_converged(world, 7min);
    CHECK(world.mesh(2).nodes().size() == 8);
}

TEST_CASE("two halves that forgot each other find together again") {
    World world(61, 10);
    weave::sim::boot(world);
    require_converged(world, 20s);
    world.cut({0, 1, 2, 3, 4});
    world.run_for(8min);
    CHECK(world.mesh(0).nodes().size() == 5);
    CHECK(world.mesh(9).nodes().size() == 5);
    world.heal();
    require_converged(world, 10min);
    CHECK(world.mesh(0).nodes().size() == 10);
}

TEST_CASE("a flood of nodes that do not exist is bounded and passes") {
    World world(81, 6);
    weave::sim::boot(world);
    require_converged(world, 20s);
    weave::sim::flood(world);
    CHECK(world.counted("mesh_too_many_nodes") + world.counted("mesh_no_room") > 0);
    CHECK(world.mesh(3).nodes().size() == 6);
    require_converged(world, 10min);
    CHECK(world.mesh(2).store().nodes() == 6);
}

TEST_CASE("of two nodes with one name that start together the lower id shows it plainly") {
    World world(71, 4);
    world.set_name(1, "twin");
    world.set_name(2, "twin");
    weave::sim::boot_all_at_once(world);
    require_converged(world, 20s);
    world.run_for(30s);
    const std::size_t low = world.id(1) < world.id(2) ? 1 : 2;
    CHECK(world.mesh(0).node(world.id(low))->shown_name == "twin");
    const auto other = *world.mesh(0).node(world.id(3 - low));
    CHECK(other.shown_name == "twin~" + other.id.fingerprint());
    CHECK(world.counted("name_collision") >= 4);
    require_clean(world);
}

TEST_CASE("who had a name first keeps it when a node of a lower id comes with the same") {
    World world(72, 5);
    world.set_name(1, "twin");
    world.set_name(2, "twin");
    const std::size_t low = world.id(1) < world.id(2) ? 1 : 2;
    const std::size_t high = 3 - low;
    for (std::size_t i = 0; i < world.size(); ++i) {
        world.add_target(i, 0);
        if (i != low) {
            world.start(i);
        }
    }
    world.run_for(30s);
    world.start(low);
    require_converged(world, 20s);
    const auto shown = [&](std::size_t at, std::size_t of) {
        return world.mesh(at).node(world.id(of))->shown_name;
    };
    const std::string qualified = "twin~" + world.id(low).fingerprint();
    for (std::size_t i = 0; i < world.size(); ++i) {
        CHECK(shown(i, high) == "twin");
        CHECK(shown(i, low) == qualified);
    }
    world.stop(low, true);
    world.run_for(1s);
    world.start(low);
    require_converged(world, 20s);
    CHECK(shown(0, high) == "twin");
    CHECK(shown(0, low) == qualified);
}

TEST_CASE("two machines with one identity are noticed by others") {
    World world(151, 5);
    world.copy_identity(4, 3);
    weave::sim::boot(world);
    world.run_for(20s);
    world.cut({3}); // the copy takes its place for a while
    world.run_for(30s);
    world.heal();
    world.run_for(1min);
    CHECK(world.counted("identity_twice") > 0);
    world.stop(4, true);
    world.run_for(30s);
    const std::uint64_t told = world.counted("identity_twice");
    world.run_for(2min);
    CHECK(world.counted("identity_twice") == told);
}

TEST_CASE("sixty-four nodes with sessions on demand: a change is everywhere soon, rest is cheap") {
    World world(171, 64);
    world.watch_nobody();
    weave::sim::boot_within(world, 3s);
    require_converged(world, 20s);
    const auto times = weave::sim::spread_times(world, 5, 30s);
    CHECK(times.size() == 5 * 63);
    CHECK(times.front() > 0s);
    CHECK(weave::sim::percentile(times, 0.99) < 1s);
    world.run_for(90s); // until the last session is gone
    const auto idle = weave::sim::idle_bytes(world, 60s);
    CHECK(idle.udp_bytes == 0);
    CHECK(idle.tcp_bytes > 0);
    CHECK(idle.tcp_bytes < 2000);
    require_clean(world);
}
