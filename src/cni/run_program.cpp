// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/delegate.hpp"
#include "cni/errors.hpp"
#include "os/fd.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weave::cni {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void refuse(const std::string& program, const std::string& why) {
    throw Failure(Code::failed, "the plugin " + program + " " + why);
}

std::string system_text(int error) {
    return std::system_category().message(error);
}

/** A file in memory: unlike a pipe it needs nobody who writes while the program reads. */
os::UniqueFd file_with(const std::string& text) {
    os::UniqueFd fd{::memfd_create("cni-config", MFD_CLOEXEC)};
    std::size_t done = 0;
    while (fd && done < text.size()) {
        const ssize_t count = ::write(fd.get(), text.data() + done, text.size() - done);
        if (count < 0 && errno != EINTR) {
            fd.reset();
        }
        done += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    if (!fd || ::lseek(fd.get(), 0, SEEK_SET) != 0) {
        throw Failure(Code::io_failure,
                      "cannot keep the configuration in memory: " + system_text(errno));
    }
    return fd;
}

/** Our environment with another CNI_COMMAND. */
std::vector<std::string> variables_with(const std::string& command) {
    std::vector<std::string> out{"CNI_COMMAND=" + command};
    for (char** at = environ; *at != nullptr; ++at) {
        if (std::strncmp(*at, "CNI_COMMAND=", 12) != 0) {
            out.emplace_back(*at);
        }
    }
    return out;
}

struct FileActions {
    FileActions() { ::posix_spawn_file_actions_init(&actions); }

    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }

    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    posix_spawn_file_actions_t actions{};
};

/** A program that was started; killed with the object unless it ended before. */
class Child {
  public:
    Child(const std::string& program, const std::string& command, int input, int output) {
        std::vector<std::string> variables = variables_with(command);
        std::vector<char*> environment;
        environment.reserve(variables.size() + 1);
        for (std::string& variable : variables) {
            environment.push_back(variable.data());
        }
        environment.push_back(nullptr);
        std::string name = program;
        std::array<char*, 2> arguments{name.data(), nullptr};
        FileActions files;
        ::posix_spawn_file_actions_adddup2(&files.actions, input, STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&files.actions, output, STDOUT_FILENO);
        const int error = ::posix_spawn(
            &pid_, program.c_str(), &files.actions, nullptr, arguments.data(), environment.data());
        if (error != 0) {
            refuse(program, "cannot be started: " + system_text(error));
        }
    }

    ~Child() {
        if (!ended_) {
            ::kill(pid_, SIGKILL);
            wait(0);
        }
    }

    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /** Whether it has ended. */
    bool wait(int flags) {
        pid_t found = 0;
        while (!ended_ && (found = ::waitpid(pid_, &status_, flags)) < 0 && errno == EINTR) {
        }
        ended_ = ended_ || found != 0;
        return ended_;
    }

    [[nodiscard]] int status() const { return status_; }

  private:
    pid_t pid_ = 0;
    int status_ = 0;
    bool ended_ = false;
};

/** What can be read now; false at the end of it. */
bool drain(int fd, std::string& out) {
    std::array<char, 16384> chunk; // NOLINT: filled by the kernel
    for (;;) {
        const ssize_t count = ::read(fd, chunk.data(), chunk.size());
        if (count > 0 && out.size() <= kMaxOutput) {
            out.append(chunk.data(), static_cast<std::size_t>(count));
        } else if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        } else if (count > 0 || errno == EAGAIN) {
            return true;
        }
    }
}

} // namespace

Finished run_program(const std::string& program,
                     const std::string& input,
                     const std::string& command,
                     std::chrono::milliseconds timeout) {
    constexpr int kStep = 50; // milliseconds between looks at a program that is silent
    const os::UniqueFd stdin_file = file_with(input);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw Failure(Code::io_failure, "cannot make a pipe: " + system_text(errno));
    }
    const os::UniqueFd out{ends[0]};
    os::UniqueFd write_end{ends[1]};
    ::fcntl(out.get(), F_SETFL, O_NONBLOCK);
    Child child(program, command, stdin_file.get(), write_end.get());
    write_end.reset();

    Finished finished;
    const auto deadline = Clock::now() + timeout;
    bool more = true;
    while (more || !child.wait(WNOHANG)) {
        if (finished.output.size() > kMaxOutput) {
            refuse(program, "printed more than 1 MiB and was ended");
        }
        if (Clock::now() >= deadline) {
            refuse(program,
                   "did not end within " + std::to_string(timeout.count() / 1000) +
                       " s and was ended");
        }
        if (!more) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            continue;
        }
        pollfd entry{out.get(), POLLIN, 0};
        ::poll(&entry, 1, kStep);
        // One that ended leaves nothing unread behind, whoever else still holds the pipe.
        const bool ended = child.wait(WNOHANG);
        more = drain(out.get(), finished.output) && !ended;
    }
    finished.status = child.status();
    return finished;
}

} // namespace weave::cni
