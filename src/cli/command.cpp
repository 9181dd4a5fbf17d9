// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"

#include <cstdio>
#include <stdexcept>

namespace weave::cli {
namespace {

constexpr unsigned kTimeout = 5000;         // milliseconds: what answers later hangs
constexpr unsigned kPatientTimeout = 15000; // the daemon itself gives up after ten seconds

} // namespace

void print(const std::string& text) {
    // Flushed here: at exit nobody would notice a full disk, and half a cluster file looks like
    // one.
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
        std::fflush(stdout) != 0) {
        throw std::runtime_error("cannot write to the standard output");
    }
}

Client connect(const Options& options) {
    Client client = Client::connect(options.socket_path());
    client.set_timeout(kTimeout);
    return client;
}

Client connect_patiently(const Options& options) {
    Client client = Client::connect(options.socket_path());
    client.set_timeout(kPatientTimeout);
    return client;
}

} // namespace weave::cli
