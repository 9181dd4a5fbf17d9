// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/codec.hpp"

#include <boost/asio.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace weave::api {

/**
 * Answers one request, on the thread of the io_context; it must not block. What it throws becomes
 * the error "internal" with its what(); std::invalid_argument becomes "invalid", std::system_error
 * what its code says.
 */
using Handler = std::function<Reply(Request&)>;

/** What the call returns, or the error that it throws. */
Reply reply_of(const std::function<Reply()>& call);

struct ServerSettings {
    std::size_t max_connections = 64;
    std::chrono::milliseconds request_timeout{
        10'000};                                     // from the first byte of a request to its last
    std::chrono::milliseconds idle_timeout{300'000}; // between requests
    std::chrono::milliseconds write_timeout{10'000}; // a client that does not read is closed
    std::string group = "weave";                     // owns the socket where the group exists
};

/**
 * The control socket: a unix stream socket, 0660, that speaks the protocol of codec.hpp.
 *
 * A slow client holds only its own connection: nothing of the next request is read before the last
 * reply was written. Thread-safety: the thread of the io_context only. Stops when destroyed.
 */
class Server {
  public:
    /**
     * Listens at once. A stale socket file is replaced; throws std::system_error, whose text names
     * the path, when a live daemon answers on it or it cannot be made.
     */
    Server(boost::asio::io_context& io,
           const std::string& path,
           Handler handler,
           ServerSettings settings = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] std::size_t connections() const;
    /** Closes everything and removes the socket file. */
    void stop();

    struct State;

  private:
    std::shared_ptr<State> state_;
};

} // namespace weave::api
