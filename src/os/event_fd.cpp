// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/event_fd.hpp"

#include "os/error.hpp"

#include <cstdint>

#include <sys/eventfd.h>

namespace weave::os {

EventFd::EventFd()
    : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!fd_) {
        throw_errno("cannot create an eventfd");
    }
}

void EventFd::signal() noexcept {
    // A full counter (EAGAIN) is already readable, so the result does not matter.
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

bool EventFd::drain() noexcept {
    std::uint64_t count = 0;
    return ::read(fd_.get(), &count, sizeof count) == static_cast<ssize_t>(sizeof count);
}

} // namespace weave::os
