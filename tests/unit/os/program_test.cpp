// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/program.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <system_error>

using namespace weave::os;
using namespace std::chrono_literals;

TEST_CASE("a program gets its input, and its status and both outputs come back") {
    const ProgramResult result =
        run_program({"sh", "-c", "cat; echo more >&2; exit 3"}, "given ", 10s);
    CHECK(result.status == 3);
    CHECK(result.output == "given more\n");
    CHECK(run_program({"sh", "-c", "kill -9 $$"}, {}, 10s).status == 128 + 9);
}

TEST_CASE("much input and much output do not wait for each other, and only the first MiB is kept") {
    const std::string much(3 << 20, 'x');
    const ProgramResult result = run_program({"cat"}, much, 10s);
    CHECK(result.status == 0);
    CHECK(result.output == much.substr(0, 1 << 20));
}

TEST_CASE("its environment is small and known") {
    CHECK(run_program({"env"}, {}, 10s).output == "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n");
}

TEST_CASE("one that does not end is killed, whether it keeps its output open or not") {
    const auto start = std::chrono::steady_clock::now();
    CHECK_THROWS_WITH_AS(run_program({"sleep", "60"}, {}, 100ms),
                         "the program sleep did not end in time and was killed",
                         std::system_error);
    CHECK_THROWS_AS(run_program({"sh", "-c", "exec >&- 2>&-; exec sleep 60"}, {}, 100ms),
                    std::system_error);
    CHECK(std::chrono::steady_clock::now() - start < 30s);
}

TEST_CASE("one that is not there is named") {
    CHECK(has_program("sh"));
    CHECK(!has_program("weave-no-such-program"));
    CHECK_THROWS_WITH_AS(run_program({"weave-no-such-program"}, {}, 1s),
                         "the program weave-no-such-program is not installed",
                         std::system_error);
}
