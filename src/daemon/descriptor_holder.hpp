// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/handover.hpp"
#include "daemon/lane_descriptors.hpp"
#include "daemon/log.hpp"
#include "os/fd_channel.hpp"

#include <optional>
#include <string>

/**
 * TAP queues and UDP sockets outlive a weaved that crashes: a small process of the same program,
 * which never sees a key, holds copies of them. The next weaved finds them at the holder's socket
 * in the run folder, so pods keep their network's interface, and what arrives meanwhile waits
 * instead of being refused.
 *
 * A router says "hold" and keeps its connection open. When that ends without "release", the router
 * has crashed, and the holder waits a minute for one that says "take". Both are of one user.
 */
namespace weave::daemon {

/** Where it listens. */
std::string descriptor_holder_path(const std::string& run_dir);

/** The holder's process: serves the listening unix socket until it is released, or nobody came for
 * a minute. Returns its exit status. */
int run_descriptor_holder(int listening);

/** What main() is called with to become the holder, the listening socket being standard input. */
inline constexpr const char* kHolderArgument = "--holder";

/** The router's side. A router without a holder works as well: failures are logged, no more.
 * Control thread only. */
class DescriptorHolder {
  public:
    /** `fit`: what must not have changed for the descriptors to be of use. */
    DescriptorHolder(std::string run_dir, const HandoverFit& fit);

    /** What a weaved of the same fit left there. What does not fit, or is no longer usable, is let
     * go of. */
    std::optional<LaneDescriptors> take();
    /** Gives copies to a holder, which is started when there is none; nothing where one has them.
     * Cheap, to be called again and again: a holder may die, too. */
    void hold(const LaneDescriptors& open);
    /** Orderly end: nothing is kept. */
    void release();

  private:
    bool connect();
    void start();
    void give(const LaneDescriptors& open);
    std::optional<LaneDescriptors> receive();

    std::string run_dir_;
    std::string fit_;
    std::string tap_;
    std::optional<os::FdChannel> channel_;
    TimePoint next_try_{};
    log::RateLimit rate_;
};

} // namespace weave::daemon
