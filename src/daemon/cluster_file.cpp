// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/cluster_file.hpp"

#include "crypto/hash.hpp"
#include "daemon/options.hpp"
#include "os/file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace weave::daemon {
namespace {

/** Whoever records one handshake may guess passwords at leisure, at Argon2id's pace. */
constexpr std::size_t kMinPassword = 12;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw ConfigError(
        fmt::format("cluster file {} {}: make a new one with 'weavectl genkey' or copy it "
                    "from another node with 'weave-launch token'",
                    path,
                    why));
}

/** A key as it is, or made of a password with the cluster id as salt. */
crypto::Key32
parse_key(const nlohmann::json& entry, const Cluster& cluster, const std::string& path) {
    const bool is_password = entry.contains("password");
    if (is_password && entry.contains("key")) {
        refuse(path, "has a secret with both a key and a password");
    }
    std::string text = entry.at(is_password ? "password" : "key").get<std::string>();
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
    crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    if (!good) {
        refuse(path,
               is_password ? fmt::format("has a password shorter than {} characters", kMinPassword)
                           : std::string{"has a key that is not 64 hexadecimal characters"});
    }
    return key;
}

Cluster::Secret
parse_secret(const nlohmann::json& entry, const Cluster& cluster, const std::string& path) {
    Cluster::Secret secret;
    const nlohmann::json& id = entry.at("id");
    if (!id.is_number_unsigned() || id > std::numeric_limits<std::uint32_t>::max()) {
        refuse(path, "has a secret whose id is not a number from 0 to 4294967295");
    }
    secret.id = id.get<std::uint32_t>();
    secret.key = parse_key(entry, cluster, path);
    return secret;
}

Cluster parse(const nlohmann::json& document, const std::string& path) {
    const nlohmann::json& version = document.at("weavemesh_cluster");
    if (!version.is_number_integer() || version != 1) {
        refuse(path, "is of another format version");
    }
    Cluster cluster;
    if (!from_hex(document.at("id").get<std::string>(), cluster.id)) {
        refuse(path, "has an id that is not 32 hexadecimal characters");
    }
    const nlohmann::json& secrets = document.at("secrets");
    if (!secrets.is_array() || secrets.empty() || secrets.size() > 2) {
        refuse(path, "must have one or two secrets");
    }
    for (const nlohmann::json& entry : secrets) {
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
        Cluster cluster = parse(nlohmann::json::parse(*bytes), path);
        crypto::wipe(*bytes);
        return cluster;
    } catch (const nlohmann::json::exception&) {
        crypto::wipe(*bytes);
        refuse(path, "is not a cluster file");
    }
}

} // namespace weave::daemon
