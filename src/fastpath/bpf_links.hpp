// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace weave::fastpath {

/**
 * Notices that eBPF programs were attached to something, anywhere, by a link: of those on an
 * interface (XDP) the kernel sends no notice, as it does when they are attached by netlink
 * (bpf_xdp_link_attach and do_setlink in Linux' net/core). Needs CAP_SYS_ADMIN, and notices nothing
 * without it.
 */
class BpfLinks {
  public:
    /** True when a link was made since the last call; the first call says nothing. */
    [[nodiscard]] bool made_new();

  private:
    bool asked_ = false;
    std::uint32_t newest_ = 0;
};

} // namespace weave::fastpath
