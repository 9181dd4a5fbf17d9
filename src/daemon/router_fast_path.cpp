// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The router's ways past the kernel.
#include "daemon/fast_path.hpp"
#include "daemon/router.hpp"

namespace weave::daemon {

void Router::make_fast_path(PeerEvents& events) {
    if (options_.fast_path != "off") {
        const bool by_trial = options_.fast_path == "auto";
        fast_path_ = std::make_unique<FastPath>(
            *lanes_, FastPathSettings{options_.port, listen_addresses(options_), by_trial}, [this] {
                peers_->on_fast_path();
                publish_soon();
            });
    }
    events.fast_hop = [this](const Endpoint& to, const IpAddress& source) {
        return fast_path_ ? fast_path_->hop(to, source) : dataplane::FastHop{};
    };
}

void Router::tick_fast_path(TimePoint now) {
    if (!fast_path_) {
        return;
    }
    try {
        fast_path_->tick(*snapshot_.peers, now);
    } catch (const std::system_error& error) {
        // It looks again: interfaces and routes that change all the time cannot be read at times.
        if (rate_.allow("fast_path", now)) {
            log::warning("event=fast_path_not_fitted reason={}", log::quoted(error.what()));
        }
    }
}

} // namespace weave::daemon
