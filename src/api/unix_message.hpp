// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/descriptor.hpp"

#include <cstddef>
#include <string_view>

// The two calls that carry a descriptor over a unix stream socket; both sides of the protocol use
// them.

namespace weave::api {

/**
 * Reads what is there. Returns the bytes read, 0 at the end of the stream, -1 with errno. A
 * descriptor that came along is put into `fd` when that is empty and closed otherwise.
 * Close-on-exec is set.
 */
[[nodiscard]] std::ptrdiff_t receive_some(int socket, char* out, std::size_t room, Descriptor& fd);

/** Writes some of `bytes`, and `fd` with the first of them unless it is -1. Never raises SIGPIPE.
 */
[[nodiscard]] std::ptrdiff_t send_some(int socket, std::string_view bytes, int fd);

} // namespace weave::api
