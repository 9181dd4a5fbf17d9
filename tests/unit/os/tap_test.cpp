// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/tap.hpp"

#include <doctest/doctest.h>

using namespace weave::os;

TEST_CASE("coalesced UDP is for kernels that do not lose it in tunnels") {
    for (const char* fine : {"6.8.5", "6.8.12-generic", "6.9.0", "6.18.44", "7.0", "10.1.0-rc1"}) {
        CAPTURE(fine);
        CHECK(passes_coalesced_udp(fine));
    }
    for (const char* old : {"6.8.4",
                            "6.8",
                            "6.8.0-45-generic",
                            "6.1.0-13-amd64",
                            "5.14.0-427.el9",
                            "6",
                            "",
                            "none"}) {
        CAPTURE(old);
        CHECK_FALSE(passes_coalesced_udp(old));
    }
    CHECK(kernel_release().find('.') != std::string::npos);
}
