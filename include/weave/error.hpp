// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <system_error>

namespace weave {

/** What can go wrong in a call to the daemon. The numbers are stable; new ones are added at the
 * end. */
enum class Errc {
    not_running = 1,  // nobody listens on the socket
    permission = 2,   // the socket is there but this user may not use it, or the daemon says so
    timed_out = 3,    // no reply in time
    disconnected = 4, // the daemon closed the connection
    protocol = 5,     // the reply does not follow the protocol
    too_large = 6,    // a request or reply above the limit of one message
    bad_request = 7,  // the daemon could not read the request
    unknown_method = 8,
    wrong_version = 9, // the daemon speaks another version of the protocol
    invalid = 10,      // a parameter is not acceptable
    not_found = 11,
    conflict = 12,    // it exists already, or it clashes with what exists
    busy = 13,        // too many connections or requests
    internal = 14,    // the daemon failed; its log has more
    system = 15,      // a system call failed on this side
    exhausted = 16,   // there is no address to be had; the sentence says who was asked
    unavailable = 17, // it cannot be served now: try again later
};

/** The category of Errc, named "weave". */
[[nodiscard]] const std::error_category& error_category() noexcept;

/** Its name in a reply of the control protocol, such as "not_running". */
[[nodiscard]] const char* error_name(Errc code) noexcept;

[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/** Thrown by the throwing form of every call; what() is one sentence: what happened and how to mend
 * it. */
class Error : public std::system_error {
  public:
    Error(std::error_code code, const std::string& sentence)
        : std::system_error(code)
        , sentence_(sentence) {}

    [[nodiscard]] const char* what() const noexcept override { return sentence_.c_str(); }

  private:
    std::string sentence_;
};

} // namespace weave

template <> struct std::is_error_code_enum<weave::Errc> : std::true_type {};
