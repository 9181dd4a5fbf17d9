// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace weave::mesh {

/** Names one control connection for as long as it lives; chosen by the driver, never reused. */
using LinkId = std::uint64_t;

} // namespace weave::mesh
