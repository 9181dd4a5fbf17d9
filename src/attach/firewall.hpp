// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/foreign_forward.hpp"
#include "attach/nft.hpp"
#include "attach/ruleset.hpp"
#include "os/fd.hpp"
#include "os/nftables_monitor.hpp"

#include <map>
#include <string>
#include <vector>

namespace weave::attach {

/**
 * Our nftables tables in the network namespace where it was made: masquerading, and what each pod
 * may send; and the one rule in other tools' tables by which they let pods' traffic through (see
 * ForeignForward). Nothing is taken away when the object or the process ends; see remove(). Changes
 * nothing until apply(). Blocking; one thread at a time. Throws std::system_error with a sentence.
 */
class Firewall {
  public:
    explicit Firewall(FirewallSettings settings);

    /**
     * Puts everything in place in one transaction, over whatever is left from before; counters go
     * on. Ports that are not named are not checked. The interfaces need not be there.
     */
    void apply(const std::vector<PortRules>& ports);
    /** Before the pod's interface is set up. Nothing else changes; on failure nothing at all. */
    void set_port(const PortRules& port);
    /** A port that is not there is no error. */
    void remove_port(const std::string& host_ifname);
    /** From now on, if it did not begin with that: FirewallSettings::masquerade. */
    void masquerade();

    /** Whether our tables are as we left them. */
    bool intact();
    /** Puts our tables back in one transaction. */
    void restore();
    /**
     * Restores what others removed, our tables and the accept rules; returns a sentence for each
     * thing restored. To be called now and then as well: the legacy iptables tells nobody of its
     * changes.
     */
    std::vector<std::string> check();

    /** Readable when somebody, we too, changed the ruleset. */
    [[nodiscard]] int native_handle() const { return monitor_.fd(); }

    /** Never blocks for want of changes. As check(), when a change may concern us; costs nothing
     * otherwise. */
    std::vector<std::string> on_readable();

    /** What pods sent and was dropped, since the tables were first made. */
    PortDrops counters();

    /** Who drops pods' forwarded traffic in spite of us, and how to mend it: one sentence each, as
     * of the last apply() or check(). */
    [[nodiscard]] const std::vector<std::string>& forward_problems() const { return problems_; }

    /** Takes away everything of ours, here and in other tools' tables. */
    void remove();

  private:
    [[nodiscard]] std::vector<PortRules> ports() const;
    bool mend_forward();
    void load();
    void change(const PortRules& old, const PortRules& now);
    Listing listing();

    FirewallSettings settings_;
    os::UniqueFd netns_;
    os::NftablesMonitor monitor_;
    Nft nft_;
    ForeignForward foreign_;
    std::map<std::string, PortRules> ports_;
    std::string skeleton_; ///< Listing::skeleton as we loaded it; empty before
    PortDrops counted_;    ///< as last read
    std::vector<std::string> problems_;
};

} // namespace weave::attach
