// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/server.hpp"
#include "daemon/log.hpp"

#include <functional>
#include <string>

namespace weave::daemon {

/** Failures of requests that are not the caller's are logged as well, for who runs this node. */
class RequestLog {
  public:
    /** What `call` answers or throws. */
    api::Reply watch(const std::string& method, const std::function<api::Reply()>& call);

  private:
    log::RateLimit rate_;
};

} // namespace weave::daemon
