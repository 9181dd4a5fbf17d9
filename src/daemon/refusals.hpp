// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace weave::daemon {

/** What the machines of the control plane counted, by name. */
using EventCounts = std::map<std::string, std::uint64_t, std::less<>>;

/** A message of the control plane that was not accepted: its stable name and what it means to the
 * operator. */
struct Refusal {
    std::string_view name;
    std::string_view text;
};

/**
 * All of them. The machines count under these names, and under others for what is no refusal (a
 * handshake sent, a session established).
 */
std::span<const Refusal> refusals();

} // namespace weave::daemon
