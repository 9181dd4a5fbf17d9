// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace weave::os {

// By the interface a packet comes in through, which its sender cannot choose as it can a source
// address. Both throw std::system_error with a sentence.

/** The socket gets what comes in through this interface only. Before bind(). */
void listen_on_interface(int fd, const std::string& name);

/** The kernel drops what comes in through the interface of this index: to who sends that way,
 * nobody listens. The connections of a listener are as deaf as it is. */
void drop_from_interface(int fd, unsigned index);

} // namespace weave::os
