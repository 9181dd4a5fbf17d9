// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/scenarios.hpp"

#include "wire/record.hpp"

#include <algorithm>

namespace weave::sim {
namespace {

using namespace std::chrono_literals;

void one_trouble(World& world, wire::RecordPtr& old) {
    auto& random = world.random();
    const std::size_t node = random() % world.size();
    const std::size_t other = random() % world.size();
    switch (random() % 10) {
    case 0: {
        std::set<std::size_t> side;
        for (std::size_t i = 0; i < world.size(); ++i) {
            if (random() % 2 == 0) {
                side.insert(i);
            }
        }
        world.cut(side);
        world.run_for(20s);
        world.heal();
        return;
    }
    case 1:
        world.stop(node, random() % 2 == 0);
        world.run_for(4s);
        world.start(node, random() % 3 == 0);
        return;
    case 2:
        if (node != other) {
            world.block_udp(node, other, random() % 4 != 0);
        }
        return;
    case 3:
        world.step_clock(node, 30min);
        return;
    case 4:
        world.change_addresses(node, some_addresses(random()));
        return;
    case 5:
        old = world.mesh(node).store().find({world.id(node), wire::kTopologyKind});
        return;
    case 6:
        world.replay_datagrams(40);
        return;
    case 7:
        world.use_up_keys();
        return;
    case 8:
        world.mute_udp(node, other, node != other && random() % 4 != 0);
        return;
    default:
        if (old) {
            world.replay(other, old);
        }
        world.inject(node, {3, 200, 0, 1, 2});
        return;
    }
}

} // namespace

Bytes some_addresses(std::uint64_t number) {
    wire::Addresses addresses;
    for (unsigned i = 0; i < 3; ++i) {
        const auto low = static_cast<std::uint8_t>(number >> (8 * i));
        addresses.macs.push_back({{2, 0, 0, 0, low, static_cast<std::uint8_t>(i)}});
    }
    return wire::encode_addresses(addresses);
}

void boot_within(World& world, Duration span) {
    std::vector<std::pair<Duration, std::size_t>> starts;
    for (std::size_t i = 0; i < world.size(); ++i) {
        const auto moment = world.random()() % (static_cast<std::uint64_t>(span.count()) + 1);
        starts.emplace_back(
            i == 0 ? Duration::zero() : Duration(static_cast<Duration::rep>(moment)), i);
        world.add_target(i, 0);
    }
    std::ranges::sort(starts);
    Duration passed{};
    for (const auto& [moment, node] : starts) {
        world.run_for(moment - passed);
        passed = moment;
        world.start(node);
    }
}

void boot(World& world) {
    for (std::size_t i = 0; i < world.size(); ++i) {
        world.add_target(i, 0);
        world.add_target(i, world.random()() % world.size());
    }
    for (std::size_t i = 0; i < world.size(); ++i) {
        world.start(i);
        world.run_for(std::chrono::milliseconds(world.random()() % (3000 / world.size() + 1)));
    }
}

void boot_all_at_once(World& world) {
    for (std::size_t i = 0; i < world.size(); ++i) {
        for (std::size_t other = 0; other < world.size(); ++other) {
            world.add_target(i, other);
        }
    }
    for (std::size_t i = 0; i < world.size(); ++i) {
        world.start(i);
    }
}

void storm(World& world, unsigned troubles) {
    constexpr Weather kRough{
        .loss = 0.05, .duplication = 0.05, .delay_min = 1ms, .delay_max = 150ms};
    world.set_weather(kRough);
    world.set_traffic(40ms);
    wire::RecordPtr old;
    for (unsigned i = 0; i < troubles; ++i) {
        one_trouble(world, old);
        world.run_for(std::chrono::milliseconds(world.random()() % 4000));
        if (i % 10 == 9) {
            // Long enough for all to agree, whatever is blocked.
            world.set_weather({});
            world.run_for(6s);
            world.set_weather(kRough);
        }
    }
    world.set_traffic({});
    world.set_weather({});
    for (std::size_t a = 0; a < world.size(); ++a) {
        for (std::size_t b = 0; b < world.size(); ++b) {
            world.block_udp(a, b, false);
            world.mute_udp(a, b, false);
        }
    }
}

void rekey_often(World& world) {
    world.set_traffic(5ms);
    for (int i = 0; i < 12; ++i) {
        world.use_up_keys();
        world.run_for(300ms);
        world.replay_datagrams(10);
    }
    world.set_traffic({});
}

void backlog(World& world) {
    for (std::size_t other = 1; other < world.size(); ++other) {
        world.block_udp(0, other, true);
    }
    world.run_for(6s); // an idle path is probed every two seconds
    world.send_frames(0, 1, 100);
    for (std::size_t other = 1; other < world.size(); ++other) {
        world.block_udp(0, other, false);
    }
    world.run_for(3s);
}

void flood(World& world) {
    // What one of them has for the other stays where it is: neither shows that it has it, too.
    world.block_links(1);
    world.block_links(2);
    for (int round = 0; round < 5; ++round) {
        world.flood(0, 30);
        world.run_for(6min);
    }
    for (const std::size_t stuck : {1u, 2u}) {
        world.stop(stuck, true);
        world.start(stuck);
    }
}

void ring(World& world, std::size_t group) {
    const std::size_t groups = (world.size() + group - 1) / group;
    for (std::size_t a = 0; a < world.size(); ++a) {
        for (std::size_t b = 0; b < a; ++b) {
            const std::size_t apart = a / group - b / group;
            world.block_udp(a, b, std::min(apart, groups - apart) > 1);
        }
    }
}

void chain(World& world, std::size_t group) {
    for (std::size_t a = 0; a < world.size(); ++a) {
        for (std::size_t b = 0; b < a; ++b) {
            world.block_udp(a, b, a / group > b / group + 1);
        }
    }
}

} // namespace weave::sim
