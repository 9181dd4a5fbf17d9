// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/http.hpp"

#include "api/http_request.hpp"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <optional>
#include <set>
#include <system_error>

namespace weave::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100}; // after an error such as too many open files

asio::ip::address to_asio(const IpAddress& address) {
    const ByteView bytes = address.bytes();
    if (address.is_v4()) {
        asio::ip::address_v4::bytes_type octets{};
        std::copy(bytes.begin(), bytes.end(), octets.begin());
        return asio::ip::address_v4(octets);
    }
    asio::ip::address_v6::bytes_type octets{};
    std::copy(bytes.begin(), bytes.end(), octets.begin());
    return asio::ip::address_v6(octets);
}

IpAddress from_asio(const asio::ip::address& address) {
    return address.is_v4() ? IpAddress::v4(address.to_v4().to_bytes())
                           : IpAddress::v6(address.to_v6().to_bytes());
}

HttpReply failure() {
    HttpReply reply;
    reply.status = 500;
    reply.body = "weaved could not answer; its log has more.\n";
    return reply;
}

class Session;

} // namespace

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
    State(asio::io_context& context, HttpHandler call, HttpSettings chosen)
        : io(context)
        , acceptor(context)
        , pause(context)
        , handler(std::move(call))
        , settings(chosen) {}

    void listen(const Endpoint& at);
    void accept();
    void stop();

    asio::io_context& io;
    tcp::acceptor acceptor;
    asio::steady_timer pause;
    HttpHandler handler;
    HttpSettings settings;
    std::set<std::shared_ptr<Session>> sessions;
};

namespace {

/** One connection: request and reply in turn until it ends or the time is over. */
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(tcp::socket socket, std::shared_ptr<HttpServer::State> server)
        : stream_(std::move(socket))
        , buffer_(2 * std::size_t{server->settings.header_limit})
        , server_(server)
        , settings_(server->settings) {}

    void read() {
        parser_.emplace();
        parser_->header_limit(settings_.header_limit);
        stream_.expires_after(settings_.timeout);
        http::async_read(
            stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
                self->on_request(error);
            });
    }

    void close() {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
        stream_.close();
        if (const auto server = server_.lock()) {
            server->sessions.erase(shared_from_this());
        }
    }

  private:
    void on_request(error_code error) {
        const auto server = server_.lock();
        HttpRequest request = judge_request(*parser_, error);
        if (!server || request.ended) {
            close();
        } else if (request.refusal) {
            write(std::move(*request.refusal), request.keep_alive);
        } else {
            answer(server->handler, request);
        }
    }

    void answer(const HttpHandler& handler, const HttpRequest& request) {
        HttpReply reply;
        try {
            reply = handler(request.target, request.wants_json);
        } catch (const std::exception&) {
            reply = failure();
        }
        write(std::move(reply), request.keep_alive);
    }

    void write(HttpReply reply, bool keep_alive) {
        response_ = {};
        response_.version(11);
        response_.result(reply.status);
        response_.set(http::field::server, "weaved");
        response_.set(http::field::content_type, reply.content_type);
        response_.set(http::field::cache_control, "no-store");
        response_.set("X-Content-Type-Options", "nosniff");
        if (reply.status == 405) {
            response_.set(http::field::allow, "GET, HEAD");
        }
        response_.keep_alive(keep_alive);
        response_.content_length(reply.body.size());
        if (!(parser_->is_header_done() && parser_->get().method() == http::verb::head)) {
            response_.body() = std::move(reply.body);
        }
        stream_.expires_after(settings_.timeout);
        http::async_write(stream_,
                          response_,
                          [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                              if (error || !keep_alive) {
                                  self->close();
                              } else {
                                  self->read();
                              }
                          });
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    std::optional<HttpParser> parser_;
    http::response<http::string_body> response_;
    std::weak_ptr<HttpServer::State> server_;
    const HttpSettings settings_;
};

} // namespace

void HttpServer::State::listen(const Endpoint& at) {
    const tcp::endpoint endpoint(to_asio(at.address), at.port);
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) {
        acceptor.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error && settings.prepare) {
        settings.prepare(acceptor.native_handle());
    }
    if (!error) {
        acceptor.bind(endpoint, error);
    }
    if (!error) {
        acceptor.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
        throw std::system_error(
            error.value(), std::system_category(), "cannot listen for HTTP on " + at.text());
    }
}

void HttpServer::State::accept() {
    acceptor.async_accept([weak = weak_from_this()](error_code error, tcp::socket socket) {
        const auto self = weak.lock();
        if (!self || !self->acceptor.is_open()) {
            return;
        }
        if (!error) {
            // One too many is closed unanswered: an answer would cost what the bound is there to
            // save.
            error_code gone;
            const auto from = socket.remote_endpoint(gone);
            const bool welcome = !gone && (!self->settings.admits ||
                                           self->settings.admits(from_asio(from.address())));
            if (welcome && self->sessions.size() < self->settings.max_connections) {
                const auto session = std::make_shared<Session>(std::move(socket), self);
                self->sessions.insert(session);
                session->read();
            }
            self->accept();
            return;
        }
        self->pause.expires_after(kAcceptPause);
        self->pause.async_wait([weak](error_code stopped) {
            if (const auto again = weak.lock(); again && !stopped) {
                again->accept();
            }
        });
    });
}

void HttpServer::State::stop() {
    error_code ignored;
    acceptor.close(ignored);
    pause.cancel();
    const auto open = std::move(sessions);
    sessions.clear();
    for (const auto& session : open) {
        session->close();
    }
}

HttpServer::HttpServer(asio::io_context& io,
                       const Endpoint& listen,
                       HttpHandler handler,
                       HttpSettings settings)
    : state_(std::make_shared<State>(io, std::move(handler), settings)) {
    state_->listen(listen);
    state_->accept();
}

HttpServer::~HttpServer() {
    state_->stop();
}

Endpoint HttpServer::local() const {
    const tcp::endpoint endpoint = state_->acceptor.local_endpoint();
    return {from_asio(endpoint.address()), endpoint.port()};
}

std::size_t HttpServer::connections() const {
    return state_->sessions.size();
}

int HttpServer::native_handle() const {
    return state_->acceptor.native_handle();
}

void HttpServer::stop() {
    state_->stop();
}

} // namespace weave::api
