// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/secret.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weave::daemon {

/** What makes nodes one cluster, however they started: an id that never changes and one or two live
 * secrets. */
struct Cluster {
    struct Secret {
        std::uint32_t id = 0;
        /** The pre-shared key of handshakes, derived from what the file holds. */
        crypto::Locked<crypto::Key32> key;
        /** An active attacker may guess it: worth a warning. */
        bool of_password = false;
    };

    std::array<std::uint8_t, 16> id{};
    /** One or two; the first is the one this node starts handshakes with. */
    std::vector<Secret> secrets;
};

/**
 * Reads {"weavemesh_cluster":1,"id":"<32 hex>","secrets":[{"id":1,"key":"<64 hex>"}]} from a file
 * that only its owner may read. Instead of a key a secret may have "password":"<12 characters or
 * more>"; its key is Argon2id of it. Handshakes use a subkey. Throws ConfigError or
 * std::system_error with a sentence.
 */
Cluster read_cluster_file(const std::string& path);

} // namespace weave::daemon
