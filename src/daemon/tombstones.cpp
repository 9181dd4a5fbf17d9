// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/tombstones.hpp"

#include "os/error.hpp"
#include "os/fd.hpp"
#include "os/file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace weave::daemon {
namespace {

constexpr std::size_t kMaxSize = 4096;
constexpr std::string_view kSuffix = ".json"; // others are being written, or were set aside

/** All of the folder: it changes while they are worked off. */
std::vector<std::string> files_of(const std::string& folder) {
    std::vector<std::string> out;
    std::error_code error;
    for (std::filesystem::directory_iterator at{folder, error}, end; !error && at != end;
         at.increment(error)) {
        if (std::string path = at->path(); path.ends_with(kSuffix)) {
            out.push_back(std::move(path));
        }
    }
    return out;
}

/** nullopt for anything but a plain file of three names. */
std::optional<Tombstone> read(const std::string& path) {
    const os::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    std::array<char, kMaxSize> buffer{};
    const ssize_t size = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : -1;
    if (size <= 0) {
        return std::nullopt;
    }
    const std::string_view text{buffer.data(), static_cast<std::size_t>(size)};
    const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    const auto name = [&](const char* key) {
        const bool there = json.is_object() && json.contains(key) && json[key].is_string();
        return there ? json[key].get<std::string>() : std::string{};
    };
    Tombstone out{name("id"), name("ifname"), name("holder")};
    const bool whole = !out.id.empty() && !out.ifname.empty() && !out.holder.empty();
    return whole ? std::optional(std::move(out)) : std::nullopt;
}

void settle_one(const std::string& path, const std::function<void(const Tombstone&)>& settle) {
    const auto tombstone = read(path);
    if (!tombstone) {
        os::throw_sentence(
            EINVAL,
            fmt::format("{} is no tombstone, kept as {}", path, os::set_corrupt_aside(path)));
    }
    settle(*tombstone);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        os::throw_errno(fmt::format("{} is settled and cannot be removed", path));
    }
}

} // namespace

std::vector<std::string> settle_tombstones(const std::string& state_dir,
                                           const std::function<void(const Tombstone&)>& settle) {
    std::vector<std::string> out;
    for (const std::string& path : files_of(state_dir + "/tombstones")) {
        try {
            settle_one(path, settle);
        } catch (const std::system_error& error) {
            out.emplace_back(error.what());
        }
    }
    return out;
}

} // namespace weave::daemon
