// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/underlay.hpp"

#include "attach/host.hpp"
#include "daemon/log.hpp"
#include "os/udp_socket.hpp"
#include "wire/record.hpp"

#include <algorithm>
#include <unordered_map>

#include <unistd.h>

namespace weave::daemon {
namespace {

/** Changes come in bursts, a pod's veth alone makes ten: one look answers all of them. */
constexpr auto kSettle = std::chrono::milliseconds(100);
constexpr auto kAfterFailure = std::chrono::milliseconds(2000);

/** Links of whose networks other hosts know nothing. */
std::set<unsigned> inner_links(const Options& options,
                               const std::vector<os::Link>& links,
                               const std::vector<os::Route>& routes) {
    std::set<unsigned> out;
    for (const os::Link& link : links) {
        const bool outward = std::any_of(routes.begin(), routes.end(), [&](const os::Route& it) {
            return it.destination.length == 0 && it.index == link.index;
        });
        if (link.name == options.bridge || link.name == options.tap ||
            (link.kind == "bridge" && !outward)) {
            out.insert(link.index);
        }
    }
    return out;
}

bool listens_on(const Options& options, const IpAddress& address) {
    return options.listen.empty() ||
           std::any_of(options.listen.begin(), options.listen.end(), [&](const std::string& text) {
               const auto each = IpAddress::parse(text);
               return each && (*each == address ||
                               (each->is_unspecified() && each->is_v4() == address.is_v4()));
           });
}

} // namespace

std::vector<Endpoint> underlay_endpoints(const Options& options,
                                         const std::vector<os::Link>& links,
                                         const std::vector<os::LinkAddress>& addresses,
                                         const std::vector<os::Route>& routes) {
    std::vector<Endpoint> out;
    for (const std::string& text : options.advertise) {
        out.push_back(*Endpoint::parse(text, options.port));
    }
    if (!out.empty()) {
        return out;
    }
    const auto range = *Prefix::parse(options.ipalloc_range);
    const std::set<unsigned> inner = inner_links(options, links, routes);
    for (const os::LinkAddress& entry : addresses) {
        const IpAddress& address = entry.prefix.address;
        if (!inner.contains(entry.index) && listens_on(options, address) &&
            !address.is_loopback() && !address.is_link_local() && !range.contains(address) &&
            out.size() < wire::kMaxEndpoints) {
            out.push_back({address, options.port});
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::uint16_t automatic_mtu(const std::vector<Endpoint>& own,
                            const std::vector<std::string>& targets,
                            unsigned bridge_mtu) {
    if (bridge_mtu == attach::kMtu4 || bridge_mtu == attach::kMtu6) {
        return static_cast<std::uint16_t>(bridge_mtu);
    }
    const auto is_v6 = [](const Endpoint& endpoint) { return endpoint.address.is_v6(); };
    const auto names_v6 = [&](const std::string& text) {
        const auto endpoint = Endpoint::parse(text, 1);
        return endpoint && is_v6(*endpoint);
    };
    const bool v6 = std::any_of(own.begin(), own.end(), is_v6) ||
                    std::any_of(targets.begin(), targets.end(), names_v6);
    return v6 ? attach::kMtu6 : attach::kMtu4;
}

std::uint16_t automatic_mtu(const Options& options, std::vector<std::string> targets) {
    os::Netlink netlink = os::Netlink::open();
    const auto bridge = netlink.link(options.bridge);
    targets.insert(targets.end(), options.peers.begin(), options.peers.end());
    return automatic_mtu(
        underlay_endpoints(options, netlink.links(), netlink.addresses(), netlink.routes()),
        targets,
        bridge ? bridge->mtu : 0);
}

Underlay::Underlay(boost::asio::io_context& io,
                   const Options& options,
                   std::function<void()> on_change,
                   std::function<void()> on_any_change)
    : options_(options)
    , on_change_(std::move(on_change))
    , on_any_change_(std::move(on_any_change))
    , readable_(io, ::dup(monitor_.fd()))
    , settle_(io)
    , now_(look()) {
    wait();
}

/** Nothing is read while it settles: a pod that changes its addresses without end costs no more
 * than that. */
void Underlay::wait() {
    readable_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](boost::system::error_code error) {
                             if (!error) {
                                 look_after(kSettle);
                             }
                         });
}

void Underlay::look_after(std::chrono::milliseconds pause) {
    settle_.expires_after(pause);
    settle_.async_wait([this](boost::system::error_code error) {
        if (!error) {
            look_again();
        }
    });
}

/** Of links without an address nothing is known here: the ends of pods' links above all. */
bool Underlay::concerns(const os::LinkChanges& changes) const {
    const auto known = [this](unsigned index) { return bearing_.contains(index); };
    return changes.lost || changes.addresses || std::ranges::any_of(changes.links, known);
}

void Underlay::look_again() {
    changed_ = concerns(monitor_.drain()) || changed_;
    try {
        if (changed_) {
            auto now = look();
            changed_ = false;
            if (now != now_) {
                now_ = std::move(now);
                on_change_();
            }
        }
        on_any_change_();
    } catch (const std::system_error& failed) {
        // Out of descriptors or memory: what is known stays in force meanwhile.
        log::warning("event=underlay_not_read reason={}", log::quoted(failed.what()));
        look_after(kAfterFailure);
        return;
    }
    wait();
}

std::set<IpAddress> Underlay::own() const {
    std::set<IpAddress> out;
    for (const auto& [address, mtu] : now_.mtus) {
        out.insert(address);
    }
    return out;
}

Underlay::Seen Underlay::look() {
    os::Netlink netlink = os::Netlink::open();
    const std::vector<os::Link> links = netlink.links();
    const std::vector<os::LinkAddress> addresses = netlink.addresses();
    Seen seen;
    seen.endpoints = underlay_endpoints(options_, links, addresses, netlink.routes());
    std::unordered_map<unsigned, unsigned> mtu_of;
    bearing_.clear();
    for (const os::Link& link : links) {
        mtu_of.emplace(link.index, link.mtu);
    }
    for (const os::LinkAddress& entry : addresses) {
        seen.mtus[entry.prefix.address] = mtu_of[entry.index];
        bearing_.insert(entry.index);
    }
    return seen;
}

std::uint16_t Underlay::mtu_towards(const Endpoint& to) const {
    const auto source = os::source_towards(to);
    const auto entry = source ? now_.mtus.find(*source) : now_.mtus.end();
    return entry == now_.mtus.end() ? std::uint16_t{0}
                                    : static_cast<std::uint16_t>(std::min(entry->second, 65535U));
}

} // namespace weave::daemon
