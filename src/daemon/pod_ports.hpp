// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/firewall.hpp"
#include "attach/host.hpp"
#include "base/time.hpp"
#include "daemon/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::daemon {

/**
 * The ports of this node's pods in the host's packet filter: each lets through what its pod was
 * given, and no more. What other tools take away is put back, and what they drop in spite of us is
 * logged, each once for as long as it lasts. Control thread only.
 */
class PodPorts {
  public:
    /** Makes the filter anew, with these pods' ports. Throws std::system_error with a sentence. */
    PodPorts(boost::asio::io_context& io,
             attach::FirewallSettings settings,
             const std::vector<attach::Attachment>& pods);
    ~PodPorts();
    PodPorts(const PodPorts&) = delete;
    PodPorts& operator=(const PodPorts&) = delete;

    /** `links` are the host ends that exist: the port of a pod that is not told keeps its rules
     * while its link is there, or pods could get rid of them. Throws std::system_error. */
    void converge(const std::vector<attach::Attachment>& pods, const std::vector<os::Link>& links);

    /** From now on what pods send out of the mesh through this host has its address. Throws
     * std::system_error. */
    void masquerade() { firewall_.masquerade(); }

    /** Some tools change the filter and tell nobody: to be called often, looks seldom. */
    void review(TimePoint now);

    /** From which MAC address that port lets frames through; nothing without rules for it. */
    [[nodiscard]] std::optional<MacAddress> mac(const std::string& host_ifname) const;

    /** Whoever drops pods' forwarded traffic in spite of us, in sentences. */
    [[nodiscard]] const std::vector<std::string>& problems() const {
        return firewall_.forward_problems();
    }

    [[nodiscard]] attach::PortDrops counters() { return firewall_.counters(); }

  private:
    using Rules = std::map<std::string, attach::PortRules>;

    static Rules rules_of(const std::vector<attach::Attachment>& pods);
    void watch();
    void check(bool readable);
    void tell_problems(TimePoint now);

    attach::Firewall firewall_;
    boost::asio::posix::stream_descriptor watch_;
    TimePoint next_check_{};
    /** What the log has already. */
    std::set<std::string> told_;
    /** By their host ends. */
    Rules ports_;
    log::RateLimit rate_;
};

/** Turns on forwarding for what pods send through this host, in the families of their addresses.
 * Throws std::system_error with a sentence. */
void forward_for(const std::vector<Prefix>& addresses);

} // namespace weave::daemon
