// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/status.hpp"
#include "crypto/ciphers.hpp"
#include "daemon/cluster_file.hpp"
#include "daemon/node_state.hpp"
#include "session/manager.hpp"

#include <string>
#include <vector>

namespace weave::daemon {

/** Tries all providers. `wanted` is the name of one, or "auto". Throws as refuse_unusable(). */
crypto::Ciphers choose_ciphers(const std::string& wanted);

/** How they did. A start that fails has a sentence of its own to say: not before it succeeded. */
void log_ciphers(const crypto::Ciphers& ciphers);

/** Throws ConfigError when the wanted provider can do nothing here, or nobody can. */
void refuse_unusable(const crypto::Ciphers& ciphers, const std::string& wanted);

/** What each provider did, and a warning for those that are broken. */
void show_ciphers(const crypto::Ciphers& ciphers, NodeStatus& status);

/** What --clear means, for those who operate the node. */
inline constexpr const char* kClearWarning =
    "encryption is off (--clear): packets to nodes where it is off too travel in clear, and "
    "whoever is on the network between can read, change and forge them";

/** The ones this node offers, in this order: with `clear` that before all ciphers, so that a peer
 * that does not offer it is spoken to encrypted. */
std::vector<crypto::Suite> suites_offered(const crypto::Ciphers& ciphers, bool clear);

/** Who this node is to its peers. */
session::Local
session_local(const NodeState& state, const Cluster& cluster, std::vector<crypto::Suite> suites);

} // namespace weave::daemon
