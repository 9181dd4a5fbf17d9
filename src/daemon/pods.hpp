// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "attach/host.hpp"
#include "daemon/node_state.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weave::daemon {

/**
 * The pods that are attached to this host, as the rest of the node may see them: with the addresses
 * that they were given, whatever else their interfaces have, and under no MAC address of somebody
 * else. What they were given is on disk. Control thread only.
 */
class Pods {
  public:
    using List = std::vector<attach::Attachment>;

    struct Network {
        /** From which MAC address the port of that name lets frames through now. */
        std::function<std::optional<MacAddress>(const std::string& host_ifname)> port_mac;
        /** Whether another node has it. */
        std::function<bool(const MacAddress&)> is_elsewhere;
    };

    /** Both outlive the object. */
    Pods(attach::Host& host, NodeState& state, Network network)
        : host_(host)
        , state_(state)
        , network_(std::move(network)) {}

    /** As they are now; one that cannot be looked into is as it was. Throws std::system_error. */
    List list();

    /** Some could not be looked into by the last list(): it is worth another try. */
    [[nodiscard]] bool incomplete() const { return incomplete_; }

    /** Whether a pod of another host end has the MAC address, or was given it, or this host uses it
     * itself. */
    bool has_mac(const MacAddress& mac, const std::string& host_ifname) {
        return has_mac(mac, host_ifname, list());
    }

    /** Takes from it what the pod gave itself. */
    void keep_given(attach::Attachment& pod) const;

    /** It is given these as well: on disk before this returns. Throws std::system_error. */
    void remember(const attach::Attachment& pod, const std::vector<Prefix>& addresses);

    /** Pods that run and of which nothing is known, because the file was lost: what they have now
     * is taken for what they were given, or they would be cut off. Throws std::system_error. */
    void adopt();

  private:
    /** What is written down of that link; nullptr when it is of another one, or nothing is. */
    [[nodiscard]] const GivenAddresses* given_to(const attach::Attachment& pod) const;
    void keep_last(List& pods);
    [[nodiscard]] attach::Attachment as_given(attach::Attachment pod) const;
    void keep_macs(List& pods) const;
    [[nodiscard]] bool
    has_mac(const MacAddress& mac, const std::string& host_ifname, const List& pods) const;

    attach::Host& host_;
    NodeState& state_;
    Network network_;
    /** As they were when last looked into, by their host ends. */
    std::map<std::string, attach::Attachment> last_;
    bool incomplete_ = false;
};

} // namespace weave::daemon
