// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/server.hpp"

#include "api/unix_message.hpp"

#include <weave/error.hpp>

#include <array>
#include <cerrno>
#include <set>
#include <stdexcept>
#include <system_error>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weave::api {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadChunk = 64U * 1024;
constexpr std::chrono::milliseconds kAcceptPause{100}; // after an error such as too many open files

[[noreturn]] void fail(int error, const std::string& text) {
    throw std::system_error(error, std::system_category(), text);
}

/** 0660 for the group when the host has it, 0600 otherwise. */
void give_to_group(const std::string& path, const std::string& name) {
    std::array<char, 4096> buffer{};
    group entry{};
    group* found = nullptr;
    const bool known =
        !name.empty() &&
        ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
        found != nullptr;
    // Not being root, as in a test, one may lack the right to give it away: it then stays private.
    if (known && ::chown(path.c_str(), static_cast<uid_t>(-1), entry.gr_gid) == 0) {
        if (::chmod(path.c_str(), 0660) != 0) {
            fail(errno, "cannot set the mode of " + path);
        }
    }
}

/** Removes the file of a daemon that is gone; throws where one answers. */
void clear_stale(asio::io_context& io, const std::string& path) {
    struct stat info {};

    if (::lstat(path.c_str(), &info) != 0) {
        return;
    }
    if (!S_ISSOCK(info.st_mode)) {
        throw Error(Errc::conflict, path + " is not a socket: move it away");
    }
    Protocol::socket probe(io);
    error_code error;
    probe.connect(Protocol::endpoint(path), error);
    if (!error) {
        throw Error(Errc::conflict,
                    "another weaved answers on " + path + ": stop it or give another --run-dir");
    }
    ::unlink(path.c_str());
}

/** Ours for an error of the system: what the caller asked for, or the daemon's own trouble. */
const char* code_of(const std::error_code& error) {
    if (error.category() == error_category()) {
        return error_name(static_cast<Errc>(error.value()));
    }
    switch (error.value()) {
    case EINVAL:
        return "invalid";
    case EEXIST:
        return "conflict";
    case ENODEV:
    case ENOENT:
        return "not_found";
    case EPERM:
    case EACCES:
        return "permission";
    default:
        return "internal";
    }
}

class Session;

} // namespace

Reply reply_of(const std::function<Reply()>& call) {
    try {
        return call();
    } catch (const std::invalid_argument& error) {
        return Reply::error("invalid", error.what());
    } catch (const nlohmann::json::exception& error) {
        return Reply::error("invalid",
                            std::string("a parameter has the wrong type: ") + error.what());
    } catch (const std::system_error& error) {
        return Reply::error(code_of(error.code()), error.what());
    } catch (const std::exception& error) {
        return Reply::error("internal", error.what());
    }
}

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(asio::io_context& context, Handler call, ServerSettings chosen)
        : io(context)
        , acceptor(context)
        , pause(context)
        , handler(std::move(call))
        , settings(std::move(chosen)) {}

    void listen(const std::string& at);
    void accept();
    void adopt(Protocol::socket socket);
    void stop();

    asio::io_context& io;
    Protocol::acceptor acceptor;
    asio::steady_timer pause;
    Handler handler;
    ServerSettings settings;
    std::set<std::shared_ptr<Session>> sessions;
    std::string path;
    dev_t device = 0;
    ino_t inode = 0; // of our socket file: a successor's file is not ours to remove
};

namespace {

/** One client: reads a request, calls, writes the reply, and only then looks at the next one. */
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(Protocol::socket socket, const std::shared_ptr<Server::State>& server)
        : socket_(std::move(socket))
        , timer_(socket_.get_executor())
        , server_(server)
        , settings_(server->settings) {}

    void start() {
        error_code error;
        socket_.native_non_blocking(true, error);
        proceed();
    }

    void close() {
        error_code ignored;
        timer_.cancel();
        socket_.close(ignored);
        fd_.reset();
        if (const auto server = server_.lock()) {
            server->sessions.erase(shared_from_this());
        }
    }

    /** Answers and closes once the answer was written. */
    void refuse(const Reply& reply) {
        last_ = true;
        write(encode_reply(0, reply));
    }

  private:
    void proceed() {
        if (auto body = reader_.next()) {
            reading_ = false;
            serve(*body);
            return;
        }
        if (reader_.too_large()) {
            refuse(Reply::error("too_large", "the request is above 1 MiB: split it"));
            return;
        }
        const bool partial = reader_.partial() || fd_;
        if (!partial) {
            expire_in(settings_.idle_timeout);
        } else if (!reading_) {
            expire_in(
                settings_.request_timeout); // once per request: a trickle of bytes buys nothing
        }
        reading_ = partial;
        socket_.async_wait(Protocol::socket::wait_read,
                           [self = shared_from_this()](error_code error) { self->read(error); });
    }

