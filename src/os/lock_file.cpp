// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/lock_file.hpp"

#include "os/error.hpp"

#include <array>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace weave::os {
namespace {

std::string holder(int fd) {
    std::array<char, 16> text{};
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    const std::string all(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    const std::string pid = all.substr(0, all.find_first_not_of("0123456789"));
    return pid.empty() ? "" : " (process " + pid + ')';
}

} // namespace

LockFile::LockFile(const std::string& path)
    : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)) {
    if (!fd_) {
        throw_errno("cannot open the lock file " + path);
    }
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            throw_sentence(EWOULDBLOCK,
                           "another weaved" + holder(fd_.get()) +
                               " uses this state folder: stop it or give another --state-dir");
        }
        throw_errno("cannot lock " + path);
    }
    sign();
}

LockFile::LockFile(const std::string& path, UniqueFd held)
    : fd_(std::move(held)) {
    struct stat ours {};

    struct stat named {};

    if (::fstat(fd_.get(), &ours) != 0 || ::stat(path.c_str(), &named) != 0) {
        throw_errno("cannot look at the lock file " + path);
    }
    if (ours.st_dev != named.st_dev || ours.st_ino != named.st_ino) {
        throw_sentence(ESTALE, "the lock that was handed over is not " + path);
    }
}

void LockFile::sign() {
    const std::string pid = std::to_string(::getpid()) + '\n';
    if (::ftruncate(fd_.get(), 0) != 0 ||
        ::pwrite(fd_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
        throw_errno("cannot write to a lock file");
    }
}

} // namespace weave::os
