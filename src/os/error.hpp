// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace weave::os {

/** A failure whose sentence says all there is to say: what() is the sentence, without the text of
 * its error code. */
class SentenceError : public std::system_error {
  public:
    SentenceError(int error, const std::string& sentence)
        : std::system_error(error, std::generic_category())
        , sentence_(sentence) {}

    [[nodiscard]] const char* what() const noexcept override { return sentence_.c_str(); }

  private:
    std::string sentence_;
};

/** Throws std::system_error for an errno value; what() reads "SENTENCE: strerror text". */
[[noreturn]] inline void throw_error(int error, const std::string& sentence) {
    throw std::system_error(error, std::generic_category(), sentence);
}

[[noreturn]] inline void throw_errno(const std::string& sentence) {
    throw_error(errno, sentence);
}

/** Throws a std::system_error whose what() is the sentence alone. */
[[noreturn]] inline void throw_sentence(int error, const std::string& sentence) {
    throw SentenceError(error, sentence);
}

} // namespace weave::os
