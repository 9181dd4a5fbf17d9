// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weave::daemon {

/** An attachment that a container runtime deleted while weaved did not run; see docs/files.md. */
struct Tombstone {
    std::string id;
    std::string ifname;
    std::string holder;
};

/**
 * Hands each of STATE-DIR/tombstones to `settle` and then unlinks it: before anything is served, so
 * that no attach comes in between and no lock is needed. When `settle` throws std::system_error the
 * file stays. What is none is renamed to *.corrupt. Returns a sentence for each that was not
 * settled; throws nothing else.
 */
std::vector<std::string> settle_tombstones(const std::string& state_dir,
                                           const std::function<void(const Tombstone&)>& settle);

} // namespace weave::daemon
