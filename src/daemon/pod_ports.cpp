// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/pod_ports.hpp"

#include "attach/forwarding.hpp"
#include "os/netns.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

/** The legacy iptables tells nobody of its changes. */
constexpr auto kCheckAgain = std::chrono::seconds(30);
/** Another tool that takes our rules away each time is not fought faster than this. */
constexpr auto kPause = std::chrono::seconds(1);

} // namespace

PodPorts::PodPorts(boost::asio::io_context& io,
                   attach::FirewallSettings settings,
                   const std::vector<attach::Attachment>& pods)
    : firewall_(std::move(settings))
    , watch_(io)
    , ports_(rules_of(pods)) {
    std::vector<attach::PortRules> rules;
    for (const auto& [name, each] : ports_) {
        rules.push_back(each);
    }
    firewall_.apply(rules);
    tell_problems(Clock::now());
    next_check_ = Clock::now() + kCheckAgain;
    watch_.assign(firewall_.native_handle());
    watch();
}

PodPorts::~PodPorts() {
    if (watch_.is_open()) {
        watch_.release(); // the firewall's own
    }
}

/** What is not said for its rate is said at a later look. */
void PodPorts::tell_problems(TimePoint now) {
    std::erase_if(told_, [&](const std::string& told) {
        return std::ranges::find(problems(), told) == problems().end();
    });
    for (const std::string& problem : problems()) {
        if (!told_.contains(problem) && rate_.allow("forward_problem", now)) {
            log::warning("event=forward_dropped detail={}", log::quoted(problem));
            told_.insert(problem);
        }
    }
}

void PodPorts::watch() {
    watch_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](boost::system::error_code error) {
                          if (!error) {
                              check(/*readable=*/true);
                              watch();
                          }
                      });
}

void PodPorts::review(TimePoint now) {
    if (now >= next_check_) {
        check(/*readable=*/false);
    }
}

void PodPorts::check(bool readable) {
    const TimePoint now = Clock::now();
    next_check_ = now + kCheckAgain;
    try {
        for (const std::string& what : readable ? firewall_.on_readable() : firewall_.check()) {
            if (rate_.allow("firewall", now)) {
                log::warning("event=firewall_restored detail={}", log::quoted(what));
            }
        }
        tell_problems(now);
    } catch (const std::system_error& error) {
        next_check_ = now + kPause;
        if (rate_.allow("firewall", now)) {
            log::error("event=firewall_failed reason={}", log::quoted(error.what()));
        }
    }
}

PodPorts::Rules PodPorts::rules_of(const std::vector<attach::Attachment>& pods) {
    Rules wanted;
    for (const attach::Attachment& pod : pods) {
        attach::PortRules& rules = wanted[pod.host_ifname];
        rules.host_ifname = pod.host_ifname;
        rules.mac = pod.mac;
        for (const Prefix& prefix : pod.addresses) {
            rules.addresses.push_back(prefix.address);
        }
    }
    return wanted;
}

void PodPorts::converge(const std::vector<attach::Attachment>& pods,
                        const std::vector<os::Link>& links) {
    Rules wanted = rules_of(pods);
    for (const auto& [name, rules] : ports_) {
        if (wanted.contains(name)) {
            continue;
        }
        if (std::ranges::find(links, name, &os::Link::name) != links.end()) {
            wanted.emplace(name, rules);
        } else {
            firewall_.remove_port(name);
        }
    }
    for (const auto& [name, rules] : wanted) {
        const auto before = ports_.find(name);
        if (before == ports_.end() || before->second != rules) {
            firewall_.set_port(rules);
        }
    }
    ports_ = std::move(wanted);
}

std::optional<MacAddress> PodPorts::mac(const std::string& host_ifname) const {
    const auto rules = ports_.find(host_ifname);
    return rules != ports_.end() ? std::optional(rules->second.mac) : std::nullopt;
}

void forward_for(const std::vector<Prefix>& addresses) {
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
