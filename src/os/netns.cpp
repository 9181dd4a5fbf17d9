// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/netns.hpp"

#include "os/error.hpp"

#include <array>
#include <exception>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace weave::os {

UniqueFd current_netns() {
    UniqueFd fd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
    if (!fd) {
        throw_errno("cannot open this thread's network namespace");
    }
    return fd;
}

UniqueFd open_netns(const std::string& path) {
    // O_NONBLOCK: a path that turns out to be a FIFO must not hold us up.
    UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!fd) {
        throw_errno("cannot open network namespace " + path);
    }

    struct statfs info {};

    const bool nsfs = ::fstatfs(fd.get(), &info) == 0 && info.f_type == NSFS_MAGIC;
    if (!nsfs || ::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
        throw_sentence(EINVAL, path + " is not a network namespace");
    }
    return fd;
}

namespace {

/** An open namespace, when `path` is the one with that number. */
UniqueFd open_if(const std::string& path, std::uint64_t inode) {
    try {
        UniqueFd fd = open_netns(path);
        return netns_inode(fd.get()) == inode ? std::move(fd) : UniqueFd{};
    } catch (const std::system_error&) {
        return {};
    }
}

/** Where a namespace is mounted, which keeps it without a process. */
UniqueFd find_mounted(std::uint64_t inode) {
    const std::string wanted = "net:[" + std::to_string(inode) + ']';
    std::ifstream mounts{"/proc/self/mountinfo"};
    std::string skipped, root, place; // ID PARENT DEVICE ROOT PLACE ..., proc_pid_mountinfo(5)
    while (mounts >> skipped >> skipped >> skipped >> root >> place) {
        mounts.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
        if (root == wanted) {
            if (UniqueFd fd = open_if(place, inode)) {
                return fd;
            }
        }
    }
    return {};
}

} // namespace

UniqueFd find_netns(std::uint64_t inode) {
    if (UniqueFd fd = find_mounted(inode)) {
        return fd;
    }
    std::error_code error;
    for (std::filesystem::directory_iterator at{"/proc", error}, end; !error && at != end;
         at.increment(error)) {
        const std::string name = at->path().filename();
        if (name.find_first_not_of("0123456789") == std::string::npos) {
            if (UniqueFd fd = open_if("/proc/" + name + "/ns/net", inode)) {
                return fd;
            }
        }
    }
    return {};
}

std::uint64_t netns_inode(int netns_fd) {
    struct stat info {};

    if (::fstat(netns_fd, &info) != 0) {
        throw_errno("cannot look at a network namespace");
    }
    return info.st_ino;
}

namespace {

/** This thread is elsewhere for as long as it lives. */
class Visit {
  public:
    explicit Visit(int netns_fd)
        : home_(current_netns()) {
        if (::setns(netns_fd, CLONE_NEWNET) != 0) {
            throw_errno("cannot enter a network namespace");
        }
    }

    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    ~Visit() {
        if (::setns(home_.get(), CLONE_NEWNET) != 0) {
            std::terminate();
        }
    }

  private:
    UniqueFd home_;
};

} // namespace

void run_in_netns(int netns_fd, const std::function<void()>& work) {
    const Visit visit{netns_fd};
    work();
}

void write_sysctl(int netns_fd, const std::string& key, const std::string& value) {
    // /proc/sys/net shows the namespace of the thread that opens it.
    run_in_netns(netns_fd, [&] {
        const std::string path = "/proc/sys/" + key;
        const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
        if (!fd ||
            ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
            throw_errno("cannot write " + value + " to " + path);
        }
    });
}

std::string read_sysctl(int netns_fd, const std::string& key) {
    std::array<char, 256> text{};
    ssize_t got = -1;
    run_in_netns(netns_fd, [&] {
        const std::string path = "/proc/sys/" + key;
        const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
        got = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
        if (got < 0) {
            throw_errno("cannot read " + path);
        }
    });
    std::string value{text.data(), static_cast<std::size_t>(got)};
    while (!value.empty() && value.back() == '\n') {
        value.pop_back();
    }
    return value;
}

} // namespace weave::os
