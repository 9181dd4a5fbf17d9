// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace weave::fastpath {

/**
 * Notices that eBPF programs (XDP) were attached to some interface of the machine by a link: of
 * those the kernel sends no notice, as it does when they are attached by netlink
 * (bpf_xdp_link_attach and do_setlink in Linux' net/core). Needs CAP_SYS_ADMIN, and notices nothing
 * without it.
 */
class BpfLinks {
  public:
    /** True when such a link was made since the last call; of the first call, when there are any.
     */
    [[nodiscard]] bool made_new();

  private:
    std::uint32_t newest_ = 0;
};

} // namespace weave::fastpath
