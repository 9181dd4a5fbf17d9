// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/fd.hpp"

namespace weave::os {

/** An eventfd: wakes a thread that polls. signal() may be called from any thread and from a signal
 * handler. */
class EventFd {
  public:
    /** Throws std::system_error. */
    EventFd();

    [[nodiscard]] int fd() const { return fd_.get(); }

    void signal() noexcept;
    /** Takes all pending signals; true when there was one. Never blocks. */
    bool drain() noexcept;

  private:
    UniqueFd fd_;
};

} // namespace weave::os
