// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/local_addresses.hpp"

namespace weave::daemon {

/** The host on the pods' network: what it has there, by request and for its pods. Control thread
 * only. */
class HostAddresses {
  public:
    HostAddresses(const NodeParts& parts, LocalAddresses& local)
        : parts_(parts)
        , local_(local) {}

    /** The control API's requests of these names. */
    api::Reply expose(const api::Request& request);
    api::Reply hide(const api::Request& request);

    /** What pods send to that are to get out of the mesh, or are not on its bridge: the host, under
     * an address of its own. `then` gets an error when there is none. */
    void
    ensure(bool routed, const ipam::Request& near, Duration patience, const api::Reply::Send& then);
    /** The host's addresses on the pods' network that these are in. */
    [[nodiscard]] std::vector<IpAddress> gateways_of(const std::vector<Prefix>& addresses) const;

  private:
    [[nodiscard]] bool has_own_address() const;
    [[nodiscard]] bool is_same(const ipam::Request& asked, const Prefix& own) const;
    api::Reply expose_too(const std::vector<Prefix>& addresses);
    api::Reply expose_exactly(const std::vector<Prefix>& wanted);
    void release_unexposed();

    NodeParts parts_;
    LocalAddresses& local_;
};

} // namespace weave::daemon
