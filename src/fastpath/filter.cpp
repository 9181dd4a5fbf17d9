// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/filter.hpp"

#include "fastpath/filter.h"
#include "os/error.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

namespace weave::fastpath {
namespace {

static_assert(Filter::kMaxAddresses == WEAVE_FILTER_ADDRESSES);
static_assert(Filter::kMaxQueues == WEAVE_FILTER_QUEUES);

alignas(8) constexpr std::uint8_t kProgram[] = {
#include "filter_bytes.inc"
};

constexpr std::uint32_t kOnly = 0;

weave_filter_address key_of(const IpAddress& address) {
    weave_filter_address key{};
    const ByteView bytes = address.bytes();
    if (address.is_v4()) {
        key.octets[10] = key.octets[11] = 0xff;
    }
    std::copy(bytes.begin(), bytes.end(), std::end(key.octets) - bytes.size());
    return key;
}

std::string name_of(unsigned interface) {
    char name[IF_NAMESIZE] = "?";
    ::if_indextoname(interface, name);
    return name;
}

} // namespace

Filter::Filter()
    : program_(kProgram, "weave_filter") {}

void Filter::configure(const FilterSettings& settings) {
    weave_filter_settings value{};
    std::copy(settings.mac.octets.begin(), settings.mac.octets.end(), value.mac);
    value.port = htons(settings.port);
    value.largest = settings.largest;
    value.sparse = settings.sparse ? 1 : 0;
    if (bpf_map_update_elem(program_.map("settings"), &kOnly, &value, BPF_ANY) != 0) {
        os::throw_errno("cannot set up the eBPF program");
    }
}

void Filter::set_addresses(std::span<const IpAddress> addresses) {
    const int known = program_.map("addresses");
    std::vector<weave_filter_address> stale;
    weave_filter_address key{};
    const weave_filter_address* last = nullptr;
    for (; bpf_map_get_next_key(known, last, &key) == 0; last = &key) {
        stale.push_back(key);
    }
    const auto taken = addresses.first(std::min(addresses.size(), kMaxAddresses));
    for (const weave_filter_address& old : stale) {
        const bool stays = std::ranges::any_of(taken, [&](const IpAddress& address) {
            const auto wanted = key_of(address);
            return std::ranges::equal(wanted.octets, old.octets);
        });
        if (!stays) {
            bpf_map_delete_elem(known, &old);
        }
    }
    const std::uint8_t there = 1;
    for (const IpAddress& address : taken) {
        const weave_filter_address wanted = key_of(address);
        if (bpf_map_update_elem(known, &wanted, &there, BPF_ANY) != 0) {
            os::throw_errno("cannot tell the eBPF program address " + address.text());
        }
    }
}

void Filter::set_socket(unsigned queue, int socket) {
    if (bpf_map_update_elem(program_.map("sockets"), &queue, &socket, BPF_ANY) != 0) {
        os::throw_errno("cannot give the eBPF program a socket");
    }
}

void Filter::attach(unsigned interface, Hook hook) {
    LIBBPF_OPTS(bpf_link_create_opts,
                options,
                .flags = hook == Hook::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
    const int link = bpf_link_create(program(), static_cast<int>(interface), BPF_XDP, &options);
    if (link >= 0) {
        link_.reset(link);
        return;
    }
    const int error = -link;
    if (const auto other = attached_program(interface)) {
        os::throw_sentence(EEXIST,
                           "an XDP program of somebody else, id " + std::to_string(*other) +
                               ", is attached to " + name_of(interface) + " and left alone");
    }
    os::throw_error(error,
                    std::string{"cannot attach the eBPF program to "} + name_of(interface) +
                        (hook == Hook::native ? " (native)" : " (generic)"));
}

void Filter::detach() {
    link_.reset();
}

std::uint64_t Filter::redirected() const {
    const int processors = libbpf_num_possible_cpus();
    std::vector<std::uint64_t> counts(processors > 0 ? static_cast<std::size_t>(processors) : 0);
    std::uint64_t sum = 0;
    if (!counts.empty() &&
        bpf_map_lookup_elem(program_.map("redirected"), &kOnly, counts.data()) == 0) {
        for (const std::uint64_t count : counts) {
            sum += count;
        }
    }
    return sum;
}

std::optional<std::uint32_t> attached_program(unsigned interface) {
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    if (const int error = bpf_xdp_query(static_cast<int>(interface), 0, &query)) {
        os::throw_error(-error, "cannot ask for the XDP program of " + name_of(interface));
    }
    for (const std::uint32_t id :
         {query.prog_id, query.drv_prog_id, query.skb_prog_id, query.hw_prog_id}) {
        if (id != 0) {
            return id;
        }
    }
    return std::nullopt;
}

} // namespace weave::fastpath
