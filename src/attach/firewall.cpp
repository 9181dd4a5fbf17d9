// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/firewall.hpp"

#include "attach/host.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace weave::attach {
namespace {

FirewallSettings checked(FirewallSettings settings) {
    if (const std::string why = check_firewall(settings); !why.empty()) {
        os::throw_sentence(EINVAL, why);
    }
    return settings;
}

/** The rules pass over interfaces without the prefix. */
void check_port(const PortRules& port, const std::string& prefix) {
    if (!is_plain_name(port.host_ifname) || !check_ifname(port.host_ifname).empty() ||
        !port.host_ifname.starts_with(prefix)) {
        os::throw_sentence(EINVAL, "'" + port.host_ifname + "' is no host end of a pod's link");
    }
}

/** In its words, with what can be done about it. */
[[noreturn]] void throw_load_error(const std::system_error& error) {
    std::string sentence = error.what();
    if (error.code().value() == EPERM) {
        sentence += "; run as root, or give CAP_NET_ADMIN";
    } else {
        sentence += "; the kernel needs nf_tables for inet, bridge and arp, with nat and "
                    "masquerading (CONFIG_NF_TABLES_INET, _BRIDGE, _ARP, CONFIG_NFT_MASQ)";
    }
    os::throw_sentence(error.code().value(), sentence);
}

} // namespace

Firewall::Firewall(FirewallSettings settings)
    : settings_(checked(std::move(settings)))
    , netns_(os::current_netns())
    , nft_(monitor_)
    , foreign_(nft_, netns_.get(), settings_) {}

std::vector<PortRules> Firewall::ports() const {
    std::vector<PortRules> out;
    for (const auto& [name, port] : ports_) {
        out.push_back(port);
    }
    return out;
}

Listing Firewall::listing() {
    Listing out;
    try {
        for (const char* family : kTableFamilies) {
            // One at a time: libnftables 1.0.6 forgets the first family over the second.
            const std::string table = std::string{family} + ' ' + settings_.table;
            take_apart(family, nft_.list("list table " + table, "read table " + table), out);
        }
    } catch (const std::system_error& error) {
        if (error.code().value() == ENOENT) {
            return {}; // one of them is gone
        }
        throw;
    }
    return out;
}

void Firewall::load() {
    try {
        nft_.run(ruleset_text(settings_, ports(), counters()), "load the firewall");
    } catch (const std::system_error& error) {
        throw_load_error(error);
    }
    skeleton_ = listing().skeleton;
}

void Firewall::apply(const std::vector<PortRules>& ports) {
    std::map<std::string, PortRules> wanted;
    for (const PortRules& port : ports) {
        check_port(port, settings_.port_prefix);
        wanted[port.host_ifname] = port;
    }
    std::swap(ports_, wanted);
    try {
        load();
    } catch (...) {
        std::swap(ports_, wanted);
        throw;
    }
    mend_forward();
}

void Firewall::change(const PortRules& old, const PortRules& now) {
    const std::string commands = port_text(settings_, old, now);
    if (commands.empty()) {
        return;
    }
    try {
        nft_.run(commands, "change the firewall");
    } catch (const std::system_error&) {
        load(); // somebody had changed what we were to change
    }
}

void Firewall::set_port(const PortRules& port) {
    check_port(port, settings_.port_prefix);
    const auto found = ports_.find(port.host_ifname);
    const PortRules old = found == ports_.end() ? PortRules{} : found->second;
    ports_[port.host_ifname] = port;
    try {
        change(old, port);
    } catch (...) {
        if (old.host_ifname.empty()) {
            ports_.erase(port.host_ifname);
        } else {
            ports_[port.host_ifname] = old;
        }
        throw;
    }
}

void Firewall::remove_port(const std::string& host_ifname) {
    if (auto old = ports_.extract(host_ifname)) {
        change(old.mapped(), {});
    }
}

void Firewall::masquerade() {
    if (!std::exchange(settings_.masquerade, true)) {
        try {
            load();
        } catch (...) {
            settings_.masquerade = false;
            throw;
        }
    }
}

bool Firewall::intact() {
    return !skeleton_.empty() && listing() == Listing{skeleton_, expected_elements(ports())};
}

void Firewall::restore() {
    load();
}

bool Firewall::mend_forward() {
    ForeignForward::Outcome outcome = foreign_.mend();
    problems_ = std::move(outcome.problems);
    return outcome.changed;
}

std::vector<std::string> Firewall::check() {
    std::vector<std::string> out;
    if (skeleton_.empty()) {
        return out; // nothing was applied, or all was removed
    }
    if (!intact()) {
        restore();
        out.push_back("somebody changed or removed the nftables tables '" + settings_.table +
                      "': they are back");
    }
    if (mend_forward()) {
        out.emplace_back("the rules that let pods' traffic through other tools' forward chains "
                         "were missing: they are back");
    }
    return out;
}

std::vector<std::string> Firewall::on_readable() {
    const bool concerned = monitor_.drain([this](const os::NftablesChange& change) {
        return change.table == settings_.table || foreign_.is_concerned(change);
    });
    return concerned ? check() : std::vector<std::string>{};
}

PortDrops Firewall::counters() {
    PortDrops sum{};
    const auto counters = nft_.counters(settings_.table);
    for (const os::NftablesCounter& counter : counters) {
        for (std::size_t i = 0; i < kPortDrops; ++i) {
            if (counter.name == name_of(static_cast<PortDrop>(i))) {
                sum[i].packets += counter.packets;
                sum[i].bytes += counter.bytes;
            }
        }
    }
    if (!counters.empty()) {
        counted_ = sum;
    }
    return counted_; // after a flush: what we saw last, with which the tables begin again
}

void Firewall::remove() {
    nft_.run(removal_text(settings_), "remove the firewall");
    ports_.clear();
    skeleton_.clear();
    counted_ = {};
    problems_.clear();
    foreign_.remove();
}

} // namespace weave::attach
