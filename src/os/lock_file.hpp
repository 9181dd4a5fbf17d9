// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/fd.hpp"

#include <string>

namespace weave::os {

/** An exclusive lock held while the object lives (flock); the file holds our pid and is left in
 * place. */
class LockFile {
  public:
    /** Throws std::system_error; when held by another process the sentence names its pid. */
    explicit LockFile(const std::string& path);
    /** One that another process holds and gave to this one: both hold it until both have let go.
     * Throws std::system_error when it is not that file. */
    LockFile(const std::string& path, UniqueFd held);

    [[nodiscard]] int fd() const { return fd_.get(); }

    /** The file names this process from now on. */
    void sign();

  private:
    UniqueFd fd_;
};

} // namespace weave::os
