// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/file.hpp"

#include "os/error.hpp"
#include "os/fd.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

namespace weave::os {
namespace {

// The contents stay readable by a person: the checksum is a last line of text.
constexpr std::string_view kMark = "\n#crc32c=";
constexpr std::size_t kTrailer = kMark.size() + 8 + 1;

std::string trailer(ByteView contents) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(contents.data(), contents.size());
    const std::uint32_t sum = static_cast<std::uint32_t>(crc.checksum());
    std::string text{kMark};
    for (int shift = 28; shift >= 0; shift -= 4) {
        text += "0123456789abcdef"[(sum >> shift) & 15];
    }
    return text + '\n';
}

void write_all(int fd, ByteView bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t done = ::write(fd, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            throw_errno("cannot write " + path);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
}

void sync_directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const UniqueFd fd{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!fd || ::fsync(fd.get()) != 0) {
        throw_errno("cannot sync the directory " + directory);
    }
}

void replace_file(const std::string& path,
                  ByteView contents,
                  std::string_view tail,
                  unsigned mode) {
    const std::string temporary = path + ".tmp";
    ::unlink(temporary.c_str()); // of a writer that was cut off
    UniqueFd fd{
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
    if (!fd) {
        throw_errno("cannot create " + temporary);
    }
    try {
        write_all(fd.get(), contents, temporary);
        write_all(fd.get(), as_bytes(tail), temporary);
        if (::fsync(fd.get()) != 0) {
            throw_errno("cannot sync " + temporary);
        }
        if (::rename(temporary.c_str(), path.c_str()) != 0) {
            throw_errno("cannot rename " + temporary + " to " + path);
        }
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    sync_directory_of(path);
}

Bytes read_all(int fd, std::size_t limit, const std::string& path) {
    Bytes contents;
    while (true) {
        const std::size_t at = contents.size();
        contents.resize(at + std::max<std::size_t>(4096, at)); // doubles
        const ssize_t got = ::read(fd, contents.data() + at, contents.size() - at);
        const int error = errno;
        contents.resize(at + (got > 0 ? static_cast<std::size_t>(got) : 0));
        if (got == 0) {
            return contents;
        }
        if (got < 0 && error != EINTR) {
            throw_error(error, "cannot read " + path);
        }
        if (contents.size() > limit) {
            throw_sentence(EFBIG, path + " is larger than " + std::to_string(limit) + " bytes");
        }
    }
}

} // namespace

void write_checked_file(const std::string& path, ByteView contents, unsigned mode) {
    replace_file(path, contents, trailer(contents), mode);
}

CheckedFile read_checked_file(const std::string& path) {
    constexpr std::size_t kLimit = std::size_t{256} << 20;
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!fd) {
        if (errno == ENOENT) {
            return {};
        }
        throw_errno("cannot open " + path);
    }
    CheckedFile file{CheckedFile::State::corrupt, {}};

    struct stat info {};

    if (::fstat(fd.get(), &info) != 0) {
        throw_errno("cannot look at " + path);
    }
    if (!S_ISREG(info.st_mode)) {
        return file; // a directory, say: nothing that was ever written here
    }
    file.contents = read_all(fd.get(), kLimit, path);
    if (file.contents.size() < kTrailer) {
        file.contents.clear();
        return file;
    }
    const ByteView all{file.contents};
    const ByteView body = all.first(all.size() - kTrailer);
    const std::string wanted = trailer(body);
    if (!std::ranges::equal(all.last(kTrailer), as_bytes(wanted))) {
        file.contents.clear();
        return file;
    }
    file.state = CheckedFile::State::ok;
    file.contents.resize(body.size());
    return file;
}

std::string set_corrupt_aside(const std::string& path) {
    std::string aside = path + ".corrupt";
    if (::rename(path.c_str(), aside.c_str()) != 0) {
        throw_errno("cannot rename " + path + " to " + aside);
    }
    return aside;
}

std::optional<Bytes> read_secret_file(const std::string& path) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
    if (!fd) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        if (errno == ELOOP) {
            throw_sentence(ELOOP, path + " is a symbolic link; a secret must be a plain file");
        }
        throw_errno("cannot open " + path);
    }

    struct stat info {};

    if (::fstat(fd.get(), &info) != 0) {
        throw_errno("cannot look at " + path);
    }
    if (!S_ISREG(info.st_mode)) {
        throw_sentence(EINVAL, path + " is not a plain file");
    }
    if (info.st_uid != ::geteuid() && info.st_uid != 0) {
        throw_sentence(EPERM, path + " belongs to another user");
    }
    if ((info.st_mode & 077) != 0) {
        throw_sentence(EPERM,
                       path + " is open to its group or to others ('chmod 600 " + path +
                           "' mends that)");
    }
    // One buffer of the final size: growing would leave copies of the secret in freed memory.
    if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > kMaxSecretFile) {
        throw_sentence(EFBIG,
                       path + " is larger than " + std::to_string(kMaxSecretFile) + " bytes");
    }
    Bytes contents(static_cast<std::size_t>(info.st_size));
    const ssize_t got = ::read(fd.get(), contents.data(), contents.size());
    if (got != static_cast<ssize_t>(contents.size())) {
        throw_error(got < 0 ? errno : EIO, "cannot read " + path);
    }
    return contents;
}

void write_secret_file(const std::string& path, ByteView contents) {
    replace_file(path, contents, {}, 0600);
}

void ensure_directory(const std::string& path, unsigned mode) {
    if (::mkdir(path.c_str(), mode) == 0) {
        return;
    }
    const int error = errno;

    struct stat info {};

    if (error != EEXIST || ::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        throw_error(error == EEXIST ? ENOTDIR : error, "cannot create the directory " + path);
    }
}

} // namespace weave::os
