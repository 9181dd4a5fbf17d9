// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "os/netlink.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/** What the host's and the pods' links are made with, whichever way they hang together. */
namespace weave::attach {

/** FNV-1a with a final mix: names only, nothing here has to resist an attacker. */
std::uint64_t hash_text(ByteView bytes);

/** 02 and five bytes of `bits`. */
MacAddress local_mac(std::uint64_t bits);

/** Throws std::system_error. */
MacAddress random_mac();

/** The addresses a person gave, without those the kernel made up. */
std::vector<Prefix> given_addresses(const std::vector<os::LinkAddress>& all, unsigned index);

/** For settings the network works without: a kernel without IPv6, or a read-only /proc/sys. */
bool try_sysctl(int netns_fd, const std::string& key, const std::string& value);

/** All of them or none; returns those that were not there. */
std::vector<Prefix>
add_addresses(os::Netlink& pod, const os::Link& inside, const std::vector<Prefix>& addresses);

/** Polls for what the kernel does behind our back. A host that is very busy is not waited for
 * longer than 200 ms. */
void await(const std::function<bool()>& done);

/** The kernel takes packets to an IPv6 address only some time after it took the address. */
void await_addresses(os::Netlink& netlink, const std::vector<Prefix>& addresses);

} // namespace weave::attach
