// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/plugin.hpp"

#include "cni/decode.hpp"
#include "cni/errors.hpp"

#include <system_error>

namespace weave::cni {

using nlohmann::json;

namespace {

/** podman asks before every ADD and DEL, with variables full of "dummy": nothing is checked. */
json version_object(const std::string& input) {
    const json config = json::parse(input, nullptr, /*allow_exceptions=*/false);
    json out{{"cniVersion", text_of(kNewestVersion)}, {"supportedVersions", kSpecVersions}};
    if (config.is_object() && config.contains("cniVersion") && config["cniVersion"].is_string()) {
        out["cniVersion"] = config["cniVersion"];
    }
    return out;
}

/** The output of a verb; empty for those that print nothing. */
std::string serve(Plugin& plugin, const Call& call) {
    switch (call.environment.verb) {
    case Verb::add:
        return render(plugin.add(call), call.config.version).dump() + "\n";
    case Verb::del:
        plugin.del(call);
        break;
    case Verb::check:
        if (!call.config.previous) {
            throw Failure(Code::invalid_config,
                          "CHECK needs the result of ADD as 'prevResult' in the configuration");
        }
        plugin.check(call);
        break;
    case Verb::status:
        plugin.status(call);
        break;
    case Verb::gc:
        plugin.gc(call, read_valid_attachments(call.json));
        break;
    case Verb::version:
        break;
    }
    return {};
}

} // namespace

Outcome run(Plugin& plugin,
            const Variables& variables,
            const std::function<std::string(Verb)>& read_input) {
    SpecVersion version = kNewestVersion;
    const auto refused = [&](const Failure& failure) {
        const json object = error_object(version, failure);
        return Outcome{1, object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
    };
    try {
        Call call;
        call.environment = read_environment(variables);
        std::string input = read_input(call.environment.verb);
        if (call.environment.verb == Verb::version) {
            return {0, version_object(input).dump() + "\n"};
        }
        call.json = parse_object(input, "the network configuration on the standard input");
        version = read_version(call.json, call.environment.verb);
        call.config = read_config(call.json, call.environment);
        call.config.text = std::move(input);
        return {0, serve(plugin, call)};
    } catch (const Failure& failure) {
        return refused(failure);
    } catch (const std::system_error& error) {
        return refused(Failure(Code::io_failure, error.what()));
    } catch (const std::exception& error) {
        return refused(Failure(Code::failed, error.what()));
    }
}

} // namespace weave::cni
