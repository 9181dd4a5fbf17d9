// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace weave::os {

/** Throws std::system_error for an errno value; what() reads "SENTENCE: strerror text". */
[[noreturn]] inline void throw_error(int error, const std::string& sentence) {
    throw std::system_error(error, std::generic_category(), sentence);
}

[[noreturn]] inline void throw_errno(const std::string& sentence) {
    throw_error(errno, sentence);
}

} // namespace weave::os
