// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Picks the TAP queue of a frame: by flow, both directions alike, and by whether that flow is
// sparse (RFC 8290, section 4.2, says why those go first). Queues come in pairs, 2n for flows that
// send much and 2n + 1 for those that do not; the kernel takes what is returned here modulo their
// number.
//
// A flow that has sent much goes by the first of the pair until it was silent for so long that what
// it had sent has left. Flows that share a place in the table share its verdict.
#include "steering.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, WEAVE_STEERING_FLOWS);
    __type(key, __u32);
    __type(value, struct weave_steering_flow);
} flows SEC(".maps");

// The finalizer of a 32-bit hash with good avalanche (Wellons, hash-prospector).
static __always_inline __u32 mixed(__u32 h) {
    h ^= h >> 16;
    h *= 0x7feb352d;
    h ^= h >> 15;
    h *= 0x846ca68b;
    return h ^ (h >> 16);
}

static __always_inline int load(struct __sk_buff* skb, __u32 at, void* into, __u32 size) {
    return bpf_skb_load_bytes_relative(skb, at, into, size, BPF_HDR_START_MAC);
}

// What the program reads of a frame.
struct seen {
    __u32 hash;
    int bare; // a TCP segment without payload
};

// `at`: of the header, `end`: of the packet, by what IP says.
static __always_inline void
see_transport(struct __sk_buff* skb, __u32 at, __u32 end, __u8 protocol, struct seen* seen) {
    struct tcphdr tcp; // UDP has its ports there, too
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
        return;
    }
    __u32 size = protocol == IPPROTO_TCP ? sizeof tcp : sizeof(struct udphdr);
    if (load(skb, at, &tcp, size) != 0) {
        return;
    }
    seen->hash += mixed(tcp.source + 1) + mixed(tcp.dest + 1);
    seen->bare = protocol == IPPROTO_TCP && at + tcp.doff * 4 >= end;
}

static __always_inline void see4(struct __sk_buff* skb, struct seen* seen) {
    struct iphdr ip;
    if (load(skb, ETH_HLEN, &ip, sizeof ip) != 0) {
        return;
    }
    seen->hash = mixed(ip.saddr) + mixed(ip.daddr) + ip.protocol;
    // Only the first fragment has ports.
    if ((ip.frag_off & bpf_htons(0x3fff)) == 0) {
        __u32 end = ETH_HLEN + bpf_ntohs(ip.tot_len);
        see_transport(skb, ETH_HLEN + ip.ihl * 4, end, ip.protocol, seen);
    }
}

static __always_inline void see6(struct __sk_buff* skb, struct seen* seen) {
    struct ipv6hdr ip;
    if (load(skb, ETH_HLEN, &ip, sizeof ip) != 0) {
        return;
    }
    __u32 from = 0;
    __u32 to = 0;
    for (int i = 0; i < 4; ++i) {
        from = mixed(from + ip.saddr.in6_u.u6_addr32[i]);
        to = mixed(to + ip.daddr.in6_u.u6_addr32[i]);
    }
    seen->hash = from + to + ip.nexthdr;
    __u32 end = ETH_HLEN + sizeof ip + bpf_ntohs(ip.payload_len);
    see_transport(skb, ETH_HLEN + sizeof ip, end, ip.nexthdr, seen);
}

static __always_inline int is_sparse(struct weave_steering_flow* flow, __u32 bytes, int bare) {
    __u64 now = bpf_ktime_get_ns();
    // Another processor may have read the clock later and written earlier.
    __s64 silent = now - flow->last;
    __s64 window = now - flow->since;
    if (silent > 0) {
        flow->last = now;
    }
    if (silent > WEAVE_STEERING_SILENCE_NS) {
        flow->busy = 0;
        flow->acks = 0;
        flow->since = now;
        flow->bytes = 0;
    } else if (window > WEAVE_STEERING_WINDOW_NS) {
        flow->acks = 0;
        flow->since = now;
        flow->bytes = 0;
    }
    flow->bytes += bytes;
    flow->acks = bare ? flow->acks + 1 : 0;
    if (flow->bytes > WEAVE_STEERING_BYTES || flow->acks > WEAVE_STEERING_ACKS) {
        flow->busy = 1;
    }
    return !flow->busy;
}

SEC("socket")

int weave_steering(struct __sk_buff* skb) {
    __be16 type = 0;
    struct seen seen = {0, 0};
    (void)load(skb, 2 * ETH_ALEN, &type, sizeof type);
    seen.hash = type;
    if (type == bpf_htons(ETH_P_IP)) {
        see4(skb, &seen);
    } else if (type == bpf_htons(ETH_P_IPV6)) {
        see6(skb, &seen);
    }
    __u32 hash = mixed(seen.hash);
    __u32 place = hash % WEAVE_STEERING_FLOWS;
    struct weave_steering_flow* flow = bpf_map_lookup_elem(&flows, &place);
    return (hash >> 17) * 2 + (flow && is_sparse(flow, skb->len, seen.bare));
}

// No helper that it calls asks for another.
char licence[] SEC("license") = "Apache-2.0";
