// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "crypto/identity.hpp"
#include "os/lock_file.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weave::daemon {

/** What an attachment was given. It belongs to one link between host and pod: names are used again,
 * the link's MAC address on the host is not. */
struct GivenAddresses {
    MacAddress host_mac;
    /** The pod's own when it was attached. */
    std::optional<MacAddress> mac;
    std::vector<Prefix> addresses;
};

/**
 * What a node keeps on disk: its identity (0600), boot epoch, targets, exposed addresses and those
 * given to pods. Each
 * file is replaced atomically and checksummed. A damaged identity is left alone and thrown as
 * ConfigError, as a new one would be another node; any other damaged file is kept aside as
 * NAME.corrupt and reported by take_notices(). Holds the lock of the state folder. Throws
 * std::system_error with a sentence.
 */
class NodeState {
  public:
    explicit NodeState(std::string folder);
    /** Goes on where a process with that epoch stops, whose lock of the folder this is. */
    NodeState(std::string folder, os::UniqueFd lock, std::uint64_t boot_epoch);

    /** For a successor. */
    [[nodiscard]] int lock_fd() const { return lock_.fd(); }

    /** The successor's: the lock names this process from now on. */
    void sign_lock() { lock_.sign(); }

    [[nodiscard]] const crypto::Identity& identity() const { return identity_; }

    /** Greater at each start; on disk before the constructor returns. */
    [[nodiscard]] std::uint64_t boot_epoch() const { return boot_epoch_; }

    /** Someone knows us by a greater epoch (our disk was restored from a backup): go above it. */
    void raise_boot_epoch(std::uint64_t above);

    [[nodiscard]] const std::vector<std::string>& targets() const { return targets_; }

    void save_targets(std::vector<std::string> targets);

    [[nodiscard]] const std::vector<Prefix>& exposed() const { return exposed_; }

    void save_exposed(std::vector<Prefix> exposed);

    /** By the name of the link's host end; empty when nothing was ever kept, or it was damaged. */
    [[nodiscard]] const std::map<std::string, GivenAddresses>& given() const { return given_; }

    void save_given(std::map<std::string, GivenAddresses> given);

    /** Sentences about damaged or missing files found at start, to be logged. */
    std::vector<std::string> take_notices() { return std::move(notices_); }

  private:
    [[nodiscard]] std::string path(const char* name) const { return folder_ + '/' + name; }

    NodeState(std::string folder, os::LockFile lock);

    crypto::Identity load_identity();
    std::vector<std::string> load_lines(const char* name);
    void save_lines(const char* name, const std::vector<std::string>& lines);
    void load_boot_epoch();
    void load_given();

    std::string folder_;
    os::LockFile lock_;
    std::vector<std::string> notices_;
    crypto::Identity identity_;
    std::uint64_t boot_epoch_ = 0;
    std::vector<std::string> targets_;
    std::vector<Prefix> exposed_;
    std::map<std::string, GivenAddresses> given_;
};

} // namespace weave::daemon
