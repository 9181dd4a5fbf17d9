// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace weave::crypto::test {

Bytes unhex(const std::string& text) {
    Bytes out(text.size() / 2);
    return from_hex(text, out) ? out : Bytes{};
}

std::array<std::uint8_t, 32> filled(std::uint8_t value) {
    std::array<std::uint8_t, 32> out;
    out.fill(value);
    return out;
}

Bytes pattern_bytes(std::size_t size, std::uint8_t seed) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::uint8_t>(i * 7 + i / 251 + seed);
    }
    return out;
}

PublicKey to_key(const Bytes& bytes) {
    REQUIRE(bytes.size() == 32);
    PublicKey out;
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
}

KeyPair pair_from(const Bytes& secret) {
    return KeyPair::from_secret(Key32(to_key(secret)));
}

std::optional<nlohmann::json> vectors(const std::string& file) {
    const char* folder = std::getenv("WEAVE_VECTORS");
    if (folder == nullptr || *folder == '\0') {
        MESSAGE("skipped: WEAVE_VECTORS not set");
        return std::nullopt;
    }
    std::ifstream in(std::string(folder) + "/" + file);
    const std::string unreadable = "cannot read " + std::string(folder) + "/" + file;
    REQUIRE_MESSAGE(in.good(), unreadable);
    return nlohmann::json::parse(in);
}

} // namespace weave::crypto::test
