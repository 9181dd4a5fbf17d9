// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/plugin.hpp"
#include "fake_weaved.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace weave::test {

using namespace std::chrono_literals;

/** As short as a test likes it. */
inline constexpr cni::Patience kShort{300ms, 200ms, 5000ms};

/** What a runtime says and gets. */
struct Calls {
    explicit Calls(cni::Plugin& called)
        : plugin(called) {}

    /** The answer as JSON, or null for nothing; the status is in `status`. */
    json operator()(const std::string& command, const json& more = json::object()) {
        json config{{"cniVersion", version},
                    {"name", "weave"},
                    {"type", "weave-cni"},
                    {"socket", socket()},
                    {"stateDir", state_dir()}};
        config.update(more);
        return raw(command, config.dump());
    }

    json raw(const std::string& command, const std::string& input) {
        variables["CNI_COMMAND"] = command;
        const auto outcome = cni::run(
            plugin,
            [&](const char* name) {
                const auto found = variables.find(name);
                return found == variables.end() ? std::string{} : found->second;
            },
            [&](cni::Verb) { return input; });
        status = outcome.status;
        return outcome.output.empty() ? json() : json::parse(outcome.output);
    }

    [[nodiscard]] std::string socket() const { return folder.path + "/weave.sock"; }

    [[nodiscard]] std::string state_dir() const { return folder.path + "/state"; }

    /** Names of the tombstones. */
    [[nodiscard]] std::vector<std::string> tombstones() const {
        std::vector<std::string> out;
        std::error_code error;
        for (const auto& entry :
             std::filesystem::directory_iterator(state_dir() + "/tombstones", error)) {
            out.push_back(entry.path().filename());
        }
        return out;
    }

    /** An executable in a folder of CNI_PATH. */
    void write_plugin(const std::string& name, const std::string& script) {
        const std::string path = folder.path + "/" + name;
        std::ofstream(path) << "#!/bin/bash\n" << script;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }

    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream in(folder.path + "/" + name);
        std::stringstream out;
        out << in.rdbuf();
        return out.str();
    }

    cni::Plugin& plugin;
    Folder folder;
    std::map<std::string, std::string> variables{{"CNI_CONTAINERID", "c1"},
                                                 {"CNI_NETNS", folder.path + "/gone"},
                                                 {"CNI_IFNAME", "eth0"},
                                                 {"CNI_PATH", "/nowhere:" + folder.path}};
    std::string version = "1.1.0";
    int status = 0;
};

} // namespace weave::test
