// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/environment.hpp"
#include "cni/result.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace weave::cni {

/** The most a plugin may print, in bytes. */
inline constexpr std::size_t kMaxOutput = 1U << 20;

/**
 * Another plugin that is called in the course of a call of ours (CNI specification 1.1, section 4):
 * it gets our environment, with the verb that we say, and our configuration; its standard error is
 * ours.
 */
class Delegate {
  public:
    /** Looks for it in CNI_PATH. Throws Failure when it is not there. */
    Delegate(const std::string& type,
             const Environment& environment,
             std::string config,
             std::chrono::milliseconds timeout);

    /** Throws Failure: what the plugin said, or what became of it. */
    Result add() const;
    void call(const char* command) const;

  private:
    std::string run(const char* command) const;

    std::string type_;
    std::string program_;
    std::string config_;
    std::chrono::milliseconds timeout_;
};

/** What a program did that ran to its end. */
struct Finished {
    int status = 0; // as of waitpid(2)
    std::string output;
};

/**
 * Runs a program with `input` as its standard input and CNI_COMMAND set to `command`; kills it
 * after the timeout or when it prints more than kMaxOutput. Throws Failure (failed).
 */
Finished run_program(const std::string& program,
                     const std::string& input,
                     const std::string& command,
                     std::chrono::milliseconds timeout);

} // namespace weave::cni
