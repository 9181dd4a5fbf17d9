// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/node_state.hpp"
#include "mesh/connector.hpp"
#include "net/name_lookup.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace weave::daemon {

/** A target of the user, and the addresses it stands for. */
struct Target {
    std::string origin; ///< "start" or "connect"
    std::vector<Endpoint> endpoints;
    std::string reason; ///< why there are none, or why they may be old
    bool resolving = false;
};

/** The one spelling of a target: an address without the default port, a name in small letters. */
std::string target_text(const std::string& given, std::uint16_t default_port);

/**
 * Whom the user wants to be connected to: kept on disk, and in the connector as endpoints. Names
 * that are not connected are resolved again and again. Control thread only.
 */
class Targets {
  public:
    /** `on_change` is called after a name was resolved: the connector may have something to do. */
    Targets(boost::asio::io_context& io,
            std::uint16_t default_port,
            NodeState& state,
            mesh::Connector& connector,
            std::function<void()> on_change,
            net::NameLookup::Lookup lookup = net::NameLookup::system_lookup);

    /** Returns how many were new. Throws, with nothing changed, std::system_error when they cannot
     * be written to the state folder and ConfigError when they are too many. */
    unsigned
    connect(const std::vector<std::string>& peers, bool replace, const std::string& origin);
    /** Returns those that are no targets; nothing is changed when there are any. Throws like
     * connect(). */
    std::vector<std::string> forget(const std::vector<std::string>& peers);
    void tick(TimePoint now);

    /** By target_text(). */
    [[nodiscard]] const std::map<std::string, Target>& all() const { return targets_; }

    /** No target waits for its name to be resolved. */
    [[nodiscard]] bool resolved_all() const;

  private:
    void resolve(const std::string& text);
    void resolved(const std::string& text, const net::NameLookup::Answer& answer);
    void set_endpoints(Target& target, std::vector<Endpoint> endpoints);
    void drop(const std::string& text);
    [[nodiscard]] bool wanted(const Endpoint& endpoint) const;

    std::uint16_t default_port_;
    NodeState& state_;
    mesh::Connector& connector_;
    std::function<void()> on_change_;
    std::map<std::string, Target> targets_;
    TimePoint next_resolve_{};
    net::NameLookup lookup_;
};

} // namespace weave::daemon
