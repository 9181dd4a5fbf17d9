// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/errors.hpp"
#include "cni/plugin.hpp"

#include <weave/version.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include <poll.h>
#include <unistd.h>

namespace weave::cni {

namespace {

constexpr std::size_t kMaxInput = 8U << 20; // bytes; a configuration has a few thousand
// VERSION needs nothing of its input, so it does not wait for one that never ends.
constexpr int kVersionWait = 1000; // milliseconds

std::string read_input(Verb verb) {
    std::string out;
    std::array<char, 65536> chunk; // NOLINT: filled by the kernel
    for (;;) {
        pollfd entry{STDIN_FILENO, POLLIN, 0};
        if (verb == Verb::version && ::poll(&entry, 1, kVersionWait) == 0) {
            return out;
        }
        const ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
        if (count == 0 || (count < 0 && verb == Verb::version)) {
            return out;
        }
        if (count < 0 && errno != EINTR) {
            throw Failure(Code::io_failure,
                          "cannot read the network configuration from the standard input: " +
                              std::system_category().message(errno));
        }
        out.append(chunk.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (out.size() > kMaxInput) {
            throw Failure(Code::decode_failure,
                          "the network configuration on the standard input is above 8 MiB");
        }
    }
}

std::string variable(const char* name) {
    const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? "" : value;
}

bool print(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
           std::fflush(stdout) == 0;
}

std::string about(const char* name) {
    std::string out = std::string(name) + " of weavemesh " + library_version() +
                      ", a CNI plugin: a container runtime starts it. CNI versions:";
    for (const std::string_view version : kSpecVersions) {
        out += " " + std::string(version);
    }
    return out + "\n";
}

} // namespace

int plugin_main(Plugin& plugin, const char* name, int argc, char** argv) {
    if (argc > 1) {
        const std::string_view option = argv[1]; // NOLINT
        if (option == "--version" || option == "--help" || option == "-h") {
            return print(about(name)) ? 0 : 1;
        }
    }
    // Whoever starts us may ignore what becomes of its children; we ask what became of ours.
    ::signal(SIGCHLD, SIG_DFL); // NOLINT: a default always can be
    const Outcome outcome = run(plugin, variable, read_input);
    return print(outcome.output) ? outcome.status : 1;
}

} // namespace weave::cni
