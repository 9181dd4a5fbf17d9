// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What the eBPF program and the router agree upon; read by C and by C++.
#ifndef WEAVE_FASTPATH_FILTER_H
#define WEAVE_FASTPATH_FILTER_H

#include <linux/types.h>

// Also the widest interface that is served: further receive queues keep to the kernel's way.
#define WEAVE_FILTER_QUEUES 64
#define WEAVE_FILTER_ADDRESSES 256
// The byte of a datagram whose lowest bits are the lane (see wire/packet.hpp).
#define WEAVE_FILTER_LANE 4

struct weave_filter_settings {
    __u8 mac[6];   // of the interface; frames to any other pass
    __be16 port;   // UDP port, in network order
    __u32 largest; // bytes of the largest frame that a socket can take
    __u32 sparse;  // not 0: odd lanes are for sparse flows, and what comes for them passes
};

// An IPv6 address, or an IPv4 one in its mapped form.
struct weave_filter_address {
    __u8 octets[16];
};

#endif
