// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <weave/client.hpp>

#include <functional>
#include <string>
#include <vector>

namespace weave::cli {

/** What the command line said, of all commands. */
struct Options {
    std::string run_dir = "/run/weave";
    std::string state_dir = "/var/lib/weave";
    std::string socket;
    std::string output = "text";
    std::string what; // of status
    std::vector<std::string> peers;
    bool replace = false;
    std::string netns;
    std::string ifname = "eth0";
    std::string mode = "bridge";
    std::vector<std::string> addresses;
    std::string key_file;
    std::string holder;  // of ipam
    std::string address; // of ipam
    bool apply = false;  // of ipam gc
    bool own = false;    // of expose

    [[nodiscard]] bool json() const { return output == "json"; }

    [[nodiscard]] std::string socket_path() const {
        return socket.empty() ? run_dir + "/weave.sock" : socket;
    }
};

/** What is left to do when the command line was read. */
using Action = std::function<void()>;

/** To the standard output, whole, or std::runtime_error. */
void print(const std::string& text);

/** A client that does not wait for what hangs. */
Client connect(const Options& options);

/** For what may have to ask another node for address space. */
Client connect_patiently(const Options& options);

} // namespace weave::cli
