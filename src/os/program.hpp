// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace weave::os {

struct ProgramResult {
    /** Exit status; 128 and the signal when one ended it. */
    int status = 0;
    /** What it wrote to both outputs, at most 1 MiB. */
    std::string output;
};

/** Whether a program of that name is in /usr/sbin, /usr/bin, /sbin or /bin. */
bool has_program(const std::string& name);

/**
 * Runs a program of those folders, in the calling thread's network namespace, and waits for it; one
 * that takes longer is killed. Its environment is PATH and LC_ALL=C. Throws std::system_error with
 * a sentence when it cannot be started, or took too long.
 */
ProgramResult run_program(const std::vector<std::string>& arguments,
                          const std::string& input,
                          std::chrono::milliseconds timeout);

struct DetachedStart {
    /** Its file, where that is not what the first argument names. */
    std::string program;
    /** -1: this process's. */
    int standard_input = -1;
};

/**
 * Starts a program, by its path or by PATH, that nobody waits for: it is no child of this process,
 * has its environment and standard descriptors and no others, and no signal blocked. What keeps it
 * from running it says itself. Throws std::system_error when there are no processes left.
 */
void start_detached(const std::vector<std::string>& arguments, const DetachedStart& how = {});

} // namespace weave::os
