// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/request_log.hpp"

#include <system_error>

namespace weave::daemon {

api::Reply RequestLog::watch(const std::string& method, const std::function<api::Reply()>& call) {
    try {
        return call();
    } catch (const std::system_error& error) {
        if (rate_.allow("request_failed", Clock::now())) {
            log::error("event=request_failed method={} reason={}",
                       log::quoted(method),
                       log::quoted(error.what()));
        }
        throw;
    }
}

} // namespace weave::daemon
