// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Several links between two nodes: both ends keep the same one, in whatever order they hear of
// them.
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;

namespace {

/** A link as both ends see it. */
struct Both {
    LinkId link = 0;
    std::uint64_t nonces[2] = {0, 0};
    std::uint64_t epochs[2] = {1, 1};
    std::uint32_t instances[2] = {1, 1};
};

struct End {
    End(std::size_t side_in, std::mt19937_64& random)
        : side(side_in)
        , connector(node_of(side_in), fake_ports({}, random).random) {}

    void hears(const Both& both, TimePoint now) {
        Connected connected;
        connected.link = both.link;
        connected.node = node_of(1 - side);
        connected.remote = {IpAddress::v4({10, 0, 0, 1}), 6783};
        connected.local_nonce = both.nonces[side];
        connected.remote_nonce = both.nonces[1 - side];
        connected.remote_instance = both.instances[1 - side];
        connected.own_boot_epoch = both.epochs[side];
        connected.boot_epoch = both.epochs[1 - side];
        connector.on_connected(connected, now);
        for (const ConnectorAction& action : connector.take_actions()) {
            if (const auto* close = std::get_if<Close>(&action)) {
                closed.push_back(close->link);
                codes.push_back(close->code);
                connector.on_closed(close->link, Failure::duplicate, close->reason, now);
            } else if (const auto* tell = std::get_if<TellCopied>(&action)) {
                told.push_back(tell->link);
            } else if (std::holds_alternative<IdentityTwice>(action)) {
                ++twice;
            }
        }
    }

    [[nodiscard]] std::optional<LinkId> kept() const {
        return connector.link_to(node_of(1 - side));
    }

    std::size_t side;
    Connector connector;
    std::vector<LinkId> closed;
    std::vector<wire::NoticeCode> codes;
    std::vector<LinkId> told;
    int twice = 0;
};

} // namespace

TEST_CASE("both ends keep the same one of several links") {
    std::mt19937_64 random(17);
    for (int round = 0; round < 500; ++round) {
        std::vector<Both> links(2 + random() % 4);
        std::uint64_t epochs[2] = {1 + random() % 3, 1 + random() % 3};
        for (std::size_t i = 0; i < links.size(); ++i) {
            links[i].link = i + 1;
            // Either end may raise its epoch between two links.
            for (std::size_t side = 0; side < 2; ++side) {
                epochs[side] += random() % 4 == 0 ? 1U : 0U;
                links[i].epochs[side] = epochs[side];
                links[i].nonces[side] = random();
            }
        }
        End left(0, random);
        End right(1, random);
        std::vector<Both> other_order = links;
        std::shuffle(links.begin(), links.end(), random);
        std::shuffle(other_order.begin(), other_order.end(), random);
        for (const Both& link : links) {
            left.hears(link, TimePoint{} + 1h);
        }
        for (const Both& link : other_order) {
            right.hears(link, TimePoint{} + 1h);
        }
        REQUIRE(left.kept());
        CHECK(left.kept() == right.kept());
        CHECK(left.closed.size() == links.size() - 1);
        CHECK(right.closed.size() == links.size() - 1);
    }
}

TEST_CASE("a link to an earlier life gives way") {
    std::mt19937_64 random(1);
    End end(0, random);
    end.hears({.link = 1, .nonces = {0, 0}, .epochs = {1, 1}}, TimePoint{} + 1h);
    end.hears({.link = 2, .nonces = {9, 1}, .epochs = {1, 2}}, TimePoint{} + 1h);
    CHECK(end.kept() == 2u);
    CHECK(end.closed == std::vector<LinkId>{1});
}

TEST_CASE("the end of a link that lost leaves the other one alone") {
    std::mt19937_64 random(1);
    End end(0, random);
    end.hears({.link = 1, .nonces = {0, 1}, .epochs = {1, 1}}, TimePoint{} + 1h);
    end.hears({.link = 2, .nonces = {0, 2}, .epochs = {1, 1}}, TimePoint{} + 1h);
    CHECK(end.kept() == 1u);
    end.connector.on_closed(2, Failure::duplicate, "told twice", TimePoint{} + 1h);
    CHECK(end.kept() == 1u);
    end.connector.on_closed(1, Failure::unreachable, "cut", TimePoint{} + 1h);
    CHECK_FALSE(end.kept());
}

TEST_CASE("a process that was followed by another and is back was copied") {
    std::mt19937_64 random(1);
    End end(0, random);
    const auto hears = [&](LinkId link, std::uint64_t epoch, std::uint32_t instance) {
        end.hears({.link = link, .epochs = {1, epoch}, .instances = {1, instance}},
                  TimePoint{} + 1h);
    };
    hears(1, 1, 71);
    hears(2, 1, 71);
    hears(3, 2, 72); // a restart
    hears(4, 2, 72);
    hears(5, 3, 73); // and another
    CHECK(end.twice == 0);
    CHECK(end.codes == std::vector(4, wire::NoticeCode::duplicate));
    hears(6, 2, 72);
    CHECK(end.twice == 1);
    // The one that is shut out is told, and so is the other.
    CHECK(end.closed.back() == 6);
    CHECK(end.codes.back() == wire::NoticeCode::identity_twice);
    CHECK(end.told == std::vector<LinkId>{5});
    hears(7, 4, 73); // who is not shut out may come again
    CHECK(end.twice == 1);
    hears(8, 2, 72); // told a moment ago
    CHECK(end.twice == 1);
}

TEST_CASE("a copy whose links always lose is noticed, a restart without its epoch is not one") {
    std::mt19937_64 random(1);
    End end(0, random);
    TimePoint now = TimePoint{} + 1h;
    const auto hears = [&](LinkId link, std::uint64_t epoch, std::uint32_t instance) {
        end.hears({.link = link, .epochs = {1, epoch}, .instances = {1, instance}}, now);
    };
    hears(1, 5, 71);
    hears(2, 3, 72);
    now += 5s; // so long a dead link may stand
    hears(3, 3, 72);
    CHECK(end.twice == 0);
    now += 6s;
    hears(4, 3, 72);
    CHECK(end.twice == 1);
    CHECK(end.codes.back() == wire::NoticeCode::identity_twice);
}

TEST_CASE(
    "a node restarted without its epoch is one when it comes long after its dead link ended") {
    std::mt19937_64 random(1);
    End end(0, random);
    TimePoint now = TimePoint{} + 1h;
    const auto hears = [&](LinkId link, std::uint64_t epoch, std::uint32_t instance) {
        end.hears({.link = link, .epochs = {1, epoch}, .instances = {1, instance}}, now);
    };
    hears(1, 5, 71);
    now += 1s;
    hears(2, 3, 72); // gives way
    CHECK(end.kept() == 1u);
    now += 8s;
    end.connector.on_closed(1, Failure::unreachable, "nothing heard in time", now);
    now += 1min;
    hears(3, 3, 72);
    CHECK(end.kept() == 3u);
    CHECK(end.twice == 0);
    SUBCASE("as one of two it is noticed all the same") {
        hears(4, 5, 71);
        hears(5, 3, 72);
        now += 10s;
        hears(6, 3, 72);
        CHECK(end.twice > 0);
    }
    SUBCASE("its next restart is none either") {
        hears(4, 4, 73);
        CHECK(end.kept() == 4u);
        CHECK(end.twice == 0);
    }
}
