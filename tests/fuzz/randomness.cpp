// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/init.hpp"
#include "target.hpp"

#include <sodium.h>

namespace weave::fuzz {
namespace {

std::uint64_t state = 0;

/** splitmix64 */
std::uint64_t next() {
    state += 0x9e3779b97f4a7c15u;
    std::uint64_t value = state;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

const char* name() {
    return "fuzz";
}

std::uint32_t word() {
    return static_cast<std::uint32_t>(next());
}

void fill(void* const out, const std::size_t size) {
    auto* bytes = static_cast<std::uint8_t*>(out);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::uint8_t>(next());
    }
}

/** The rest may be absent: libsodium then does without. */
randombytes_implementation source{name, word, nullptr, nullptr, fill, nullptr};

} // namespace

void restart_randomness() {
    static const bool ready = [] {
        randombytes_set_implementation(&source);
        crypto::init();
        return true;
    }();
    static_cast<void>(ready);
    state = 1;
}

} // namespace weave::fuzz
