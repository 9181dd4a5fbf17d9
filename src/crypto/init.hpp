// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

namespace weave::crypto {

/**
 * Must be called once before anything else of this module, from main(); further calls are harmless.
 * Throws std::runtime_error when the machine has no usable source of randomness.
 */
void init();

/** Fills `out` from the operating system's generator. Thread-safe. */
void random_bytes(ByteSpan out);

} // namespace weave::crypto
