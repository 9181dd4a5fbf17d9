// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_trial.hpp"

#include <doctest/doctest.h>

#include <random>
#include <utility>

using namespace weave;
using namespace weave::daemon;
using State = PathTrial::State;

namespace {

/** Runs a trial to its end; `rate` gives bytes a second for a way at a time. How long each way was
 * used. */
struct Run {
    State state = State::fast;
    double fast_seconds = 0;
    double sockets_seconds = 0;
    unsigned turns = 0;

    template <class Rate>
    explicit Run(const Rate& rate, Duration tick = std::chrono::milliseconds{50}) {
        TimePoint now{std::chrono::hours{1}};
        double bytes = 1e9;
        PathTrial trial{now, static_cast<std::uint64_t>(bytes)};
        for (int i = 0; i < 10000 && (state == State::fast || state == State::sockets); ++i) {
            const double seconds = std::chrono::duration<double>(tick).count();
            (state == State::fast ? fast_seconds : sockets_seconds) += seconds;
            bytes += seconds * rate(state == State::fast, fast_seconds + sockets_seconds);
            now += tick;
            const State next = trial.step(now, static_cast<std::uint64_t>(bytes));
            turns += next != state ? 1U : 0U;
            state = next;
        }
        CHECK(trial.step(now + std::chrono::hours{1}, 0) == state); // it stays so
    }
};

} // namespace

TEST_CASE("a gain of 15 percent decides, and nothing less") {
    for (const auto& [gain, verdict] : {std::pair{0.5, State::no_gain},
                                        {0.9, State::no_gain},
                                        {1.0, State::no_gain},
                                        {1.14, State::no_gain},
                                        {1.16, State::gained},
                                        {3.0, State::gained}}) {
        CAPTURE(gain);
        const Run run{[&](bool fast, double) { return fast ? gain * 1e8 : 1e8; }};
        CHECK(run.state == verdict);
        CHECK(run.fast_seconds >= 1.0);
        CHECK(run.sockets_seconds >= 1.0);
        CHECK(run.turns == 2 * PathTrial::kSlots);
    }
}

TEST_CASE("what changes with time changes for both ways") {
    // Slow start: the rate grows all the time; neither way is the better one.
    CHECK(Run{[](bool, double at) { return 2e7 + 3e7 * at; }}.state == State::no_gain);
    CHECK(Run{[](bool, double at) { return 2e8 - 3e7 * at; }}.state == State::no_gain);
    for (unsigned seed = 0; seed < 50; ++seed) {
        std::mt19937 random{seed};
        const auto noise = [&] { return 0.8 + static_cast<double>(random() % 400) / 1000; };
        CHECK(Run{[&](bool, double) { return 1e8 * noise(); }}.state == State::no_gain);
        CHECK(Run{[&](bool fast, double) { return (fast ? 1.5e8 : 1e8) * noise(); }}.state ==
              State::gained);
    }
}

TEST_CASE("one slot of a stalled transfer does not decide") {
    CHECK(Run{[](bool fast, double at) {
              return at > 1 && at < 1.3 ? 0 : fast ? 1.5e8 : 1e8;
          }}.state == State::gained);
}

TEST_CASE("without traffic nothing is known") {
    CHECK(Run{[](bool fast, double) { return fast ? 1e6 : 1e3; }}.state == State::idle);
    CHECK(Run{[](bool, double) { return 0.0; }}.state == State::idle);
    CHECK(Run{[](bool, double at) { return at < 0.5 ? 1e8 : 0.0; }}.state == State::idle);
}

TEST_CASE("a slow clock makes longer slots, not fewer") {
    const Run run{[](bool fast, double) { return fast ? 2e8 : 1e8; },
                  std::chrono::milliseconds{400}};
    CHECK(run.state == State::gained);
    CHECK(run.turns == 2 * PathTrial::kSlots);
}
