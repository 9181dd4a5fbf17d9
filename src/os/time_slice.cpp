// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/time_slice.hpp"

#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

namespace weave::os {
namespace {

/** struct sched_attr of linux/sched/types.h, which cannot be included beside glibc's sched.h. */
struct SchedulingAttributes {
    std::uint32_t size = sizeof(SchedulingAttributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0; ///< of a normal thread: its slice, in nanoseconds
    std::uint64_t deadline = 0;
    std::uint64_t period = 0;
};

} // namespace

void set_time_slice(std::chrono::nanoseconds slice) noexcept {
    SchedulingAttributes now;
    if (::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0) {
        return;
    }
    now.runtime = static_cast<std::uint64_t>(slice.count());
    ::syscall(SYS_sched_setattr, 0, &now, 0);
}

} // namespace weave::os
