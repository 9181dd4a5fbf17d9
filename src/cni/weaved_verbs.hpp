// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/plugin.hpp"
#include "cni/weaved.hpp"

#include <string>
#include <vector>

// What both plugins ask of weaved in the same way.

namespace weave::cni {

/** Throws Failure (invalid_config) when the names are too long for weaved to keep. */
void check_length(const AttachmentName& name);

/**
 * DEL: takes away what has the name. When weaved cannot be asked now, a tombstone says so, and the
 * call succeeds all the same: a pod must be able to end without it. Throws Failure.
 */
void remove_or_bury(const Call& call, Weaved& weaved);

/** ADD: what an earlier DEL of this very name left to do comes first. Throws Failure (try_again).
 */
void settle_before_add(const Call& call, Weaved& weaved);

/** A few of the other tombstones, now that weaved answers. */
void settle_others(const Call& call, Weaved& weaved);

/** STATUS where the addresses come from elsewhere: weaved serves. Throws Failure (not_available).
 */
Readiness require_answer(Weaved& weaved);

/** STATUS: weaved serves, and has addresses. Throws Failure (not_available) with the reason. */
void require_ready(Weaved& weaved);

/** GC: releases and detaches what is not valid; goes on after a failure. Throws the first Failure
 * at the end. */
void collect(const Call& call, const std::vector<Attachment>& valid, Weaved& weaved);

/** CHECK: the allocator still has these addresses for the name. Throws Failure (mismatch). */
void require_held(const Call& call, const std::vector<Ip>& ips, Weaved& weaved);

} // namespace weave::cni
