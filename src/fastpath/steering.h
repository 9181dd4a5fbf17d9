// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the eBPF program and its tests agree upon; read by C and by C++.
#ifndef WEAVE_FASTPATH_STEERING_H
#define WEAVE_FASTPATH_STEERING_H

#include <linux/types.h>

#define WEAVE_STEERING_FLOWS 4096
// A flow is sparse while it sends at most so many bytes in each window: 52 Mbit/s.
#define WEAVE_STEERING_BYTES 65536
#define WEAVE_STEERING_WINDOW_NS 10000000LL
// Nor is it sparse when it does nothing but say that it received, so many times in a window: it
// belongs to a flow which sends much, and one lane does both for less than two do.
#define WEAVE_STEERING_ACKS 16
// One that was not sparse is again after so long a silence.
#define WEAVE_STEERING_SILENCE_NS 50000000LL

struct weave_steering_flow {
    __u64 last;  // when it sent last
    __u64 since; // when the window began
    __u32 bytes; // in the window
    __u32 acks;  // in the window, TCP segments without payload since the last with some
    __u32 busy;  // not sparse
};

#endif
