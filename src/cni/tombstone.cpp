// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/tombstone.hpp"

#include "os/fd.hpp"
#include "os/file.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weave::cni {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxSize = 4096; // of one file; ours have a few hundred bytes
constexpr std::string_view kSuffix = ".json";

/** The file, locked, while it still has its name; nothing when it is gone or in other hands. */
os::UniqueFd lock(const std::string& path, bool wait) {
    for (;;) {
        os::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        if (!fd) {
            return {};
        }
        while (::flock(fd.get(), wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
            if (errno != EINTR) {
                return {};
            }
        }

        struct stat info {};

        if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
            return {};
        }
        if (info.st_nlink > 0) {
            return fd;
        }
        // Worked off, or written anew, while we waited: look again.
    }
}

std::optional<json> read(int fd) {
    std::array<char, kMaxSize> buffer{};
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size <= 0) {
        return std::nullopt;
    }
    json out = json::parse(std::string_view(buffer.data(), static_cast<std::size_t>(size)),
                           nullptr,
                           /*allow_exceptions=*/false);
    for (const char* key : {"id", "ifname", "holder"}) {
        if (!out.is_object() || !out.contains(key) || !out[key].is_string()) {
            return std::nullopt;
        }
    }
    return out;
}

} // namespace

std::string Tombstones::path_of(const AttachmentName& name) const {
    // Neither of the first two has a comma, and none of them a slash.
    return folder_ + "/" + name.network + "," + name.container_id + "," + name.ifname +
           std::string(kSuffix);
}

void Tombstones::write(const AttachmentName& name) const {
    os::ensure_directory(state_dir_, 0700);
    os::ensure_directory(folder_, 0700);
    const std::string text =
        json{{"id", name.id()}, {"ifname", name.ifname}, {"holder", name.holder()}}.dump() + "\n";
    os::write_secret_file(path_of(name),
                          {reinterpret_cast<const std::uint8_t*>(text.data()), // NOLINT
                           text.size()});
}

bool Tombstones::settle(const AttachmentName& name, const Remove& remove) const {
    const std::string path = path_of(name);
    const os::UniqueFd fd = lock(path, /*wait=*/true);
    if (!fd) {
        return true;
    }
    // weaved, which started meanwhile, may have been the one who settled it.
    return remove(name.id(), name.ifname, name.holder()) &&
           (::unlink(path.c_str()) == 0 || errno == ENOENT);
}

void Tombstones::settle_some(std::size_t limit, const Remove& remove) const {
    std::error_code error;
    for (std::filesystem::directory_iterator at{folder_, error}, end;
         !error && at != end && limit > 0;
         at.increment(error)) {
        const std::string path = at->path();
        if (!path.ends_with(kSuffix)) {
            continue; // being written
        }
        const os::UniqueFd fd = lock(path, /*wait=*/false);
        const auto names = fd ? read(fd.get()) : std::nullopt;
        if (!names) {
            continue;
        }
        --limit;
        if (!remove(names->at("id"), names->at("ifname"), names->at("holder"))) {
            return; // the next one would fare no better
        }
        ::unlink(path.c_str());
    }
}

} // namespace weave::cni
