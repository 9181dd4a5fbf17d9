// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/client_connection.hpp"

#include "api/errors.hpp"
#include "api/unix_message.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace weave {

namespace {

bool group_exists(const char* name) {
    std::array<char, 4096> buffer;
    ::group entry{};
    ::group* found = nullptr;
    const int error = ::getgrnam_r(name, &entry, buffer.data(), buffer.size(), &found);
    return found != nullptr || error == ERANGE; // more members than the buffer holds
}

std::string system_text(int error) {
    return std::system_category().message(error);
}

std::string duration_text(unsigned milliseconds) {
    return milliseconds % 1000 == 0 ? std::to_string(milliseconds / 1000) + " s"
                                    : std::to_string(milliseconds) + " ms";
}

} // namespace

std::error_code Client::Impl::open(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return fail(Errc::invalid, "the path of the control socket is empty or too long: " + path);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    socket = api::Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket && ::connect(socket.get(),
                            reinterpret_cast<const sockaddr*>(&address), // NOLINT
                            sizeof address) == 0) {
        return {};
    }
    const int error = errno;
    socket.reset();
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return fail(Errc::not_running,
                    "weaved is not running on this host (no socket at " + path +
                        "): start it with 'weave-launch start'");
    case ECONNREFUSED:
        return fail(Errc::not_running,
                    "weaved is not running on this host (nobody answers on " + path +
                        "): start it with 'weave-launch start'");
    case EACCES:
    case EPERM:
        return fail(Errc::permission,
                    "no permission to use " + path + ": run as root" +
                        (group_exists("weave") ? " or join the group weave" : ""));
    case EAGAIN: // the backlog is full
        return fail(Errc::busy, "weaved does not accept connections on " + path + ": try again");
    default:
        return fail(Errc::system, "cannot connect to " + path + ": " + system_text(error));
    }
}

json Client::Impl::call(const char* method, const json& params, int fd, std::error_code& error) {
    error.clear();
    json out;
    if (!socket) {
        error = fail(Errc::disconnected, "not connected to weaved: connect again");
        return out;
    }
    const std::string request = api::encode_request(++last_id, method, params);
    if (request.size() > api::kMaxMessage) {
        error = fail(Errc::too_large, "the request is above 1 MiB: split it");
        return out;
    }
    if (!exchange(request, last_id, fd, out, error)) {
        socket.reset(); // what is still to come belongs to this call: the connection is of no more
                        // use
        reader = {};
    }
    if (!error) {
        last_result = out;
    }
    return out;
}

/** False: the connection cannot be used any longer. An error of the daemon is a good exchange. */
bool Client::Impl::exchange(
    const std::string& request, std::uint64_t id, int fd, json& out, std::error_code& error) {
    const SteadyTime deadline =
        timeout_ms == 0 ? SteadyTime::max()
                        : std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    if (!send(request, fd, deadline, error)) {
        return false;
    }
    json items = json::array();
    for (;;) {
        json reply;
        if (!receive(reply, deadline, error)) {
            return false;
        }
        if (const auto refused = reply.find("error");
            refused != reply.end() && refused->is_object()) {
            const auto text = [&](const char* name) {
                const auto found = refused->find(name);
                return found != refused->end() && found->is_string() ? found->get<std::string>()
                                                                     : "";
            };
            const Errc code = api::errc_of(text("code"));
            const std::string message = text("message");
            error = fail(code, message.empty() ? make_error_code(code).message() : message);
            return reply.value("id", json()) == id;
        }
        if (reply.value("id", json()) != id) {
            error = fail(Errc::protocol, "weaved answered another request: connect again");
            return false;
        }
        if (const auto item = reply.find("item"); item != reply.end()) {
            items.push_back(std::move(*item));
        } else if (reply.contains("end")) {
            out = std::move(items);
            return true;
        } else if (const auto result = reply.find("result"); result != reply.end()) {
            out = std::move(*result);
            return true;
        }
    }
}

bool Client::Impl::send(std::string_view bytes,
                        int fd,
                        SteadyTime deadline,
                        std::error_code& error) {
    while (!bytes.empty()) {
        const auto count = api::send_some(socket.get(), bytes, fd);
        if (count > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            fd = -1; // it went with the first bytes
        } else if (errno == EPIPE || errno == ECONNRESET) {
            break; // the daemon may have said why before it closed: receive() finds out
        } else if (errno == EAGAIN) {
            if (!wait(POLLOUT, deadline, error)) {
                return false;
            }
        } else if (errno != EINTR) {
            error = fail(Errc::system, "cannot send to weaved: " + system_text(errno));
            return false;
        }
    }
    return true;
}

bool Client::Impl::receive(json& out, SteadyTime deadline, std::error_code& error) {
    std::array<char, 16384> chunk; // NOLINT: filled by the kernel
    for (;;) {
        const auto body = reader.next();
        if (body) {
            out = json::parse(*body, nullptr, /*allow_exceptions=*/false);
            if (out.is_object()) {
                return true;
            }
        }
        if (body || reader.too_large()) {
            error = fail(Errc::protocol,
                         "the answer does not follow the control protocol: is another "
                         "program behind the socket?");
            return false;
        }
        api::Descriptor unexpected;
        const auto count = api::receive_some(socket.get(), chunk.data(), chunk.size(), unexpected);
        if (count > 0) {
            reader.append({chunk.data(), static_cast<std::size_t>(count)});
        } else if (count == 0 || errno == ECONNRESET) {
            error =
                fail(Errc::disconnected, "weaved closed the connection: see its log and try again");
            return false;
        } else if (errno == EAGAIN) {
            if (!wait(POLLIN, deadline, error)) {
                return false;
            }
        } else if (errno != EINTR) {
            error = fail(Errc::system, "cannot read from weaved: " + system_text(errno));
            return false;
        }
    }
}

bool Client::Impl::wait(short events, SteadyTime deadline, std::error_code& error) {
    for (;;) {
        int milliseconds = -1;
        if (deadline != SteadyTime::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            milliseconds = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
        }
        pollfd entry{socket.get(), events, 0};
        const int ready = ::poll(&entry, 1, milliseconds);
        if (ready > 0) {
            return true;
        }
        if (ready == 0) {
            error =
                fail(Errc::timed_out,
                     "weaved did not answer within " + duration_text(timeout_ms) + ": see its log");
            return false;
        }
        if (errno != EINTR) {
            error = fail(Errc::system, "cannot wait for weaved: " + system_text(errno));
            return false;
        }
    }
}

} // namespace weave
