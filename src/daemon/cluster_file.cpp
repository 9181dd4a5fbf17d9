// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/cluster_file.hpp"

#include "daemon/options.hpp"
#include "os/file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace weave::daemon {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw ConfigError(
        fmt::format("cluster file {} {}: make a new one with 'weavectl genkey' or copy it "
                    "from another node with 'weave-launch token'",
                    path,
                    why));
}

Cluster::Secret parse_secret(const nlohmann::json& entry, const std::string& path) {
    Cluster::Secret secret;
    const nlohmann::json& id = entry.at("id");
    if (!id.is_number_unsigned() || id > std::numeric_limits<std::uint32_t>::max()) {
        refuse(path, "has a secret whose id is not a number from 0 to 4294967295");
    }
    secret.id = id.get<std::uint32_t>();
    std::string text = entry.at("key").get<std::string>();
    const bool good = from_hex(text, secret.key.span());
    crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    if (!good) {
        refuse(path,
               fmt::format("has a secret {} that is not 64 hexadecimal characters", secret.id));
    }
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
        cluster.secrets.push_back(parse_secret(entry, path));
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
