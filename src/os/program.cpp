// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/program.hpp"

#include "os/error.hpp"
#include "os/fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weave::os {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = 1 << 20;

std::optional<std::string> find_program(const std::string& name) {
    for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
        std::string path = folder + name;
        if (::access(path.c_str(), X_OK) == 0) {
            return path;
        }
    }
    return std::nullopt;
}

/** A file of these bytes, open at its beginning: unlike a pipe it never makes a writer wait. */
UniqueFd file_of(const std::string& bytes) {
    UniqueFd fd{::memfd_create("input", MFD_CLOEXEC)};
    if (!fd ||
        ::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::lseek(fd.get(), 0, SEEK_SET) != 0) {
        throw_errno("cannot prepare a program's input");
    }
    return fd;
}

pid_t spawn(const std::string& path,
            const std::vector<std::string>& arguments,
            int standard_input,
            int standard_output) {
    std::vector<char*> argv;
    for (const std::string& each : arguments) {
        argv.push_back(const_cast<char*>(each.c_str()));
    }
    argv.push_back(nullptr);
    std::array<char, 40> path_variable{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    std::array<char, 9> locale{"LC_ALL=C"};
    std::array<char*, 3> environment{path_variable.data(), locale.data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, standard_input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, standard_output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, standard_output, STDERR_FILENO);
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = -1;
    const int error =
        ::posix_spawn(&pid, path.c_str(), &files, &how, argv.data(), environment.data());
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) {
        throw_error(error, "cannot start " + path);
    }
    return pid;
}

/** Reads until the end, or until `deadline`: false. */
bool read_all(int fd, Clock::time_point deadline, std::string& into) {
    std::array<char, 16384> buffer;
    while (true) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd waiting{fd, POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left));
        if (ready == 0) {
            return false;
        }
        const ssize_t got = ready < 0 ? -1 : ::read(fd, buffer.data(), buffer.size());
        if (got == 0) {
            return true;
        }
        if (got < 0 && errno != EINTR) {
            throw_errno("cannot read a program's output");
        }
        if (got > 0) {
            const std::size_t room = kMaxOutput - into.size();
            into.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
        }
    }
}

/** The program's end, waited for until `deadline`; it is killed then. */
int wait_for(pid_t pid, Clock::time_point deadline, bool& killed) {
    const UniqueFd handle{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{handle.get(), POLLIN, 0};
    killed = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0;
    if (killed) {
        ::kill(pid, SIGKILL);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            throw_errno("cannot wait for a program");
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

bool has_program(const std::string& name) {
    return find_program(name).has_value();
}

ProgramResult run_program(const std::vector<std::string>& arguments,
                          const std::string& input,
                          std::chrono::milliseconds timeout) {
    const std::string& name = arguments.at(0);
    const auto path = find_program(name);
    if (!path) {
        throw_sentence(ENOENT, "the program " + name + " is not installed");
    }
    const Clock::time_point deadline = Clock::now() + timeout;
    const UniqueFd from = file_of(input);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        throw_errno("cannot make a pipe");
    }
    const UniqueFd reading{ends[0]};
    UniqueFd writing{ends[1]};
    const pid_t pid = spawn(*path, arguments, from.get(), writing.get());
    writing.reset();
    ProgramResult out;
    bool late = false;
    try {
        late = !read_all(reading.get(), deadline, out.output);
    } catch (...) {
        wait_for(pid, Clock::now(), late);
        throw;
    }
    out.status = wait_for(pid, late ? Clock::now() : deadline, late);
    if (late) {
        throw_sentence(ETIMEDOUT, "the program " + name + " did not end in time and was killed");
    }
    return out;
}

void start_detached(const std::vector<std::string>& arguments, const DetachedStart& how) {
    std::vector<char*> argv;
    for (const std::string& each : arguments) {
        argv.push_back(const_cast<char*>(each.c_str()));
    }
    argv.push_back(nullptr);
    const char* file = how.program.empty() ? argv.front() : how.program.c_str();
    const pid_t child = ::fork();
    if (child < 0) {
        throw_errno("cannot start " + arguments.front());
    }
    if (child == 0) { // nothing from here on but what may be called after a fork of one thread
        if (::fork() == 0) {
            sigset_t none;
            sigemptyset(&none);
            ::sigprocmask(SIG_SETMASK, &none, nullptr);
            if (how.standard_input >= 0) {
                ::dup2(how.standard_input, STDIN_FILENO);
            }
            ::close_range(STDERR_FILENO + 1, ~0U, 0);
            ::execvp(file, argv.data());
        }
        ::_exit(0);
    }
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

} // namespace weave::os
