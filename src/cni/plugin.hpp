// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/config.hpp"
#include "cni/environment.hpp"
#include "cni/result.hpp"
#include "cni/tombstone.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace weave::cni {

/** One call of a plugin, read and checked. */
struct Call {
    Environment environment;
    NetworkConfig config;
    nlohmann::json json; // the configuration, for what not every plugin reads

    [[nodiscard]] AttachmentName name() const {
        return {config.name, environment.container_id, environment.ifname};
    }
};

/** How long things may take. */
struct Patience {
    std::chrono::milliseconds daemon{5000};     // ADD: until weaved takes the request
    std::chrono::milliseconds check{1000};      // CHECK: until the container is as it should be
    std::chrono::milliseconds delegate{60'000}; // another plugin
};

/** What a plugin does for each verb; each throws Failure or std::system_error. */
class Plugin {
  public:
    Plugin() = default;
    virtual ~Plugin() = default;
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    virtual Result add(const Call& call) = 0;
    virtual void del(const Call& call) = 0;
    virtual void check(const Call& call) = 0;
    virtual void status(const Call& call) = 0;
    virtual void gc(const Call& call, const std::vector<Attachment>& valid) = 0;
};

/** What the process ends with. */
struct Outcome {
    int status = 0;
    std::string output; // for the standard output
};

/**
 * Runs the verb that the environment names: the result, or an error object with status 1, becomes
 * the output. `read_input` gives the configuration; it is not logged anywhere, as it may hold
 * secrets of other plugins. VERSION is answered here, whatever else is wrong.
 */
Outcome
run(Plugin& plugin, const Variables& variables, const std::function<std::string(Verb)>& read_input);

/** main() of a plugin called `name`. */
int plugin_main(Plugin& plugin, const char* name, int argc, char** argv);

} // namespace weave::cni
