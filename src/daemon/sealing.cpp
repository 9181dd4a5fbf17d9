// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/sealing.hpp"

#include "daemon/log.hpp"
#include "daemon/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace weave::daemon {
namespace {

const char* state_of(const crypto::Ciphers& ciphers, const crypto::Trial& trial) {
    if (!trial.correct) {
        return "broken";
    }
    return ciphers.uses(trial) ? "used" : "spare";
}

std::uint32_t whole(double ns) {
    return static_cast<std::uint32_t>(std::lround(ns));
}

std::string broken(const crypto::Trial& trial) {
    return fmt::format("{} gives wrong results for {} on this host and is not used for it: update "
                       "the library, and tell its authors if that does not help",
                       crypto::name(trial.provider),
                       crypto::name(trial.suite));
}

/** It does a suite here, the right way. */
bool is_usable(const crypto::Ciphers& ciphers, crypto::Provider provider) {
    const std::vector<crypto::Trial>& trials = ciphers.trials();
    return std::any_of(trials.begin(), trials.end(), [provider](const crypto::Trial& trial) {
        return trial.provider == provider && trial.correct;
    });
}

} // namespace

void refuse_unusable(const crypto::Ciphers& ciphers, const std::string& wanted) {
    if (!ciphers.has(crypto::Suite::chacha20poly1305)) {
        throw ConfigError("no cipher library on this host gives right results: update libsodium");
    }
    const std::optional<crypto::Provider> provider = crypto::provider_named(wanted);
    if (!provider || is_usable(ciphers, *provider)) {
        return;
    }
    std::string others;
    for (const crypto::Provider other : crypto::kProviders) {
        if (is_usable(ciphers, other)) {
            others += std::string(" or ") + crypto::name(other);
        }
    }
    throw ConfigError(fmt::format(
        "--cipher-provider {} cannot be used on this host: give {}{}", wanted, kAutomatic, others));
}

crypto::Ciphers choose_ciphers(const std::string& wanted) {
    crypto::Ciphers ciphers = crypto::choose_ciphers(crypto::provider_named(wanted));
    refuse_unusable(ciphers, wanted);
    return ciphers;
}

void log_ciphers(const crypto::Ciphers& ciphers) {
    for (const crypto::Trial& trial : ciphers.trials()) {
        log::info("event=cipher suite={} provider={} state={} large_ns={} small_ns={}",
                  crypto::name(trial.suite),
                  crypto::name(trial.provider),
                  state_of(ciphers, trial),
                  whole(trial.large_ns),
                  whole(trial.small_ns));
        if (!trial.correct) {
            log::error("event=cipher_broken detail={}", log::quoted(broken(trial)));
        }
    }
}

void show_ciphers(const crypto::Ciphers& ciphers, NodeStatus& status) {
    status.cipher_provider = crypto::name(ciphers.of(ciphers.preferred()));
    for (const crypto::Trial& trial : ciphers.trials()) {
        status.ciphers.push_back({crypto::name(trial.suite),
                                  crypto::name(trial.provider),
                                  state_of(ciphers, trial),
                                  whole(trial.large_ns),
                                  whole(trial.small_ns)});
        if (!trial.correct) {
            status.warnings.push_back(broken(trial));
        }
    }
}

std::vector<crypto::Suite> suites_offered(const crypto::Ciphers& ciphers, bool clear) {
    std::vector<crypto::Suite> out(clear ? 1 : 0, crypto::Suite::clear);
    std::copy_if(crypto::kSuites.begin(),
                 crypto::kSuites.end(),
                 std::back_inserter(out),
                 [&](crypto::Suite suite) { return ciphers.has(suite); });
    return out;
}

session::Local
session_local(const NodeState& state, const Cluster& cluster, std::vector<crypto::Suite> suites) {
    session::Local local;
    local.identity = &state.identity();
    local.cluster_id = cluster.id;
    for (const Cluster::Secret& secret : cluster.secrets) {
        local.secrets.push_back({secret.id, secret.key});
    }
    local.boot_epoch = state.boot_epoch();
    local.suites = std::move(suites);
    return local;
}

} // namespace weave::daemon
