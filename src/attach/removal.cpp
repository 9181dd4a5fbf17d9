// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/removal.hpp"

#include "attach/firewall.hpp"
#include "attach/label.hpp"
#include "os/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

namespace weave::attach {
namespace {

/** Tables of our making, known by their counters. */
std::set<std::string> own_tables() {
    os::NftablesMonitor monitor;
    Nft nft(monitor);
    std::map<std::string, std::set<std::string>> counters;
    for (const auto& entry : nft.list_json("list counters", "read the named counters")) {
        const auto counter = entry.find("counter");
        if (counter != entry.end() && counter->value("family", "") == "inet") {
            counters[counter->value("table", "")].insert(counter->value("name", ""));
        }
    }
    std::set<std::string> out;
    for (const auto& [table, names] : counters) {
        bool all = true;
        for (std::size_t i = 0; i < kPortDrops; ++i) {
            all = all && names.contains(name_of(static_cast<PortDrop>(i)));
        }
        if (all) {
            out.insert(table);
        }
    }
    return out;
}

/** Its TAP has a carrier while the process holds it. */
bool has_router(const std::vector<os::Link>& links, const std::string& bridge) {
    const auto own = std::ranges::find(links, bridge, &os::Link::name);
    return own != links.end() && std::ranges::any_of(links, [&](const os::Link& link) {
               return link.kind == "tun" && link.alias == kOwnAlias && link.carrier &&
                      link.master == own->index;
           });
}

} // namespace

void remove_firewalls(const std::string& bridge) {
    const std::vector<os::Link> links = os::Netlink::open().links();
    if (has_router(links, bridge)) {
        os::throw_sentence(EBUSY, "a weaved works on the bridge " + bridge + ": stop it first");
    }
    std::set<std::string> names = own_tables();
    std::erase_if(names, [&](const std::string& name) {
        return std::ranges::find(links, name, &os::Link::name) != links.end();
    });
    names.insert(bridge);
    for (const std::string& name : names) {
        FirewallSettings settings;
        settings.table = name;
        settings.bridge = name;
        Firewall(std::move(settings)).remove();
    }
}

} // namespace weave::attach
