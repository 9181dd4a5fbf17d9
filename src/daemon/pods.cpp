// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/pods.hpp"

#include "daemon/log.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

bool holds(const std::vector<Prefix>& held, const IpAddress& address) {
    return std::ranges::find(held, address, &Prefix::address) != held.end();
}

} // namespace

const GivenAddresses* Pods::given_to(const attach::Attachment& pod) const {
    const auto entry = state_.given().find(pod.host_ifname);
    const bool known = entry != state_.given().end() && entry->second.host_mac == pod.host_mac;
    return known ? &entry->second : nullptr;
}

/** Announced, what a pod gave itself would be any address the pod likes. */
void Pods::keep_given(attach::Attachment& pod) const {
    const GivenAddresses* const given = given_to(pod);
    std::erase_if(pod.addresses, [&](const Prefix& each) {
        return given == nullptr || !holds(given->addresses, each.address);
    });
}

Pods::List Pods::list() {
    List pods = host_.list();
    keep_last(pods);
    for (attach::Attachment& pod : pods) {
        keep_given(pod);
    }
    keep_macs(pods);
    return pods;
}

/** What a pod does where it cannot be looked into could cut off others. */
void Pods::keep_last(List& pods) {
    std::map<std::string, attach::Attachment> now;
    for (const attach::Attachment& pod : pods) {
        now.emplace(pod.host_ifname, pod);
    }
    incomplete_ = false;
    for (const attach::Attachment& known : host_.known()) {
        if (now.contains(known.host_ifname)) {
            continue;
        }
        incomplete_ = true;
        const auto last = last_.find(known.host_ifname);
        if (last != last_.end() && last->second.host_mac == known.host_mac) {
            pods.push_back(last->second);
            now.insert(*last);
        } else {
            pods.push_back(as_given(known));
        }
    }
    last_ = std::move(now);
}

/** Of a pod that was never looked into, what it was given: nothing if that is not known. */
attach::Attachment Pods::as_given(attach::Attachment pod) const {
    if (const GivenAddresses* const given = given_to(pod)) {
        pod.mac = given->mac.value_or(MacAddress{});
        pod.addresses = given->addresses;
    }
    return pod;
}

/** A pod may give itself another MAC address, as the CNI plugin tuning does for it, but none that
 * somebody else has. */
void Pods::keep_macs(List& pods) const {
    std::vector<std::pair<attach::Attachment*, MacAddress>> forged;
    for (attach::Attachment& pod : pods) {
        const GivenAddresses* const given = given_to(pod);
        if (given != nullptr && given->mac && pod.mac != *given->mac &&
            (has_mac(pod.mac, pod.host_ifname, pods) || network_.is_elsewhere(pod.mac))) {
            forged.emplace_back(&pod, *given->mac);
        }
    }
    for (const auto& [pod, given] : forged) {
        pod->mac = given;
    }
}

bool Pods::has_mac(const MacAddress& mac, const std::string& host_ifname, const List& pods) const {
    if (mac == MacAddress{} || mac.is_group() || mac == attach::kRouterMac ||
        mac == attach::bridge_mac(state_.identity().id())) {
        return true;
    }
    return std::ranges::any_of(pods, [&](const attach::Attachment& pod) {
        const GivenAddresses* const given = given_to(pod);
        // Whoever has it by now keeps it, also when it is not the one that it was given.
        const MacAddress own = network_.port_mac(pod.host_ifname).value_or(pod.mac);
        return pod.host_ifname != host_ifname &&
               (own == mac || (given != nullptr && given->mac == mac));
    });
}

/** Links that are gone are left out. */
void Pods::remember(const attach::Attachment& pod, const std::vector<Prefix>& addresses) {
    std::map<std::string, GivenAddresses> after;
    for (const os::Link& port : host_.ports()) {
        const auto entry = state_.given().find(port.name);
        if (entry != state_.given().end() && entry->second.host_mac == port.mac) {
            after.insert(*entry);
        }
    }
    GivenAddresses& given = after[pod.host_ifname];
    given.host_mac = pod.host_mac;
    given.mac = given.mac.value_or(pod.mac);
    for (const Prefix& prefix : addresses) {
        if (!holds(given.addresses, prefix.address)) {
            given.addresses.push_back(prefix);
        }
    }
    state_.save_given(std::move(after));
}

void Pods::adopt() {
    if (!state_.given().empty()) {
        return;
    }
    for (const attach::Attachment& pod : host_.list()) {
        log::warning("event=addresses_adopted interface={}", pod.host_ifname);
        remember(pod, pod.addresses);
    }
}

} // namespace weave::daemon
