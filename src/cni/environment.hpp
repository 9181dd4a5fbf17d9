// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weave::cni {

enum class Verb : std::uint8_t { add, del, check, status, gc, version };

/** The value of a variable, empty when it is not set. */
using Variables = std::function<std::string(const char* name)>;

/** What the runtime says in variables (CNI specification 1.1, section 2). */
struct Environment {
    Verb verb = Verb::version;
    std::string container_id;
    std::string netns; // a path; may be empty on DEL
    std::string ifname;
    std::string args;              // "KEY=VALUE;KEY=VALUE", not read yet
    std::vector<std::string> path; // folders with plugins
};

/**
 * Reads and checks what the verb needs. Throws Failure (invalid_environment), which names every
 * variable that is missing. VERSION needs nothing, so nothing is looked at there: podman fills
 * the variables with "dummy".
 */
Environment read_environment(const Variables& variables);

/** What CNI_ARGS asks for; other keys are of no concern to us. */
struct Arguments {
    std::vector<std::string> addresses; // IP=A,B, each with or without a prefix length
    std::string mac;                    // MAC=
};

/** Throws Failure (invalid_environment) for what is not a list of KEY=VALUE. */
Arguments read_arguments(const std::string& args);

/** The parts of a text; empty ones are left out. */
std::vector<std::string> split(const std::string& text, char separator);

/** Whether a network or container may be called so: [a-zA-Z0-9][a-zA-Z0-9_.-]* */
bool is_name(const std::string& text);

} // namespace weave::cni
