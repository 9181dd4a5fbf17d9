// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <system_error>

namespace weave::crypto {

/** What a handshake or cipher call can answer for input that came from elsewhere. */
enum class Error {
    /** A tag did not verify: wrong key, wrong secret or altered bytes. */
    authentication_failed = 1,
    /** A message shorter or longer than its pattern allows. */
    malformed,
    /** A Diffie-Hellman result of zero: a low-order public key. */
    weak_key,
    /** write() when it is the other side's turn, or after the last message. */
    out_of_turn,
    /** A pattern needs a key that was not given. */
    missing_key,
    /** No provider for the suite on this machine. */
    unsupported_suite,
    /** The nonce space of a key is used up. */
    exhausted,
};

const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(Error error) noexcept {
    return {static_cast<int>(error), error_category()};
}

} // namespace weave::crypto

template <> struct std::is_error_code_enum<weave::crypto::Error> : std::true_type {};
