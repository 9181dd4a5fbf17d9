// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/learned_macs.hpp"
#include "daemon/node_parts.hpp"
#include "daemon/pod_ports.hpp"
#include "daemon/pods.hpp"
#include "os/netlink.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weave::daemon {

/** What LocalAddresses tells the rest of the router. */
struct LocalEvents {
    /** The address table has to be published again, soon. */
    std::function<void()> on_changed;
    /** has_bridge_pods() is another than before. */
    std::function<void()> on_bridge_pods;
};

/**
 * The addresses of this node's pods and of the host on their network: which are announced, and
 * which are refused; the kernel's routes and the ports' rules follow what is announced. Control
 * thread only.
 */
class LocalAddresses {
  public:
    static constexpr const char* kTooMany =
        "this node would announce more addresses than fit one record: detach some";

    LocalAddresses(const NodeParts& parts, LocalEvents events);

    /** What earlier starts, with other settings perhaps, left on this host. Throws
     * std::system_error. */
    void adopt();
    /** Makes the packet filter's rules, before which pods' ports let nothing new through. Throws
     * std::system_error with a sentence. */
    void guard(boost::asio::io_context& io);
    /** Before the first allocation: what pods and the host have is in use, whatever was written
     * down. */
    void claim_what_runs();

    /** Tells the mesh and the lanes what is attached, exposed and held here now; false when the
     * mesh cannot be told, as it is too much for a record. */
    bool publish();

    /** What is announced may no longer be what is here. */
    void look_soon() { publish_due_ = true; }

    /** A frame from a MAC that nobody owns came from the bridge. */
    void on_source(const MacAddress& mac) { publish_due_ |= learned_.on_source(mac); }

    /** Looks after what was learned and at what is due; to be called often. */
    void tick(TimePoint now);

    /** What this node announces with these pods. */
    wire::Addresses own_addresses(const Pods::List& pods);
    /** What speaks against giving these addresses to an interface of this node, the bridge or a
     * pod's host end; nullopt when nothing does. */
    std::optional<api::Reply> refuse(const std::vector<Prefix>& addresses,
                                     const std::string& interface);

    using UseGrant = std::function<api::Reply(const Grant&)>;

    /** Answers when the addresses are there, with what `use` makes of them; what fails then gives
     * them back. */
    void obtain(const std::string& method,
                const std::string& holder,
                const std::vector<ipam::Request>& requests,
                Duration patience,
                const UseGrant& use,
                const api::Reply::Send& send);

    /** The holder's addresses are on their way: it has no interface yet, and is not gone. As often
     * as expect_no_more(). */
    void expect(const std::string& holder) { expected_.insert(holder); }

    void expect_no_more(const std::string& holder) { expected_.erase(expected_.find(holder)); }

    [[nodiscard]] const std::multiset<std::string>& expected() const { return expected_; }

    /** Whose interface exists, or is being made. */
    std::set<std::string> live_holders();

    [[nodiscard]] Pods& pods() { return pods_; }

    /** After guard(). */
    [[nodiscard]] PodPorts& ports() { return *ports_; }

    [[nodiscard]] const LearnedMacs& learned() const { return learned_; }

    [[nodiscard]] bool has_bridge_pods() const { return bridge_pods_; }

    /** Of the host, as the kernel had them when last looked at. */
    [[nodiscard]] const std::vector<Prefix>& exposed() const { return exposed_; }

  private:
    void look_again(TimePoint now);
    std::vector<Prefix> node_addresses();
    void converge_routes(const Pods::List& pods);
    void converge_ports(const Pods::List& pods);
    void add_learned(wire::Addresses& own);
    void add_reserved(wire::Addresses& own);
    bool is_on_bridge(const MacAddress& mac);
    [[nodiscard]] bool masquerades(const Pods::List& pods);
    void release_what_is_gone();
    std::string used_by_a_host(const std::vector<Prefix>& addresses);
    std::string used_elsewhere(const std::vector<Prefix>& addresses);
    std::string used_here(const std::vector<Prefix>& addresses,
                          const std::string& interface,
                          const Pods::List& pods);

    NodeParts parts_;
    LocalEvents events_;
    Pods pods_;
    std::unique_ptr<PodPorts> ports_;
    os::Netlink netlink_ = os::Netlink::open();
    LearnedMacs learned_;
    std::multiset<std::string> expected_;
    std::vector<Prefix> exposed_;
    bool bridge_pods_ = false;
    bool publish_due_ = false;
    TimePoint next_look_{};
    log::RateLimit rate_;
};

} // namespace weave::daemon
