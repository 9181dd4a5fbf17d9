// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace weave::dataplane::test {

/** What a thread did while it was watched, of what the packet path must not do. */
struct Doings {
    std::uint64_t allocations = 0; ///< malloc and its kin, operator new included
    std::uint64_t frees = 0;       ///< of something
    std::uint64_t locks = 0;       ///< mutexes, read-write locks, condition variables, semaphores
    std::uint64_t clocks = 0;      ///< readings of any clock
    std::uint64_t batches = 0;     ///< waits for events that found some
    /** System calls other than the few that move packets. */
    std::uint64_t system_calls = 0;
    /** The first of them, -1 without any. */
    int first_system_call = -1;
};

/**
 * Watches the calling thread. This program has its own malloc, pthread_mutex_lock, clock_gettime
 * and so on in front of the C library's, which count; and the kernel refuses, and tells, every
 * system call of the thread but epoll_wait, poll, read, writev, sendmsg, recvmmsg, and write to
 * anything but the standard streams. The refusal stays for the life of the thread.
 */
void start_watching();
/** What the calling thread did since start_watching(). */
Doings stop_watching();

} // namespace weave::dataplane::test
