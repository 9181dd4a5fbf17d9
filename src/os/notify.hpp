// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace weave::os {

/**
 * Tells the service manager, when there is one (sd_notify(3): one datagram to $NOTIFY_SOCKET). Says
 * nothing and never fails without one.
 */
void notify_manager(std::string_view state) noexcept;

} // namespace weave::os
