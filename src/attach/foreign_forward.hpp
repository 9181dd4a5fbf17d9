// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/foreign_chain.hpp"
#include "attach/nft.hpp"
#include "attach/ruleset.hpp"
#include "os/nftables_monitor.hpp"
#include "os/program.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace weave::attach {

/**
 * Other tools' forward chains. A packet passes only when every chain on the forward hook lets it
 * through, so where one drops by default, what comes from and goes to our interfaces is accepted in
 * that chain: one jump in the place the tool keeps for such rules, to a chain of ours. Only the
 * filter tables of iptables, Docker and ufw are changed; firewalld is asked by its own program to
 * trust our interfaces; where others drop, we say so.
 */
class ForeignForward {
  public:
    struct Outcome {
        bool changed = false;
        /** Whoever drops in spite of us, and how to mend it. */
        std::vector<std::string> problems;
    };

    /** All arguments outlive the object. */
    ForeignForward(Nft& nft, int netns_fd, const FirewallSettings& settings)
        : nft_(nft)
        , netns_fd_(netns_fd)
        , settings_(settings) {}

    /** Puts what is missing; what cannot be done becomes a problem. Where the legacy iptables is in
     * use, or firewalld does not know us, their programs are run, 7 s at most each time. Throws
     * std::system_error with a sentence when the ruleset cannot be read at all. */
    Outcome mend();
    /** Takes our rules and chains away. Throws std::system_error with a sentence. */
    void remove();
    /** Whether after that change mend() may have something to do. */
    [[nodiscard]] bool is_concerned(const os::NftablesChange& change) const;

  private:
    struct Hook {
        std::string family;
        std::string table;
        std::string chain;
    };

    std::vector<Hook> forward_hooks();
    ForeignChain
    read(const std::string& family, const std::string& table, const std::string& chain);
    bool mend_nft(bool v6);
    void judge(const Hook& hook, Outcome& outcome);
    void remove_nft(bool v6);
    // firewalld.cpp
    static bool is_firewalld(const Hook& hook);
    static bool is_firewalld_reload(const Hook& hook);
    [[nodiscard]] os::ProgramResult firewall_cmd(std::vector<std::string> arguments) const;
    bool firewalld_names_us(const Hook& hook);
    std::string trust_by_firewalld();
    void judge_firewalld(const Hook& hook, Outcome& outcome);
    void remove_firewalld();
    // legacy_forward.cpp
    void mend_legacy(bool v6, Outcome& outcome);
    void remove_legacy(bool v6);
    [[nodiscard]] bool uses_legacy(bool v6) const;
    [[nodiscard]] std::string legacy_program(bool v6) const;
    std::string run(const std::vector<std::string>& arguments, const std::string& input) const;

    Nft& nft_;
    int netns_fd_;
    const FirewallSettings& settings_;
    std::chrono::steady_clock::time_point next_firewalld_{}; ///< not asked before
    std::string firewalld_refusal_;                          ///< as of the last time
};

} // namespace weave::attach
