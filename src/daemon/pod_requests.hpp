// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/host_addresses.hpp"
#include "daemon/program_leases.hpp"

#include <cstdint>

namespace weave::daemon {

/** The control API's requests that give interfaces and addresses to pods, and take them away; and
 * what was deleted while nobody answered. Control thread only. */
class PodRequests {
  public:
    PodRequests(const NodeParts& parts,
                LocalAddresses& local,
                HostAddresses& host_addresses,
                ProgramLeases& programs)
        : parts_(parts)
        , local_(local)
        , host_addresses_(host_addresses)
        , programs_(programs) {}

    /** The control API's requests of these names. */
    api::Reply attach(api::Request& request);
    api::Reply detach(api::Request& request);

    /** Its interface too, whatever the allocator knows of it. */
    void detach_holder(const std::string& holder);
    /** What container runtimes deleted while this node did not answer. */
    void settle_deleted();
    /** The same, now and then; to be called often. */
    void tick(TimePoint now);

  private:
    std::optional<api::Reply> refuse_pod(const attach::PodSpec& spec, const std::string& own);
    std::optional<std::string> known_as(const std::string& host_ifname);
    api::Reply attach_pod(api::Descriptor netns,
                          const attach::PodSpec& spec,
                          bool gateway,
                          const std::function<void()>& give_back);
    void cancel_waiting(const std::string& id, std::uint64_t inode, const std::string& ifname);

    NodeParts parts_;
    LocalAddresses& local_;
    HostAddresses& host_addresses_;
    ProgramLeases& programs_;
    /** Who waits for the host's address first, and who of them is no longer wanted. */
    std::multiset<std::string> preparing_;
    std::set<std::string> unwanted_;
    TimePoint next_tombstones_{};
    log::RateLimit rate_;
};

} // namespace weave::daemon
