// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/** Under which names the allocator knows who has an address: a mark for the kind, then a name that
 * people see. */
namespace weave::daemon::holder {

/** Pods' interfaces of our making: what has no link any more is given back. */
inline constexpr std::string_view kPod = "p:";
/** Held for a program that makes the interface itself (weave-ipam), until it gives it back. */
inline constexpr std::string_view kProgram = "i:";
/** Held by hand. */
inline constexpr std::string_view kPerson = "c:";
/** What the host has on the bridge. */
inline constexpr const char* kHost = "x:host";
/** What the host has for itself beside routed pods. */
inline constexpr const char* kNode = "x:node";

inline std::string of_pod(const std::string& id, std::uint64_t inode, const std::string& ifname) {
    return std::string{kPod} + (id.empty() ? "netns:" + std::to_string(inode) : id) + '/' + ifname;
}

/** What people see. */
inline std::string shown(std::string_view holder) {
    return std::string{holder.substr(holder.find(':') + 1)};
}

} // namespace weave::daemon::holder
