// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/cluster_file.hpp"

#include "crypto/hash.hpp"
#include "daemon/options.hpp"
#include "os/file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <vector>

namespace weave::daemon {
namespace {

/** Memory that is wiped before it is given back. */
template <class T> struct WipingAllocator {
    using value_type = T;

    WipingAllocator() = default;

    template <class U> explicit WipingAllocator(const WipingAllocator<U>&) {}

    T* allocate(std::size_t count) { return std::allocator<T>{}.allocate(count); }

    void deallocate(T* memory, std::size_t count) {
        crypto::wipe({reinterpret_cast<std::uint8_t*>(memory), count * sizeof(T)});
        std::allocator<T>{}.deallocate(memory, count);
    }

    bool operator==(const WipingAllocator&) const = default;
};

using WipedString = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;
/** JSON that leaves nothing of its text behind: it holds keys and passwords. */
using Json = nlohmann::basic_json<std::map,
                                  std::vector,
                                  WipedString,
                                  bool,
                                  std::int64_t,
                                  std::uint64_t,
                                  double,
                                  WipingAllocator>;

/** Whoever gets a node to finish one handshake's arithmetic with it, not who only listens, may then
 * guess passwords at leisure, at Argon2id's pace. */
constexpr std::size_t kMinPassword = 12;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw ConfigError(
        fmt::format("cluster file {} {}: make a new one with 'weavectl genkey' or copy it "
                    "from another node with 'weave-launch token'",
                    path,
                    why));
}

/** The pre-shared key of a secret: derived from its key, or from what Argon2id makes of its
 * password with the cluster id as salt. The key itself goes nowhere. */
crypto::Key32 parse_key(const Json& entry, const Cluster& cluster, const std::string& path) {
    const bool is_password = entry.contains("password");
    if (is_password && entry.contains("key")) {
        refuse(path, "has a secret with both a key and a password");
    }
    const auto& text = entry.at(is_password ? "password" : "key").get_ref<const WipedString&>();
    crypto::Key32 key;
    bool good = false;
    if (is_password) {
        good = text.size() >= kMinPassword;
        if (good) {
            key = crypto::password_key(text, cluster.id);
        }
    } else {
        good = from_hex(text, key.span());
    }
    if (!good) {
        refuse(path,
               is_password ? fmt::format("has a password shorter than {} characters", kMinPassword)
                           : std::string{"has a key that is not 64 hexadecimal characters"});
    }
    return crypto::derive_key(key.view(), 1, "clstrpsk");
}

Cluster::Secret parse_secret(const Json& entry, const Cluster& cluster, const std::string& path) {
    const Json& id = entry.at("id");
    if (!id.is_number_unsigned() || id > std::numeric_limits<std::uint32_t>::max()) {
        refuse(path, "has a secret whose id is not a number from 0 to 4294967295");
    }
    return {id.get<std::uint32_t>(), parse_key(entry, cluster, path), entry.contains("password")};
}

Cluster parse(const Json& document, const std::string& path) {
    const Json& version = document.at("weavemesh_cluster");
    if (!version.is_number_integer() || version != 1) {
        refuse(path, "is of another format version");
    }
    Cluster cluster;
    if (!from_hex(document.at("id").get_ref<const WipedString&>(), cluster.id)) {
        refuse(path, "has an id that is not 32 hexadecimal characters");
    }
    const Json& secrets = document.at("secrets");
    if (!secrets.is_array() || secrets.empty() || secrets.size() > 2) {
        refuse(path, "must have one or two secrets");
    }
    for (const Json& entry : secrets) {
        cluster.secrets.push_back(parse_secret(entry, cluster, path));
    }
    if (cluster.secrets.size() == 2 && cluster.secrets[0].id == cluster.secrets[1].id) {
        refuse(path, "has two secrets with one id");
    }
    return cluster;
}

} // namespace

Cluster read_cluster_file(const std::string& path) {
    auto bytes = os::read_secret_file(path);
    if (!bytes) {
        refuse(path, "does not exist");
    }
    try {
        Cluster cluster = parse(Json::parse(*bytes), path);
        crypto::wipe(*bytes);
        return cluster;
    } catch (const nlohmann::json::exception&) {
        crypto::wipe(*bytes);
        refuse(path, "is not a cluster file");
    }
}

} // namespace weave::daemon
