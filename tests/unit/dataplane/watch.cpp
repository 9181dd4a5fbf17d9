// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "watch.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <system_error>

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

// glibc's own names for the functions that this program stands in front of.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);
}

namespace weave::dataplane::test {
namespace {

thread_local bool watched = false;
thread_local Doings doings;

void count(std::uint64_t Doings::*what) {
    if (watched) {
        ++(doings.*what);
    }
}

/** The function behind this program's own. */
template <class Function> Function next(const char* name) {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

void tell_of_system_call(int, siginfo_t* info, [[maybe_unused]] void* context) {
#ifdef __x86_64__ // whoever made the call is to hear that it failed
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#endif
    if (watched && doings.system_calls++ == 0) {
        doings.first_system_call = info->si_syscall;
    }
}

constexpr sock_filter allow(long call, std::uint8_t to_verdict) {
    return {BPF_JMP | BPF_JEQ | BPF_K, to_verdict, 0, static_cast<unsigned>(call)};
}

void refuse_system_calls() {
    constexpr std::array kAllowed{
#ifdef SYS_epoll_wait // newer architectures have the next two only
        SYS_epoll_wait,
        SYS_poll,
#endif
        SYS_epoll_pwait,
        SYS_ppoll,
        SYS_read,
        SYS_writev,
        SYS_sendmsg,
        SYS_recvmmsg,
        // How a signal handler and a thread end.
        SYS_rt_sigreturn,
        SYS_rt_sigprocmask,
        SYS_madvise,
        SYS_exit};
    constexpr std::size_t kCount = kAllowed.size();
    std::array<sock_filter, kCount + 6> code{};
    code[0] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)};
    for (std::size_t i = 0; i < kCount; ++i) {
        code[i + 1] = allow(kAllowed[i], static_cast<std::uint8_t>(kCount - i + 3));
    }
    code[kCount + 1] = {BPF_JMP | BPF_JEQ | BPF_K, 0, 2, SYS_write};
    code[kCount + 2] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args)};
    code[kCount + 3] = {BPF_JMP | BPF_JGT | BPF_K, 1, 0, STDERR_FILENO};
    code[kCount + 4] = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP};
    code[kCount + 5] = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot filter system calls");
    }
}

} // namespace

void start_watching() {
    struct sigaction action {};

    action.sa_sigaction = tell_of_system_call;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSYS, &action, nullptr);
    // What malloc keeps for a thread it makes at the first call.
    void* volatile memory = std::malloc(1);
    std::free(memory);
    refuse_system_calls();
    doings = {};
    watched = true;
}

Doings stop_watching() {
    watched = false;
    return doings;
}

} // namespace weave::dataplane::test

// ---- In front of the C library
// ----------------------------------------------------------------------------------------

using weave::dataplane::test::count;
using weave::dataplane::test::Doings;
using weave::dataplane::test::next;

extern "C" {

void* malloc(std::size_t size) {
    count(&Doings::allocations);
    return __libc_malloc(size);
}

void* calloc(std::size_t number, std::size_t size) {
    count(&Doings::allocations);
    return __libc_calloc(number, size);
}

void* realloc(void* old, std::size_t size) {
    count(&Doings::allocations);
    return __libc_realloc(old, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
    count(&Doings::allocations);
    return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
    *memory = memalign(alignment, size);
    return *memory == nullptr ? ENOMEM : 0;
}

void free(void* memory) {
    if (memory != nullptr) {
        count(&Doings::frees);
    }
    __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
    static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
    count(&Doings::locks);
    return real(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) {
    static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_trylock");
    count(&Doings::locks);
    return real(mutex);
}

int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
    static const auto real = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
    count(&Doings::locks);
    return real(lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
    static const auto real = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
    count(&Doings::locks);
    return real(lock);
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    static const auto real = next<int (*)(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait");
    count(&Doings::locks);
    return real(condition, mutex);
}

int sem_wait(sem_t* semaphore) {
    static const auto real = next<int (*)(sem_t*)>("sem_wait");
    count(&Doings::locks);
    return real(semaphore);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
    count(&Doings::clocks);
    return real(clock, time);
}

int gettimeofday(timeval* now, void* zone) noexcept {
    static const auto real = next<int (*)(timeval*, void*)>("gettimeofday");
    count(&Doings::clocks);
    return real(now, zone);
}

time_t time(time_t* seconds) noexcept {
    static const auto real = next<time_t (*)(time_t*)>("time");
    count(&Doings::clocks);
    return real(seconds);
}

int epoll_wait(int descriptor, epoll_event* events, int most, int timeout) {
    static const auto real = next<int (*)(int, epoll_event*, int, int)>("epoll_wait");
    const int ready = real(descriptor, events, most, timeout);
    if (ready > 0) {
        count(&Doings::batches);
    }
    return ready;
}
}
