// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/stall_watch.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::daemon;
using Verdict = StallWatch::Verdict;

namespace {

struct Watched {
    StallWatch watch;
    FastProgress progress;
    TimePoint now{std::chrono::hours{1}};

    Verdict after(int milliseconds) {
        now += std::chrono::milliseconds{milliseconds};
        return watch.look(progress, now);
    }
};

} // namespace

TEST_CASE("what is sent and comes back works, however long it takes to look") {
    Watched it;
    for (int i = 0; i < 100; ++i) {
        it.progress.submitted += 100;
        it.progress.completed += 90;
        it.progress.redirected += 100;
        it.progress.taken += 1;
        CHECK(it.after(250) == Verdict::works);
    }
    CHECK(it.after(60000) == Verdict::works);
}

TEST_CASE("sixteen frames and then nothing is a stall of what is sent") {
    Watched it;
    it.progress = {16, 16, 0, 0};
    CHECK(it.after(250) == Verdict::works);
    for (int i = 0; i < 3; ++i) {
        it.progress.submitted += 10;
        CHECK(it.after(250) == Verdict::works);
    }
    it.progress.submitted += 10;
    CHECK(it.after(250) == Verdict::sends_stalled);
    it.watch.reset();
    CHECK(it.after(250) == Verdict::works);
}

TEST_CASE("a line that stays full is a stall, not idle") {
    Watched it;
    it.progress = {1024, 0, 0, 0};
    CHECK(it.after(250) == Verdict::works);
    for (int i = 0; i < 4; ++i) {
        it.progress.refused += 5;
        CHECK(it.after(250) == (i < 3 ? Verdict::works : Verdict::sends_stalled));
    }
}

TEST_CASE("what the filter sends to a socket and nobody takes is a stall") {
    Watched it;
    for (int i = 0; i < 5; ++i) {
        it.progress.redirected += 1;
        CHECK(it.after(250) == (i < 4 ? Verdict::works : Verdict::receives_stalled));
    }
}

TEST_CASE("nothing to do is no stall") {
    Watched it;
    // The last frames may be back without anybody having looked.
    it.progress = {100, 90, 100, 90};
    for (int i = 0; i < 100; ++i) {
        CHECK(it.after(250) == Verdict::works);
    }
    it.progress.submitted += 1;
    it.progress.redirected += 1;
    CHECK(it.after(250) == Verdict::works);
    CHECK(it.after(60000) == Verdict::works);
}
