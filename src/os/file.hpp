// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace weave::os {

/** An atomic write: the old file or the new one, never a mixture. Checksum (CRC-32C) in a trailer.
 * Throws std::system_error. */
void write_checked_file(const std::string& path, ByteView contents, unsigned mode = 0644);

struct CheckedFile {
    enum class State { ok, missing, corrupt };
    State state = State::missing;
    Bytes contents;
};

/** Reads what write_checked_file() wrote; what is not a plain file is corrupt. Throws
 * std::system_error when it cannot be read at all. */
CheckedFile read_checked_file(const std::string& path);

/** Renames PATH to PATH.corrupt (replacing an older one) and returns that name. Throws
 * std::system_error. */
std::string set_corrupt_aside(const std::string& path);

/** Longest secret file that is read, in bytes. */
inline constexpr std::size_t kMaxSecretFile = 64 * 1024;

/**
 * Reads a key file, refusing links, other than regular files, another owner (unless root), and one
 * its group or others may read or write. nullopt when missing. Throws std::system_error with a
 * sentence. The caller wipes the bytes.
 */
std::optional<Bytes> read_secret_file(const std::string& path);

/** Atomically writes a file that is 0600 from its creation. Throws std::system_error. */
void write_secret_file(const std::string& path, ByteView contents);

/** Creates a directory (not its parents) with this mode unless it exists. Throws std::system_error.
 */
void ensure_directory(const std::string& path, unsigned mode);

} // namespace weave::os
