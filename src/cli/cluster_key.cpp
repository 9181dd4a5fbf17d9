// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_key.hpp"

#include "api/descriptor.hpp"
#include "base/bytes.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace weave::cli {

namespace {

template <std::size_t N> std::string random_hex() {
    std::array<std::uint8_t, N> bytes{};
    // Up to 256 bytes come whole or not at all, getrandom(2).
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw std::system_error(errno, std::system_category(), "no random bytes from the kernel");
    }
    return to_hex(bytes);
}

} // namespace

std::string new_cluster_file() {
    nlohmann::ordered_json secret;
    secret["id"] = 1;
    secret["key"] = random_hex<32>();
    nlohmann::ordered_json file;
    file["weavemesh_cluster"] = 1;
    file["id"] = random_hex<16>();
    file["secrets"] = nlohmann::ordered_json::array({secret});
    return file.dump() + "\n";
}

void write_secret_file(const std::string& path, const std::string& text) {
    const api::Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST) {
        throw std::runtime_error(path + " exists already: a cluster key is never overwritten");
    }
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(fd.get()) != 0) {
        throw std::runtime_error("cannot write " + path + ": " +
                                 std::system_category().message(errno));
    }
}

} // namespace weave::cli
