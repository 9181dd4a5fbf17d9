// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fastpath/program.hpp"

namespace weave::fastpath {

/**
 * The eBPF program that picks the queue of a TAP with an even number of queues for each frame: both
 * directions of a flow have one pair, 2n and 2n + 1, and a flow that is sparse the second of it.
 * Whatever fails throws std::system_error with a sentence.
 */
class Steering {
  public:
    Steering();

    /** The device runs it from now on, in the place of another and for as long as it lives: also
     * when this object is gone. `queue` is any of its queues. */
    void attach(int queue) const;

    [[nodiscard]] const Program& program() const { return program_; }

  private:
    Program program_;
};

} // namespace weave::fastpath
