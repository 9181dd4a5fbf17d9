// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/ruleset.hpp"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// What other tools' forward chains do, and what we put there; without any input or output.

namespace weave::attach {

struct ForeignRule {
    /** The chain it jumps to; empty for other rules. */
    std::string jump;
    /** Drops or rejects whatever comes to it. */
    bool drops_all = false;
    unsigned long handle = 0; ///< nftables only
};

struct ForeignChain {
    bool exists = false;
    bool policy_drops = false;
    /** Some rule speaks of our bridge. */
    bool names_us = false;
    std::vector<ForeignRule> rules;

    [[nodiscard]] bool drops() const;
    /** Before anything drops whatever comes. */
    [[nodiscard]] bool jumps_to(std::string_view chain) const;
};

/** From what `nft -j list chain` prints, the array in it. */
ForeignChain chain_from_json(const nlohmann::json& listing, const std::string& bridge);

/** From what `iptables -S` prints. */
ForeignChain
chain_from_text(std::string_view listing, const std::string& chain, const std::string& bridge);

/** The chain of ours in other tools' filter tables, which accepts what comes from and goes to our
 * interfaces. At most 28 characters, as iptables has it. */
std::string accept_chain(const FirewallSettings& settings);

/** The chains of an iptables filter table that our jump may be in. */
std::vector<std::string> possible_places(bool v6);

/**
 * Where in an iptables filter table a rule of ours belongs: the chain that Docker or ufw keep for
 * other people's rules when FORWARD comes to it, else FORWARD.
 */
std::string accept_place(bool v6, const std::function<ForeignChain(const std::string&)>& chain);

/** The rules of our chain as iptables-restore takes them, without "-A CHAIN". */
std::vector<std::string> accept_rules_iptables(const FirewallSettings& settings);

/** The same for nft(8); iptables-nft shows them as its own. */
std::vector<std::string> accept_rules_nft(const FirewallSettings& settings);

} // namespace weave::attach
