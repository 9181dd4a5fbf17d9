// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/bpf_links.hpp"

#include <utility>

#include <bpf/bpf.h>

namespace weave::fastpath {

bool BpfLinks::made_new() {
    // Numbers rise, so that only those behind the last one seen are asked for.
    const std::uint32_t before = newest_;
    while (::bpf_link_get_next_id(newest_, &newest_) == 0) {
    }
    return std::exchange(asked_, true) && newest_ != before;
}

} // namespace weave::fastpath
