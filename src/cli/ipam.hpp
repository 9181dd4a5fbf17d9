// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.hpp"

#include <CLI/CLI.hpp>

namespace weave::cli {

/** Declares 'weavectl ipam ...' and 'weavectl rmpeer'. `options` and `action` outlive the app. */
void add_ipam_commands(CLI::App& app, Options& options, Action& action);

} // namespace weave::cli
