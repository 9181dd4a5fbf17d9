// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/descriptor.hpp"

#include <string>

namespace weave::cli {

/**
 * Opens a network namespace: a pid, a path, or a name under /run/netns. Throws weave::Error
 * with one sentence when there is none, it may not be opened, or it is not a network namespace.
 */
api::Descriptor open_netns(const std::string& text);

} // namespace weave::cli
