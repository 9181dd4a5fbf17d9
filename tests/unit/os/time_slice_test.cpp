// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/time_slice.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <thread>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace weave;

namespace {

/** The kernel's sched_attr as words: the nice value is in the third, the slice the fourth. */
using Attributes = std::array<std::uint64_t, 7>;

Attributes attributes() {
    Attributes out{};
    CHECK(::syscall(SYS_sched_getattr, 0, out.data(), sizeof out, 0) == 0);
    return out;
}

} // namespace

TEST_CASE("a thread gets the slice it asked for, and nothing else changes") {
    std::thread{[] {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 3);
        const Attributes before = attributes();
        os::set_time_slice(std::chrono::microseconds{100});
        const Attributes after = attributes();
        CHECK(after[1] == before[1]);
        CHECK(after[2] == before[2]);
        CHECK(::getpriority(PRIO_PROCESS, 0) == 3);
        // Before Linux 6.12 the slice of a normal thread is not told, and not settable.
        if (before[3] != 0) {
            CHECK(after[3] == 100'000);
        }
    }}.join();
}