    void read(error_code error) {
        if (error || !socket_.is_open()) {
            close();
            return;
        }
        std::array<char, kReadChunk> chunk; // NOLINT: filled by the kernel
        const auto count = receive_some(socket_.native_handle(), chunk.data(), chunk.size(), fd_);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            close();
            return;
        }
        if (count > 0) {
            reader_.append({chunk.data(), static_cast<std::size_t>(count)});
        }
        proceed();
    }

    void serve(const std::string& body) {
        const auto server = server_.lock();
        if (!server) {
            close();
            return;
        }
        Request request;
        auto refusal = decode_request(body, request);
        request.fd = std::move(fd_);
        Reply reply =
            refusal ? std::move(*refusal) : reply_of([&] { return server->handler(request); });
        if (!socket_.is_open()) {
            return; // the handler may have stopped the server
        }
        if (!reply.later) {
            answer(request.id, std::move(reply));
            return;
        }
        // It is the daemon's turn: how long that may take is not the client's fault.
        timer_.cancel();
        reply.later([weak = weak_from_this(), id = request.id](Reply last) {
            if (const auto self = weak.lock(); self && self->socket_.is_open()) {
                self->answer(id, std::move(last));
            }
        });
    }

    void answer(std::uint64_t id, Reply reply) {
        if (!reply.finish) {
            write(encode_reply(id, reply));
            return;
        }
        timer_.expires_after(reply.after);
        timer_.async_wait(
            [self = shared_from_this(), id, reply = std::move(reply)](error_code error) {
                if (error || !self->socket_.is_open()) {
                    return;
                }
                const Reply last = reply_of([&] {
                    reply.finish();
                    return reply;
                });
                self->write(encode_reply(id, last));
            });
    }

    void write(std::string bytes) {
        out_ = std::move(bytes);
        expire_in(settings_.write_timeout);
        asio::async_write(socket_,
                          asio::buffer(out_),
                          [self = shared_from_this()](error_code error, std::size_t) {
                              self->out_.clear();
                              if (error || self->last_) {
                                  self->close();
                              } else {
                                  self->proceed();
                              }
                          });
    }

    void expire_in(std::chrono::milliseconds time) {
        timer_.expires_after(time);
        timer_.async_wait([weak = weak_from_this()](error_code error) {
            const auto self = weak.lock();
            // A wait that ended just before it was set anew still reports success.
            if (self && !error && self->timer_.expiry() <= std::chrono::steady_clock::now()) {
                self->close();
            }
        });
    }

    Protocol::socket socket_;
    asio::steady_timer timer_;
    std::weak_ptr<Server::State> server_;
    const ServerSettings settings_;
    MessageReader reader_;
    Descriptor fd_;
    std::string out_;
    bool reading_ = false;
    bool last_ = false;
};

} // namespace

void Server::State::listen(const std::string& at) {
    if (at.size() >= sizeof(sockaddr_un::sun_path)) {
        throw Error(Errc::invalid, "the path of the control socket is too long: " + at);
    }
    clear_stale(io, at);
    error_code error;
    acceptor.open(Protocol(), error);
    // The file takes the mode of the socket: there is no moment in which others may connect.
    if (!error && ::fchmod(acceptor.native_handle(), 0600) != 0) {
        fail(errno, "cannot set the mode of " + at);
    }
    acceptor.bind(Protocol::endpoint(at), error);
    if (!error) {
        acceptor.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
        fail(error.value(), "cannot listen on " + at);
    }
    path = at;

    struct stat info {};

    if (::lstat(at.c_str(), &info) == 0) {
        device = info.st_dev;
        inode = info.st_ino;
    }
    give_to_group(at, settings.group);
}

void Server::State::accept() {
    acceptor.async_accept([weak = weak_from_this()](error_code error, Protocol::socket socket) {
        const auto self = weak.lock();
        if (!self || !self->acceptor.is_open()) {
            return;
        }
        if (!error) {
            self->adopt(std::move(socket));
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

void Server::State::adopt(Protocol::socket socket) {
    const bool full = sessions.size() >= settings.max_connections;
    auto session = std::make_shared<Session>(std::move(socket), shared_from_this());
    if (full) {
        // Not in the list: it lives until its one answer is written or the write timeout is over.
        session->refuse(
            Reply::error("busy", "too many connections to weaved: close some and try again"));
        return;
    }
    sessions.insert(session);
    session->start();
}

void Server::State::stop() {
    error_code ignored;
    acceptor.close(ignored);
    pause.cancel();
    const auto open = std::move(sessions);
    sessions.clear();
    for (const auto& session : open) {
        session->close();
    }

    struct stat info {};

    if (!path.empty() && ::lstat(path.c_str(), &info) == 0 && info.st_dev == device &&
        info.st_ino == inode) {
        ::unlink(path.c_str());
    }
    path.clear();
}

Server::Server(asio::io_context& io,
               const std::string& path,
               Handler handler,
               ServerSettings settings)
    : state_(std::make_shared<State>(io, std::move(handler), std::move(settings))) {
    state_->listen(path);
    state_->accept();
}

Server::~Server() {
    state_->stop();
}

std::size_t Server::connections() const {
    return state_->sessions.size();
}

void Server::stop() {
    state_->stop();
}

} // namespace weave::api
