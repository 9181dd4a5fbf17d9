// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace weave::os {

/** What a network interface does of the kernel's work when it sends. */
struct Offloads {
    bool tso = false; ///< cuts TCP superframes into packets
    bool uso = false; ///< and trains of UDP datagrams

    bool operator==(const Offloads&) const = default;
};

/** Of an interface of this namespace; all false when the kernel does not say. */
Offloads offloads(const std::string& interface);

/** Queues that the interface receives by; 1 when it does not say. */
unsigned receive_queues(const std::string& interface);

} // namespace weave::os
