// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/version.hpp"

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>
#include <system_error>

namespace weave::cni {

/** Error codes of the CNI specification (section 5, "Error"); those from 100 on are ours. */
enum class Code : unsigned {
    incompatible_version = 1,
    unsupported_field = 2,   // the sentence has the key and the value
    unknown_container = 3,   // never ours: we cannot know that nothing has to be undone
    invalid_environment = 4, // the sentence names the variables
    io_failure = 5,
    decode_failure = 6,
    invalid_config = 7,
    invalid_netns = 8, // CNI_NETNS is the plugin's own namespace
    try_again = 11,
    not_available = 50, // STATUS: no ADD can be served
    limited = 51,       // STATUS of another plugin: and containers that run may lose something
    failed = 100,       // weaved or a delegated plugin failed
    exhausted = 101,    // no address to be had
    conflict = 102,     // the interface or the address is there already
    mismatch = 103,     // CHECK: something is not as the result of ADD says
};

/** What ends a call of a plugin; what() is one sentence. */
class Failure : public std::runtime_error {
  public:
    Failure(Code code, const std::string& sentence)
        : Failure(static_cast<unsigned>(code), sentence) {}

    /** A code as another plugin gave it. */
    Failure(unsigned code, const std::string& sentence, std::string details = {})
        : std::runtime_error(sentence)
        , code_(code)
        , details_(std::move(details)) {}

    [[nodiscard]] unsigned code() const { return code_; }

    [[nodiscard]] bool is(Code code) const { return code_ == static_cast<unsigned>(code); }

    [[nodiscard]] const std::string& details() const { return details_; }

  private:
    unsigned code_;
    std::string details_;
};

/** The object that goes to the standard output. */
nlohmann::json error_object(SpecVersion version, const Failure& failure);

/** What weaved, or the client library, said to a request. `sentence` is Client::last_error(). */
Failure failure_of(std::error_code error, const std::string& sentence);

/** Nobody is there who could answer now: not running, stopped in between, too busy. */
[[nodiscard]] bool is_away(std::error_code error);

} // namespace weave::cni
