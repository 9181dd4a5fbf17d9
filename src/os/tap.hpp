// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/fd.hpp"

#include <string>
#include <vector>

namespace weave::os {

struct TapOptions {
    std::string name;
    /** More than one opens a multi-queue device; the kernel picks the queue by flow. */
    unsigned queues = 1;
};

/** What the kernel may hand us as one large frame, described by its virtio-net header. */
struct TapFeatures {
    bool tso = false;
    bool uso = false;
};

struct Tap {
    /** Non-blocking; each read or write is one 10-byte virtio_net_hdr followed by one Ethernet
     * frame. */
    std::vector<UniqueFd> queues;
    TapFeatures features;
};

/** Kernels before 6.8.5 lose coalesced UDP that goes on into one of their tunnels, such as VXLAN.
 * `release` is uname(2)'s; what is not understood is taken to be old. */
bool passes_coalesced_udp(const std::string& release);
/** Of the running kernel. */
std::string kernel_release();

/** Bytes of the virtio-net header in front of each frame. */
inline constexpr int kVnetHeaderSize = 10;

/**
 * Creates (or attaches to a persistent) TAP device in the calling thread's network namespace. The
 * device lives as long as its queues do. Throws std::system_error with a sentence that says what to
 * do.
 */
Tap open_tap(const TapOptions& options);

/** The name of the device whose queue that is; empty when the device is gone. */
std::string tap_name(int queue);

} // namespace weave::os
