// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/bpf_links.hpp"

#include "os/fd.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>

namespace weave::fastpath {
namespace {

bool is_xdp(std::uint32_t id) {
    const os::UniqueFd link{::bpf_link_get_fd_by_id(id)};
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    return link && ::bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0 &&
           info.type == BPF_LINK_TYPE_XDP;
}

} // namespace

bool BpfLinks::made_new() {
    // Numbers rise, so that only those behind the last one seen are asked for.
    bool found = false;
    while (::bpf_link_get_next_id(newest_, &newest_) == 0) {
        found = is_xdp(newest_) || found;
    }
    return found;
}

} // namespace weave::fastpath
