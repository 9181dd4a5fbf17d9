// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "peers_rig.hpp"

using namespace weave;
using namespace weave::daemon;
using namespace weave::daemon::test;

TEST_CASE(
    "who is not watched has a session from the first frame on until a minute after the last") {
    crypto::init();
    Host a(1);
    Host b(2);
    a.watches = b.watches = false;
    a.knows(b, {b.endpoint});
    b.knows(a, {a.endpoint});
    for (int i = 0; i < 20; ++i) {
        a.turn();
        b.turn();
        std::this_thread::sleep_for(5ms);
    }
    CHECK(a.counted("session_init_sent") == 0);
    CHECK(a.peers->view(a.now()).front().idle);

    a.send_frame();
    REQUIRE(until({&a, &b}, [&] { return a.has_session() && b.has_session(); }));
    std::array<std::uint8_t, 256> bytes{};
    CHECK(until({&a, &b}, [&] { return ::recv(b.pod.get(), bytes.data(), bytes.size(), 0) > 0; }));
    CHECK_FALSE(a.peers->view(a.now()).front().idle);

    const auto a_second_later = [&] {
        a.ahead += 1s;
        b.ahead += 1s;
        return false;
    };
    const auto pass = [&](int seconds) {
        for (int i = 0; i < seconds; ++i) {
            a_second_later();
            a.turn();
            b.turn();
            std::this_thread::sleep_for(5ms);
        }
    };
    pass(50);
    a.send_frame();
    CHECK(until({&a, &b}, [&] { return ::recv(b.pod.get(), bytes.data(), bytes.size(), 0) > 0; }));
    pass(50);
    CHECK(a.has_session());
    CHECK(until({&a, &b},
                [&] { return a_second_later() || (!a.has_session() && !b.has_session()); }));
    pass(5);
    CHECK_FALSE(a.has_session());
    CHECK_FALSE(b.has_session());
}
