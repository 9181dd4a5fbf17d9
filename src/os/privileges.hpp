// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weave::os {

/** Of this process, for good: all capabilities, and what a program that it starts would bring.
 * Throws std::system_error. */
void give_up_capabilities();

} // namespace weave::os
