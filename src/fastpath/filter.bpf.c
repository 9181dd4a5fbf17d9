// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The eBPF program on an underlay interface: UDP datagrams to our port at one of the interface's
// own addresses go to the AF_XDP socket of their queue. Everything else passes, and so does
// whatever it would take more than a look to be sure of: VLAN tags, IP options, extension headers,
// fragments, frames that are larger than a socket takes. Datagrams for lanes of sparse flows pass,
// too: a socket of AF_XDP has them wait behind all others of its queue.
#include "filter.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct weave_filter_settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, WEAVE_FILTER_ADDRESSES);
    __type(key, struct weave_filter_address);
    __type(value, __u8);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, WEAVE_FILTER_QUEUES);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

// Datagrams that were redirected, by processor.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} redirected SEC(".maps");

static __always_inline int same_mac(const __u8* a, const __u8* b) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
           a[5] == b[5];
}

static __always_inline int is_sparse(const struct udphdr* udp, void* end) {
    const __u8* lane = (const __u8*)(udp + 1) + WEAVE_FILTER_LANE;
    return (void*)(lane + 1) <= end && (*lane & 1) != 0;
}

// `size` is what IP says of header and payload.
static __always_inline int is_ours(const struct udphdr* udp,
                                   void* end,
                                   __u32 size,
                                   const struct weave_filter_address* to,
                                   const struct weave_filter_settings* is) {
    if ((void*)(udp + 1) > end || udp->dest != is->port || bpf_ntohs(udp->len) != size) {
        return 0;
    }
    if (is->sparse && is_sparse(udp, end)) {
        return 0;
    }
    return bpf_map_lookup_elem(&addresses, to) != 0;
}

static __always_inline int
is_ours4(const struct iphdr* ip, void* end, const struct weave_filter_settings* is) {
    struct weave_filter_address to = {};
    if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
        (ip->frag_off & bpf_htons(0x3fff)) != 0) {
        return 0;
    }
    __u32 total = bpf_ntohs(ip->tot_len);
    if (total < sizeof *ip + sizeof(struct udphdr) || total > (__u32)(end - (void*)ip)) {
        return 0;
    }
    to.octets[10] = to.octets[11] = 0xff;
    __builtin_memcpy(to.octets + 12, &ip->daddr, 4);
    return is_ours((void*)(ip + 1), end, total - sizeof *ip, &to, is);
}

static __always_inline int
is_ours6(const struct ipv6hdr* ip, void* end, const struct weave_filter_settings* is) {
    struct weave_filter_address to;
    if ((void*)(ip + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP) {
        return 0;
    }
    __u32 size = bpf_ntohs(ip->payload_len);
    if (size < sizeof(struct udphdr) || size > (__u32)(end - (void*)(ip + 1))) {
        return 0;
    }
    __builtin_memcpy(to.octets, &ip->daddr, 16);
    return is_ours((void*)(ip + 1), end, size, &to, is);
}

SEC("xdp")

int weave_filter(struct xdp_md* frame) {
    void* at = (void*)(long)frame->data;
    void* end = (void*)(long)frame->data_end;
    const struct ethhdr* ethernet = at;
    __u32 first = 0;
    const struct weave_filter_settings* is = bpf_map_lookup_elem(&settings, &first);
    if (!is || (void*)(ethernet + 1) > end || (__u32)(end - at) > is->largest ||
        !same_mac(ethernet->h_dest, is->mac)) {
        return XDP_PASS;
    }
    int ours = 0;
    if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
        ours = is_ours4((void*)(ethernet + 1), end, is);
    } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
        ours = is_ours6((void*)(ethernet + 1), end, is);
    }
    if (!ours) {
        return XDP_PASS;
    }
    // A queue without a socket passes, too.
    int verdict = bpf_redirect_map(&sockets, frame->rx_queue_index, XDP_PASS);
    __u64* count = bpf_map_lookup_elem(&redirected, &first);
    if (verdict == XDP_REDIRECT && count) {
        ++*count;
    }
    return verdict;
}

// No helper that it calls asks for another.
char licence[] SEC("license") = "Apache-2.0";
