// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace weave::daemon {

/** Bad input from the user: one sentence that says what and how to mend it. main() prints it and
 * exits, with 2 when the command line is at fault. */
class ConfigError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/** What the user asked for; fixed at start. Fields, defaults and help: options.def.hpp. */
struct Options {
#define WEAVE_OPTION(field, type, initial, flag, env, value, help) type field = initial;
#include "daemon/options.def.hpp"
#undef WEAVE_OPTION
    std::vector<std::string> peers;
};

/** What the process is to do instead of, or before, running the router. */
struct CommandLine {
    Options options;
    bool exit_now = false; ///< --help, --version or a reference page was printed
    int exit_code = 0;
    bool only_check_range = false;     ///< say whether others use the range on this host, and exit
    bool takeover = false;             ///< go on where the one that runs stops
    bool remove_firewall = false;      ///< take the packet filter rules away, and exit
    std::string cluster_file_to_check; ///< when not empty: read it, say what is wrong, and exit
};

/**
 * Parses the command line and the environment (the command line wins). Prints help or the reason of
 * a usage error itself and sets exit_now. Throws ConfigError for values that cannot work.
 */
CommandLine parse_command_line(int argc, char** argv);

/** Where the router listens; empty: everywhere. */
std::vector<IpAddress> listen_addresses(const Options& options);

/** Each lane may have another beside it for sparse flows. */
bool may_pair_lanes(const Options& options);
/** How many lanes these options make on this host, without those for sparse flows. */
unsigned lane_count(const Options& options);

/** What --cipher-provider may be beside the names of providers. */
inline constexpr const char* kAutomatic = "auto";

/** Where the cluster file is. */
std::string cluster_path(const Options& options);

/** Throws ConfigError for what can be no HOST, ADDRESS, HOST:PORT, ADDRESS:PORT or [IPV6]:PORT.
 * Host names are resolved later, and again and again. */
void check_peer(const std::string& text);

/** The option reference: format "man" (troff section) or "markdown" (table). */
std::string option_reference(const std::string& format);

} // namespace weave::daemon
