// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.hpp"

#include "base/address.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

#ifndef WEAVE_VERSION
#define WEAVE_VERSION "unknown"
#endif

namespace weave::daemon {
namespace {

void declare_options(CLI::App& app, Options& options) {
#define WEAVE_OPTION(field, type, initial, flag, env, value, help)                                 \
    app.add_option(flag, options.field, help)                                                      \
        ->envname(env)                                                                             \
        ->type_name(value)                                                                         \
        ->capture_default_str();
#include "daemon/options.def.hpp"
#undef WEAVE_OPTION
    app.add_option(
        "PEER", options.peers, "Address of a node to connect to: HOST, ADDRESS or ADDRESS:PORT.");
}

void check_interface_name(const std::string& flag, const std::string& name) {
    if (name.empty() || name.size() > 15 || name.find_first_of("/ \t") != std::string::npos) {
        throw ConfigError(fmt::format("{} '{}' is not an interface name: give 1 to 15 characters "
                                      "without '/' or spaces",
                                      flag,
                                      name));
    }
}

void check(const Options& options) {
    check_interface_name("--bridge", options.bridge);
    check_interface_name("--tap", options.tap);
    if (options.port == 0) {
        throw ConfigError("--port 0 is not a port: give a number from 1 to 65535");
    }
    if (!Prefix::parse(options.ipalloc_range)) {
        throw ConfigError(
            fmt::format("--ipalloc-range '{}' is not a prefix: write it as 10.32.0.0/12",
                        options.ipalloc_range));
    }
    for (const std::string& text : options.listen) {
        if (!IpAddress::parse(text)) {
            throw ConfigError(fmt::format("--listen '{}' is not an IP address", text));
        }
    }
    for (const std::string& text : options.advertise) {
        if (!Endpoint::parse(text, options.port)) {
            throw ConfigError(fmt::format(
                "--advertise '{}' is not an address: write ADDRESS, ADDRESS:PORT or [IPV6]:PORT",
                text));
        }
    }
    if (options.mtu < 1280 || options.mtu > 65000) {
        throw ConfigError(fmt::format(
            "--mtu {} is outside 1280 to 65000: IPv6 needs 1280, and a record holds at most 65000",
            options.mtu));
    }
    if (options.lanes > 64) {
        throw ConfigError("--lanes is at most 64");
    }
    if (options.name.size() > 63) {
        throw ConfigError("--name is longer than 63 characters: give a shorter label");
    }
}

} // namespace

CommandLine parse_command_line(int argc, char** argv) {
    CommandLine line;
    CLI::App app{"weaved: the weavemesh router. weave-launch starts it; weavectl operates it.",
                 "weaved"};
    app.set_version_flag("--version", "weaved " WEAVE_VERSION);
    std::string reference;
    app.add_option("--option-reference",
                   reference,
                   "Print the option reference (man or markdown) and exit.")
        ->check(CLI::IsMember({"man", "markdown"}))
        ->group("");
    declare_options(app, line.options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        line.exit_now = true;
        line.exit_code = app.exit(error) == 0 ? 0 : 2;
        return line;
    }
    if (!reference.empty()) {
        std::fputs(option_reference(reference).c_str(), stdout);
        line.exit_now = true;
        return line;
    }
    check(line.options);
    return line;
}

std::string option_reference(const std::string& format) {
    CLI::App app;
    Options options;
    declare_options(app, options);
    std::string out;
    if (format == "markdown") {
        out = "| option | environment | default | meaning |\n|---|---|---|---|\n";
    }
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_envname().empty()) {
            continue;
        }
        const std::string fallback = option->get_default_str();
        if (format == "markdown") {
            out += fmt::format("| `{} {}` | `{}` | {} | {} |\n",
                               option->get_name(),
                               option->get_type_name(),
                               option->get_envname(),
                               fallback.empty() || fallback == "[]" ? "" : '`' + fallback + '`',
                               option->get_description());
        } else {
            out += fmt::format(
                ".TP\n\\fB{}\\fR \\fI{}\\fR (environment {})\n{}{}\n",
                option->get_name(),
                option->get_type_name(),
                option->get_envname(),
                option->get_description(),
                fallback.empty() || fallback == "[]" ? "" : " Default: " + fallback + '.');
        }
    }
    return out;
}

} // namespace weave::daemon
