// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace weave::os {

/**
 * Asks for processor time in slices of this length for the calling thread, whose share of it stays
 * what it was: with shorter ones its turn comes sooner when others want the processor, too (EEVDF,
 * Linux 6.12; 0.1 to 100 ms). Older kernels take no notice.
 */
void set_time_slice(std::chrono::nanoseconds slice) noexcept;

} // namespace weave::os
