// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/fd.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace weave::os {

/** The calling thread's network namespace. Throws std::system_error. */
UniqueFd current_netns();

/**
 * Opens a network namespace by path and checks that it is one. Throws std::system_error with a
 * sentence (missing, not a network namespace, no permission).
 */
UniqueFd open_netns(const std::string& path);

/** The namespace with that number, where a mount or a process shows it; empty when none does. */
UniqueFd find_netns(std::uint64_t inode);

/** The number that names a namespace while it lives. Throws std::system_error. */
std::uint64_t netns_inode(int netns_fd);

/**
 * Runs `work` in the given network namespace: the calling thread, and no other, is there meanwhile.
 * A thread of its own would have to be scheduled, which on a busy host takes milliseconds, and an
 * attachment needs ten of them. Ends the process should there be no way back, as whatever the
 * thread did next would be done to somebody else's network.
 */
void run_in_netns(int netns_fd, const std::function<void()>& work);

/** Writes a value to /proc/sys/`key` ("net/ipv6/conf/eth0/accept_ra") in that namespace. Throws
 * std::system_error. */
void write_sysctl(int netns_fd, const std::string& key, const std::string& value);

/** The value there, without its newline. Throws std::system_error. */
std::string read_sysctl(int netns_fd, const std::string& key);

} // namespace weave::os
