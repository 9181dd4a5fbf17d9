// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/ring.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace weave;
using namespace weave::ipam;

namespace {

/** Begins at `start`, in a range of at most 65536. */
NodeId node_at(Index start, std::uint8_t tag = 0) {
    NodeId node;
    node.octets[6] = static_cast<std::uint8_t>(start >> 8);
    node.octets[7] = static_cast<std::uint8_t>(start);
    node.octets[15] = tag;
    return node;
}

struct Said {
    Run run;
    Claim claim;
};

/** Claims on all of the range and on parts of it, with few stamps, so that many are equal. */
std::vector<Said> random_claims(std::mt19937_64& random, Index size, std::size_t count) {
    std::vector<NodeId> nodes;
    for (std::uint8_t tag = 0; tag < 6; ++tag) {
        nodes.push_back(node_at(static_cast<Index>(random() % size), tag));
    }
    std::vector<Said> out;
    for (std::size_t i = 0; i < count; ++i) {
        Run run{static_cast<Index>(random() % size), static_cast<Index>(random() % (size + 3))};
        if (random() % 3 == 0) {
            run = {0, size};
        }
        const Stamp stamp{static_cast<std::uint32_t>(random() % 2),
                          static_cast<std::uint32_t>(random() % 3)};
        out.push_back({run, {nodes[random() % nodes.size()], stamp}});
    }
    return out;
}

/** The rule, index by index. */
Claim winner(const Ring& ring, const std::vector<Said>& said, Index at) {
    Claim best;
    const auto distance = [&](const NodeId& node) {
        return (at + ring.size() - ring.start_of(node)) % ring.size();
    };
    for (const Said& one : said) {
        if (!one.run.contains(at) || one.claim.stamp < best.stamp || one.claim.stamp == Stamp{}) {
            continue;
        }
        const auto key = [&](const Claim& claim) {
            return std::pair(distance(claim.owner), claim.owner);
        };
        if (one.claim.stamp > best.stamp || key(one.claim) < key(best)) {
            best = one.claim;
        }
    }
    return best;
}

} // namespace

TEST_CASE("a node that began alone owns everything") {
    Ring ring(1000);
    CHECK(ring.empty());
    CHECK(ring.merge({0, 1000}, {node_at(7), {0, 1}}));
    CHECK_FALSE(ring.empty());
    CHECK_FALSE(ring.merge({0, 1000}, {node_at(7), {0, 1}}));
    CHECK(ring.owned(node_at(7), {0, 2000}) ==
          std::vector<std::pair<Run, Stamp>>{{{0, 1000}, {0, 1}}});
    CHECK(ring.owned(node_at(7), {10, 20}) ==
          std::vector<std::pair<Run, Stamp>>{{{10, 20}, {0, 1}}});
    CHECK(ring.owned(node_at(8), {0, 1000}).empty());
}

TEST_CASE("of two that each began alone, each keeps what lies behind its start") {
    Ring ring(1000);
    ring.merge({0, 1000}, {node_at(300), {0, 1}});
    ring.merge({0, 1000}, {node_at(700), {0, 1}});
    CHECK(ring.at(0).owner == node_at(700));
    CHECK(ring.at(299).owner == node_at(700));
    CHECK(ring.at(300).owner == node_at(300));
    CHECK(ring.at(699).owner == node_at(300));
    CHECK(ring.at(700).owner == node_at(700));
    CHECK(ring.pieces().size() == 3);
}

TEST_CASE("what was given away stays given, and a later era goes before any version") {
    Ring ring(1000);
    ring.merge({0, 1000}, {node_at(300), {0, 1}});
    ring.merge({400, 500}, {node_at(700), {0, 2}});
    CHECK_FALSE(ring.merge({0, 1000}, {node_at(300), {0, 1}}));
    CHECK(ring.at(450).owner == node_at(700));
    ring.merge({450, 460}, {node_at(1), {1, 0}});
    ring.merge({400, 500}, {node_at(700), {0, 99}});
    CHECK(ring.at(450).owner == node_at(1));
    CHECK(ring.at(460).owner == node_at(700));
}

TEST_CASE("what lies outside the range, or claims nothing, changes nothing") {
    Ring ring(10);
    CHECK_FALSE(ring.merge({10, 20}, {node_at(1), {0, 1}}));
    CHECK_FALSE(ring.merge({5, 5}, {node_at(1), {0, 1}}));
    CHECK_FALSE(ring.merge({7, 3}, {node_at(1), {0, 1}}));
    CHECK_FALSE(ring.merge({0, 10}, {node_at(1), {0, 0}}));
    CHECK(ring.empty());
    CHECK(ring.merge({9, 4'000'000'000}, {node_at(1), {0, 1}}));
    CHECK(ring.owned(node_at(1), {0, 10}) == std::vector<std::pair<Run, Stamp>>{{{9, 10}, {0, 1}}});
}

TEST_CASE(
    "merging is a join: in any order, and again, the same ring, as the rule says for each index") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 200; ++round) {
        const Index size = static_cast<Index>(1 + random() % 200);
        std::vector<Said> said = random_claims(random, size, 1 + random() % 20);
        Ring ring(size);
        for (const Said& one : said) {
            ring.merge(one.run, one.claim);
        }
        for (Index at = 0; at < size; ++at) {
            REQUIRE(ring.at(at) == winner(ring, said, at));
        }
        Ring other(size);
        std::shuffle(said.begin(), said.end(), random);
        for (const Said& one : said) {
            const bool wins = other.wins(one.run, one.claim);
            const bool splits = other.splits(one.run, one.claim);
            const std::size_t before = other.piece_count();
            REQUIRE(other.merge(one.run, one.claim) == wins);
            REQUIRE((splits || other.piece_count() <= before));
            other.merge(said.front().run, said.front().claim);
        }
        REQUIRE(other == ring);
        // One ring's pieces, merged into the other, say nothing new.
        for (const auto& [run, claim] : ring.pieces()) {
            REQUIRE_FALSE(other.merge(run, claim));
        }
        const auto pieces = ring.pieces();
        REQUIRE(pieces.front().first.first == 0);
        REQUIRE(pieces.back().first.end == size);
        for (std::size_t i = 1; i < pieces.size(); ++i) {
            REQUIRE(pieces[i].first.first == pieces[i - 1].first.end);
            REQUIRE(pieces[i].second != pieces[i - 1].second); // as few as can be
        }
    }
}
