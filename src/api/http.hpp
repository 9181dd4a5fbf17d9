// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <boost/asio.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weave::api {

struct HttpReply {
    unsigned status = 200; // 404: there is no such page; the body then says which there are
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

/**
 * Answers GET and HEAD. `target` is the path without its query; `wants_json` is true for
 * "Accept: application/json" and for "?format=json". What it throws becomes a 500 without detail.
 */
using HttpHandler = std::function<HttpReply(std::string_view target, bool wants_json)>;

struct HttpSettings {
    std::size_t max_connections = 64;
    std::chrono::milliseconds timeout{
        10'000};                       // to read a request, to write a reply, and idle between
    std::uint32_t header_limit = 8192; // bytes
    /** Whoever it says no to is closed unanswered; empty: everybody is answered. */
    std::function<bool(const IpAddress& from)> admits;
    /** Called with the listening socket before it is bound; what it throws ends the making. */
    std::function<void(int fd)> prepare;
};

/**
 * A small HTTP/1.1 server for read-only pages: 400 for what it cannot read, 405 for other methods,
 * 431 for long headers, no request bodies. Thread-safety: the thread of the io_context only.
 */
class HttpServer {
  public:
    /** Listens at once; throws std::system_error that names the endpoint. */
    HttpServer(boost::asio::io_context& io,
               const Endpoint& listen,
               HttpHandler handler,
               HttpSettings settings = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /** Where it listens, with the port the kernel chose when port 0 was asked for. */
    [[nodiscard]] Endpoint local() const;
    [[nodiscard]] std::size_t connections() const;
    /** The listening socket. */
    [[nodiscard]] int native_handle() const;
    void stop();

    struct State;

  private:
    std::shared_ptr<State> state_;
};

} // namespace weave::api
