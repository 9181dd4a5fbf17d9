// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/codec.hpp"
#include "api/descriptor.hpp"

#include <weave/client.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

// The connection behind weave::Client, and how a call becomes a request: for the client library
// alone.

namespace weave {

using nlohmann::json;
using SteadyTime = std::chrono::steady_clock::time_point;

struct Client::Impl {
    api::Descriptor socket;
    unsigned timeout_ms = 30'000;
    std::uint64_t last_id = 0;
    std::string last_error;
    json last_result;
    api::MessageReader reader;

    std::error_code open(const std::string& path);
    /** The result, or an array of the items of a stream. */
    json call(const char* method, const json& params, int fd, std::error_code& error);

  private:
    bool exchange(
        const std::string& request, std::uint64_t id, int fd, json& out, std::error_code& error);
    bool send(std::string_view bytes, int fd, SteadyTime deadline, std::error_code& error);
    bool receive(json& out, SteadyTime deadline, std::error_code& error);
    bool wait(short events, SteadyTime deadline, std::error_code& error);

    std::error_code fail(std::error_code code, std::string sentence) {
        last_error = std::move(sentence);
        return code;
    }
};

/** Turns the form with an error code into the one that throws. */
template <class Call> auto throwing(const Client& client, Call call) {
    std::error_code error;
    if constexpr (std::is_void_v<decltype(call(error))>) {
        call(error);
        if (error) {
            throw Error(error, client.last_error());
        }
    } else {
        auto value = call(error);
        if (error) {
            throw Error(error, client.last_error());
        }
        return value;
    }
}

/** The answer as a T; what does not look like one is an error of the protocol. */
template <class T, class Impl>
T ask(Impl& impl,
      const char* method,
      std::error_code& error,
      const json& params = json::object(),
      int fd = -1) {
    T out{};
    const json answer = impl.call(method, params, fd, error);
    if (error) {
        return out;
    }
    try {
        answer.get_to(out);
    } catch (const json::exception&) {
        out = {};
        impl.last_error = std::string("the answer to \"") + method +
                          "\" cannot be read: are weaved and this program of one version?";
        error = Errc::protocol;
    }
    return out;
}

} // namespace weave
