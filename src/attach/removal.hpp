// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace weave::attach {

/**
 * Takes away what Firewall put into this network namespace: for the router of that bridge, and for
 * routers whose bridge is gone, which were started with other names. Nothing there is no error.
 * Throws std::system_error with a sentence, also when a router works on the bridge: it would put
 * everything back.
 */
void remove_firewalls(const std::string& bridge);

} // namespace weave::attach
