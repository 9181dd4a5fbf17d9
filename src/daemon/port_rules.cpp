// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the host's packet filter is told of pods and of the way out of the mesh.
#include "attach/forwarding.hpp"
#include "daemon/router.hpp"
#include "os/netns.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

/** The legacy iptables tells nobody of its changes. */
constexpr auto kCheckAgain = std::chrono::seconds(30);
/** Another tool that takes our rules away each time is not fought faster than this. */
constexpr auto kPause = std::chrono::seconds(1);

} // namespace

void Router::make_firewall() {
    attach::FirewallSettings settings;
    settings.table = options_.bridge;
    settings.bridge = options_.bridge;
    settings.masquerade = !options_.no_masquerade;
    const ipam::Plan& plan = allocations_->plan();
    settings.ranges.push_back(plan.range());
    if (plan.range6()) {
        settings.ranges.push_back(*plan.range6());
    }
    firewall_ = std::make_unique<attach::Firewall>(std::move(settings));
    firewall_->apply({});
    next_firewall_check_ = Clock::now() + kCheckAgain;
    firewall_watch_.assign(firewall_->native_handle());
    watch_firewall();
}

void Router::watch_firewall() {
    firewall_watch_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                               [this](boost::system::error_code error) {
                                   if (!error) {
                                       check_firewall(/*readable=*/true);
                                       watch_firewall();
                                   }
                               });
}

void Router::check_firewall(bool readable) {
    const TimePoint now = Clock::now();
    if (!readable && now < next_firewall_check_) {
        return;
    }
    next_firewall_check_ = now + kCheckAgain;
    try {
        for (const std::string& what : readable ? firewall_->on_readable() : firewall_->check()) {
            if (rate_.allow("firewall", now)) {
                log::warning("event=firewall_restored detail={}", log::quoted(what));
            }
        }
    } catch (const std::system_error& error) {
        next_firewall_check_ = now + kPause;
        if (rate_.allow("firewall", now)) {
            log::error("event=firewall_failed reason={}", log::quoted(error.what()));
        }
    }
}

/** Each pod's port lets through what the pod was given, and no more. */
void Router::converge_ports(const Attachments& pods) {
    std::map<std::string, attach::PortRules> wanted;
    for (const attach::Attachment& pod : pods) {
        attach::PortRules& rules = wanted[pod.host_ifname];
        rules.host_ifname = pod.host_ifname;
        rules.mac = pod.mac;
        for (const Prefix& prefix : pod.addresses) {
            rules.addresses.push_back(prefix.address);
        }
    }
    for (const auto& [name, rules] : ports_) {
        if (!wanted.contains(name)) {
            firewall_->remove_port(name);
        }
    }
    for (const auto& [name, rules] : wanted) {
        const auto before = ports_.find(name);
        if (before == ports_.end() || before->second != rules) {
            firewall_->set_port(rules);
        }
    }
    ports_ = std::move(wanted);
}

/** For pods that send through this host. */
void Router::forward_for(const std::vector<Prefix>& addresses) {
    const auto has = [&](bool v6) {
        return std::ranges::any_of(addresses,
                                   [&](const Prefix& each) { return each.address.is_v6() == v6; });
    };
    const os::UniqueFd here = os::current_netns();
    for (const std::string& change : attach::enable_forwarding(here.get(), has(false), has(true))) {
        log::info("event=forwarding_enabled change={}", log::quoted(change));
    }
}

} // namespace weave::daemon
