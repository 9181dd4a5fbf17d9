// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/tombstone.hpp"

#include <weave/client.hpp>

#include <chrono>
#include <string>
#include <system_error>
#include <thread>

namespace weave::cni {

/** The daemon as the plugins ask it: connects when it is needed, and waits for it a while. */
class Weaved {
  public:
    using Clock = std::chrono::steady_clock;

    /** `patience`: how long to try while nobody listens, or too many do. */
    Weaved(std::string socket, std::chrono::milliseconds patience)
        : socket_(std::move(socket))
        , deadline_(Clock::now() + patience) {}

    /**
     * `call(client, error)` asks one thing; its value comes back. A request that the daemon did
     * not take is made again until the patience ends; one that it may have taken is not.
     */
    template <class Call> auto ask(std::error_code& error, const Call& call) {
        for (;;) {
            if (connect(error)) {
                auto answer = call(client_, error);
                if (!may_retry(error)) {
                    return answer;
                }
            } else if (!may_retry(error)) {
                return decltype(call(client_, error)){};
            }
            std::this_thread::sleep_for(kPause);
        }
    }

    /** The same for who has no use for an error: throws Failure. */
    template <class Call> auto require(const Call& call) {
        std::error_code error;
        auto answer = ask(error, call);
        if (error) {
            fail(error);
        }
        return answer;
    }

    /** What belongs to the last error. */
    [[nodiscard]] const std::string& sentence() const { return client_.last_error(); }

    /**
     * Takes away what has this name, interface and addresses; that it is gone already is no
     * error.
     */
    std::error_code
    remove(const std::string& id, const std::string& ifname, const std::string& holder);

    std::error_code remove(const AttachmentName& name) {
        return remove(name.id(), name.ifname, name.holder());
    }

    /** Throws Failure for this error and sentence(). */
    [[noreturn]] void fail(std::error_code error) const;

  private:
    static constexpr std::chrono::milliseconds kPause{100};

    bool connect(std::error_code& error);
    bool may_retry(std::error_code error);

    std::string socket_;
    Clock::time_point deadline_;
    Client client_;
    bool connected_ = false;
};

} // namespace weave::cni
