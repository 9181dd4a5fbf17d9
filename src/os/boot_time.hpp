// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <string>

namespace weave::os {

/** A monotonic time that goes on while the machine is suspended (CLOCK_BOOTTIME): for promises to
 * others, who do not sleep. Never to be compared with Clock::now(). */
TimePoint boot_time() noexcept;

/** Another one after each start of the machine: within one the boot times of two processes can be
 * compared. Empty when the kernel does not tell. */
std::string boot_id();

} // namespace weave::os
