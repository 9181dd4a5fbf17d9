// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "crypto/identity.hpp"
#include "crypto/init.hpp"
#include "crypto/suite.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weave::crypto::test {

/** The module needs init() before any test; every file of this folder includes this. */
inline const bool kReady = (init(), true);

/** Bytes of a hexadecimal text; an empty result for a malformed one. */
Bytes unhex(const std::string& text);
/** 32 bytes of one value. */
std::array<std::uint8_t, 32> filled(std::uint8_t value);
/** Bytes that differ from place to place and with the seed. */
Bytes pattern_bytes(std::size_t size, std::uint8_t seed = 0);
PublicKey to_key(const Bytes& bytes);
KeyPair pair_from(const Bytes& secret);

/** A file of published vectors from the folder WEAVE_VECTORS names; nullopt, said aloud, without
 * it. */
std::optional<nlohmann::json> vectors(const std::string& file);

} // namespace weave::crypto::test
