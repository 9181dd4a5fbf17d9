// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forwarding.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace weave::dataplane;

namespace {

struct Entry {
    bool known = true;
    bool wants_broadcast = true;

    [[nodiscard]] bool vacant() const { return !known; }
};

/** Who gets it, or nobody, with the reason. */
struct Answer {
    std::vector<PeerIndex> peers;
    std::optional<Drop> reason;
};

Answer ask(const Destination& to) {
    static constexpr std::array<PeerIndex, 2> kTakers{0, 3};
    std::span<const PeerIndex> out;
    Answer answer;
    answer.reason = recipients(to, kTakers, out);
    answer.peers.assign(out.begin(), out.end());
    return answer;
}

} // namespace

TEST_CASE("group frames go to each peer that takes them, once") {
    const std::vector<Entry> peers{{true, true}, {true, false}, {false, true}, {true, true}};
    CHECK(group_takers(peers) == std::vector<PeerIndex>{0, 3});
    CHECK(ask({true, false, kNoPeer}).peers == std::vector<PeerIndex>{0, 3});
}

TEST_CASE("a frame goes to the owner of its destination alone") {
    CHECK(ask({false, false, 1}).peers == std::vector<PeerIndex>{1});
    CHECK(ask({false, true, 1}).peers == std::vector<PeerIndex>{1});
    CHECK(ask({false, false, kLocalPeer}).reason == Drop::local_destination);
}

TEST_CASE("a frame for nobody known goes to all, but not by its IP address") {
    CHECK(ask({false, false, kNoPeer}).peers == std::vector<PeerIndex>{0, 3});
    CHECK(ask({false, true, kNoPeer}).reason == Drop::no_route);
}

TEST_CASE("a relay lowers the hop limit and gives nothing back to whom it came from") {
    std::uint8_t ttl = 3;
    CHECK(!forward(1, 2, ttl));
    CHECK(ttl == 2);
    CHECK(forward(1, 1, ttl) == Drop::relay_loop);
    CHECK(forward(1, kNoPeer, ttl) == Drop::relay_refused);
    CHECK(ttl == 2);
    ttl = 1;
    CHECK(forward(1, 2, ttl) == Drop::ttl_expired);
}
