// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/netns.hpp"

#include <stdexcept>
#include <thread>

#include <sched.h>

namespace weave::test {

/** A new network namespace that lives as long as the descriptor. Needs root. */
inline os::UniqueFd new_netns() {
    os::UniqueFd fd;
    std::thread{[&fd] {
        if (::unshare(CLONE_NEWNET) == 0) {
            fd = os::current_netns();
        }
    }}.join();
    if (!fd) {
        throw std::runtime_error("cannot make a network namespace");
    }
    return fd;
}

} // namespace weave::test
