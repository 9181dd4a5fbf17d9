// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/weaved.hpp"

#include "cni/errors.hpp"

#include <weave/error.hpp>

namespace weave::cni {

bool Weaved::connect(std::error_code& error) {
    error.clear();
    if (!connected_) {
        client_ = Client::connect(socket_, error);
        connected_ = !error;
    }
    return connected_;
}

bool Weaved::may_retry(std::error_code error) {
    if (error == Errc::not_running || error == Errc::busy) {
        connected_ = false;
        return Clock::now() + kPause < deadline_;
    }
    if (error == Errc::disconnected || error == Errc::timed_out || error == Errc::protocol ||
        error == Errc::system) {
        connected_ = false; // for the next request, which may be one to undo this one
    }
    return false;
}

std::error_code
Weaved::remove(const std::string& id, const std::string& ifname, const std::string& holder) {
    std::error_code error;
    ask(error, [&](Client& client, std::error_code& failed) {
        client.detach_id(id, ifname, failed);
        return true;
    });
    if (error != Errc::not_found) {
        return error; // what is detached has given its addresses back
    }
    ask(error, [&](Client& client, std::error_code& failed) {
        return client.ipam_release(holder, failed);
    });
    return error;
}

void Weaved::fail(std::error_code error) const {
    throw failure_of(error, sentence());
}

} // namespace weave::cni
