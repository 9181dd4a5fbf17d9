// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/targets.hpp"

#include "daemon/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <utility>

namespace weave::daemon {
namespace {

constexpr auto kResolveAgain = std::chrono::seconds(10);

struct HostPort {
    std::string host;
    std::uint16_t port = 0;
};

/** A name that check_peer() let through, split. */
HostPort split_host(const std::string& text, std::uint16_t default_port) {
    const auto colon = text.rfind(':');
    HostPort out{text.substr(0, colon), default_port};
    if (colon != std::string::npos) {
        std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.port);
    }
    return out;
}

bool among(const std::vector<Endpoint>& endpoints, const Endpoint& endpoint) {
    return std::find(endpoints.begin(), endpoints.end(), endpoint) != endpoints.end();
}

} // namespace

std::string target_text(const std::string& given, std::uint16_t default_port) {
    if (const auto endpoint = Endpoint::parse(given, default_port)) {
        return endpoint->port == default_port ? endpoint->address.text() : endpoint->text();
    }
    HostPort name = split_host(given, default_port);
    for (char& c : name.host) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return name.port == default_port ? name.host : fmt::format("{}:{}", name.host, name.port);
}

Targets::Targets(boost::asio::io_context& io,
                 std::uint16_t default_port,
                 NodeState& state,
                 mesh::Connector& connector,
                 std::function<void()> on_change,
                 net::NameLookup::Lookup lookup)
    : default_port_(default_port)
    , state_(state)
    , connector_(connector)
    , on_change_(std::move(on_change))
    , lookup_(io, std::move(lookup)) {}

unsigned
Targets::connect(const std::vector<std::string>& peers, bool replace, const std::string& origin) {
    std::vector<std::string> given;
    for (const std::string& peer : peers) {
        given.push_back(target_text(peer, default_port_));
    }
    std::set<std::string> kept{given.begin(), given.end()};
    std::vector<std::string> gone;
    for (const auto& [text, target] : targets_) {
        if (!replace) {
            kept.insert(text);
        } else if (!kept.contains(text)) {
            gone.push_back(text);
        }
    }
    if (const std::size_t most = mesh::ConnectorSettings{}.max_targets; kept.size() > most) {
        throw ConfigError(fmt::format(
            "these would be {} targets and {} is the most: forget some, peers find each other",
            kept.size(),
            most));
    }
    // On disk before anything is done: what cannot be kept is not acknowledged.
    state_.save_targets({kept.begin(), kept.end()});
    std::for_each(gone.begin(), gone.end(), [this](const std::string& text) { drop(text); });
    unsigned added = 0;
    for (const std::string& text : given) {
        const auto [entry, inserted] = targets_.try_emplace(text, Target{origin, {}, {}});
        added += inserted ? 1U : 0U;
        for (const Endpoint& endpoint : entry->second.endpoints) {
            connector_.add_target(endpoint, Clock::now()); // asked for again: tried at once
        }
        resolve(text);
    }
    on_change_();
    return added;
}

std::vector<std::string> Targets::forget(const std::vector<std::string>& peers) {
    std::vector<std::string> unknown;
    std::set<std::string> known;
    for (const std::string& peer : peers) {
        const std::string text = target_text(peer, default_port_);
        if (targets_.contains(text)) {
            known.insert(text);
        } else {
            unknown.push_back(peer);
        }
    }
    if (!unknown.empty()) {
        return unknown; // nothing is changed then
    }
    std::vector<std::string> kept;
    for (const auto& [text, target] : targets_) {
        if (!known.contains(text)) {
            kept.push_back(text);
        }
    }
    state_.save_targets(std::move(kept));
    std::for_each(known.begin(), known.end(), [this](const std::string& text) { drop(text); });
    on_change_();
    return {};
}

void Targets::drop(const std::string& text) {
    set_endpoints(targets_.at(text), {});
    targets_.erase(text);
}

bool Targets::wanted(const Endpoint& endpoint) const {
    return std::any_of(targets_.begin(), targets_.end(), [&](const auto& entry) {
        return among(entry.second.endpoints, endpoint);
    });
}

/** A name and an address, or two names, may lead to one endpoint: it goes when nobody has it. */
void Targets::set_endpoints(Target& target, std::vector<Endpoint> endpoints) {
    const auto before = std::exchange(target.endpoints, std::move(endpoints));
    for (const Endpoint& endpoint : before) {
        if (!wanted(endpoint)) {
            connector_.forget(endpoint);
        }
    }
    for (const Endpoint& endpoint : target.endpoints) {
        if (!among(before, endpoint)) {
            connector_.add_target(endpoint, Clock::now());
        }
    }
}

bool Targets::resolved_all() const {
    return std::none_of(targets_.begin(), targets_.end(), [](const auto& entry) {
        return entry.second.endpoints.empty();
    });
}

void Targets::resolve(const std::string& text) {
    Target& target = targets_.at(text);
    if (const auto endpoint = Endpoint::parse(text, default_port_)) {
        set_endpoints(target, {*endpoint});
        return;
    }
    if (std::exchange(target.resolving, true)) {
        return;
    }
    if (target.endpoints.empty()) {
        target.reason = "resolving the name";
    }
    lookup_.ask(split_host(text, default_port_).host,
                [this, text](const net::NameLookup::Answer& answer) { resolved(text, answer); });
}

void Targets::resolved(const std::string& text, const net::NameLookup::Answer& answer) {
    const auto entry = targets_.find(text);
    if (entry == targets_.end()) {
        return; // forgotten meanwhile
    }
    Target& target = entry->second;
    target.resolving = false;
    target.reason.clear();
    if (answer.addresses.empty()) {
        // What was known stays: a name server that fails is no reason to lose a peer.
        target.reason = fmt::format("cannot resolve the host name: {}", answer.error);
        return;
    }
    std::vector<Endpoint> endpoints;
    for (const IpAddress& address : answer.addresses) {
        endpoints.push_back({address, split_host(text, default_port_).port});
    }
    set_endpoints(target, std::move(endpoints));
    on_change_();
}

void Targets::tick(TimePoint now) {
    if (now < next_resolve_) {
        return;
    }
    next_resolve_ = now + kResolveAgain;
    using State = mesh::ConnectionStatus::State;
    std::set<Endpoint> connected;
    for (const mesh::ConnectionStatus& status : connector_.status(now)) {
        if (status.state == State::established || status.state == State::spare) {
            connected.insert(status.endpoint);
        }
    }
    for (const auto& [text, target] : targets_) {
        const auto& endpoints = target.endpoints;
        const bool stands = std::any_of(endpoints.begin(), endpoints.end(), [&](const auto& it) {
            return connected.contains(it);
        });
        if (!stands && !Endpoint::parse(text, default_port_)) {
            resolve(text);
        }
    }
}

} // namespace weave::daemon
