// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/delegate.hpp"

#include "cni/decode.hpp"
#include "cni/errors.hpp"

#include <cstring>

#include <sys/wait.h>
#include <unistd.h>

namespace weave::cni {

using nlohmann::json;

namespace {

std::string find_program(const std::string& type, const std::vector<std::string>& path) {
    if (type.find('/') != std::string::npos || type == "." || type == "..") {
        throw Failure(Code::invalid_config, "ipam.type '" + type + "' is not the name of a plugin");
    }
    std::string looked;
    for (const std::string& folder : path) {
        const std::string candidate = folder + "/" + type;
        if (::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
        looked += (looked.empty() ? "" : ", ") + folder;
    }
    throw Failure(Code::failed,
                  "the IPAM plugin '" + type + "' was not found in CNI_PATH (" + looked +
                      "): install it there, or leave ipam.type out for weaved's own addresses");
}

std::string how_it_ended(int status) {
    return WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                               : "failed with status " + std::to_string(WEXITSTATUS(status));
}

} // namespace

Delegate::Delegate(const std::string& type,
                   const Environment& environment,
                   std::string config,
                   std::chrono::milliseconds timeout)
    : type_(type)
    , program_(find_program(type, environment.path))
    , config_(std::move(config))
    , timeout_(timeout) {}

std::string Delegate::run(const char* command) const {
    Finished finished = run_program(program_, config_, command, timeout_);
    if (finished.status == 0) {
        return std::move(finished.output);
    }
    const std::string who = "the IPAM plugin '" + type_ + "' ";
    const json error = json::parse(finished.output, nullptr, /*allow_exceptions=*/false);
    if (!error.is_object() || !error.contains("code") || !error["code"].is_number_unsigned()) {
        throw Failure(Code::failed, who + how_it_ended(finished.status) + " and gave no reason");
    }
    throw Failure(error["code"].get<unsigned>(),
                  who + "failed: " + text_at(error, "msg"),
                  text_at(error, "details"));
}

Result Delegate::add() const {
    const std::string output = run("ADD");
    try {
        Result out = parse_result(parse_object(output, "its result"));
        if (out.ips.empty()) {
            throw Failure(Code::failed, "there is no address in its result");
        }
        return out;
    } catch (const Failure& failure) {
        throw Failure(Code::failed,
                      "the result of the IPAM plugin '" + type_ +
                          "' cannot be used: " + failure.what());
    }
}

void Delegate::call(const char* command) const {
    run(command);
}

} // namespace weave::cni
