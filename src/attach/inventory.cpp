// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/inventory.hpp"

#include <algorithm>
#include <utility>

namespace weave::attach {

using os::Link;

namespace {

/** As Link::peer_netns_id. */
constexpr int kHere = -1;

} // namespace

Inventory::Inventory(os::Netlink& netlink)
    : netlink_(netlink) {}

const std::vector<Link>& Inventory::links() {
    catch_up();
    return links_;
}

const std::vector<os::LinkAddress>& Inventory::addresses() {
    catch_up();
    if (!addresses_) {
        addresses_ = netlink_.addresses();
    }
    return *addresses_;
}

const Inventory::Inside& Inventory::inside(int netns_id) {
    const auto found = insides_.find(netns_id);
    if (found != insides_.end()) {
        return found->second;
    }
    Inside fresh{netlink_.links(netns_id), netlink_.addresses(netns_id)};
    return insides_.emplace(netns_id, std::move(fresh)).first->second;
}

void Inventory::catch_up() {
    const os::LinkChanges changes = monitor_.drain();
    const bool known = std::exchange(known_, false); // until all went well
    if (!known || changes.lost) {
        read_all();
    } else {
        if (changes.addresses) {
            addresses_.reset();
        }
        std::set<unsigned> again = changes.links;
        for (const Link& link : links_) {
            if (changes.namespaces.contains(link.peer_netns_id)) {
                again.insert(link.index); // its other end may have gone to yet another namespace
            }
        }
        std::ranges::for_each(again, [this](unsigned index) { read_again(index); });
    }
    if (!monitor_.hears_others()) {
        insides_.clear();
    } else if (changes.here()) {
        insides_.erase(kHere);
    }
    known_ = true;
}

void Inventory::read_all() {
    addresses_.reset();
    insides_.clear();
    links_ = netlink_.links();
    std::ranges::sort(links_, {}, &Link::index);
}

/** What was known of its other end goes too: the number of a namespace is used again. */
void Inventory::read_again(unsigned index) {
    auto now = netlink_.link_at(index);
    const auto at = std::ranges::lower_bound(links_, index, {}, &Link::index);
    const bool had = at != links_.end() && at->index == index;
    if (had) {
        insides_.erase(at->peer_netns_id);
    }
    if (now) {
        insides_.erase(now->peer_netns_id);
    }
    if (had && now) {
        *at = *std::move(now);
    } else if (had) {
        links_.erase(at);
    } else if (now) {
        links_.insert(at, *std::move(now));
    }
}

} // namespace weave::attach
