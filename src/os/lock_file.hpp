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

  private:
    UniqueFd fd_;
};

} // namespace weave::os
